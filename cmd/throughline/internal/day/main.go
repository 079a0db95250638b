// Command day plays a day of a trading system in Python on this machine, with the
// layer attached, and compares what Throughline reported of it with what happened.
// `make day` runs it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// options of a day. Paths are relative to the working directory.
type options struct {
	plan      planOptions
	hops      string // THROUGHLINE_HOPS of the functions: join or carry
	dir       string // the folder for spans, metrics, events and the report
	extension string // the extension's binary
	layer     string // the layer's folder: wrapper and shims
	functions string // the folder of the functions
	bootstrap string // a Python runtime for them
	python    string
	json      bool
	patience  time.Duration
	progress  io.Writer
}

const help = `day plays a day of a trading system on this machine: Python functions with boto3 in
local Lambda environments with the layer attached, a queue, a schedule, a bus and a
table. It prints each hop of the day as Throughline saw it, and compares that with
what happened. make day runs it.

  make day                            the first user's day: 16 strategies, 38 trades, 122 hops
  make day HOPS=carry                 with the trace header on SQS and SNS
  make day FAULTS=1                   a worker dies, a message is buried and redriven, a correlation is lost
  make day SEED=7 STRATEGIES=5 TRADES=9

Exit codes: 0; 1 where what was seen differs from what happened; 2 called wrongly; 3 it could not be played.

`

func main() {
	o := options{progress: os.Stderr}
	flags := flag.NewFlagSet("day", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), help)
		flags.PrintDefaults()
	}
	flags.Int64Var(&o.plan.seed, "seed", 1, "the seed of the random choice of trades")
	flags.IntVar(&o.plan.strategies, "strategies", 16, "the `number` of strategies")
	flags.IntVar(&o.plan.trades, "trades", 38, "the `number` of trades")
	flags.BoolVar(&o.plan.faults, "faults", false, "inject faults: a worker dies three times, a message goes to the dead-letter queue and is redriven, a correlation ID is lost")
	flags.StringVar(&o.hops, "hops", "join", "THROUGHLINE_HOPS of the functions: join or carry")
	flags.StringVar(&o.dir, "dir", "build/day", "`folder` for spans, metrics, events, the ledger and the report")
	flags.StringVar(&o.extension, "extension", "bin/throughline-extension", "the extension's `binary`")
	flags.StringVar(&o.layer, "layer", "layer/throughline", "`folder` of the layer")
	flags.StringVar(&o.functions, "functions", "examples/day", "`folder` of the functions")
	flags.StringVar(&o.bootstrap, "bootstrap", "layer/conformance/testdata/python/bootstrap.py", "a Python runtime, a `file`")
	flags.StringVar(&o.python, "python", "python3", "`interpreter` with boto3")
	flags.DurationVar(&o.patience, "patience", 5*time.Minute, "the time limit of the day")
	flags.BoolVar(&o.json, "json", false, "print the hops, counts and differences as JSON")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	} else if err != nil || flags.NArg() > 0 {
		os.Exit(2)
	}
	os.Exit(run(o, os.Stdout))
}

func run(o options, out io.Writer) (code int) {
	say := func(err error) { fmt.Fprintf(os.Stderr, "day: %v\n", err) }
	if err := o.check(); err != nil {
		say(err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	if err := hasBoto3(ctx, o.python); err != nil {
		say(err)
		return 3
	}
	d, err := play(ctx, o)
	if err != nil {
		say(err)
		return 3
	}
	seen := measure(d.spans)
	differences := verify(d, seen, o.hops)
	if err := d.write(o.dir, seen); err != nil {
		say(err)
		return 3
	}
	if o.json {
		if err := terminal.PrintJSON(out, summarise(d, seen, differences)); err != nil {
			say(err)
			return 3
		}
	} else {
		printTable(out, d, seen)
		fmt.Fprintf(out, "Spans, metrics, events and the ledger are in %s; open %s in a browser.\n", o.dir, filepath.Join(o.dir, "report.html"))
	}
	if len(differences) > 0 {
		say(fmt.Errorf("what was reported differs from what happened:\n  %s", strings.Join(differences, "\n  ")))
		return 1
	}
	return 0
}

func (o options) check() error {
	switch {
	case o.hops != "join" && o.hops != "carry":
		return fmt.Errorf("HOPS=%s: set join or carry", o.hops)
	case o.plan.strategies < 1 || o.plan.strategies > 100 || o.plan.trades < 0 || o.plan.trades > 1000:
		return fmt.Errorf("STRATEGIES=%d, TRADES=%d: set 1 to 100 strategies and 0 to 1000 trades", o.plan.strategies, o.plan.trades)
	default:
		return nil
	}
}

func hasBoto3(ctx context.Context, python string) error {
	if out, err := exec.CommandContext(ctx, python, "-c", "import boto3").CombinedOutput(); err != nil {
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		return fmt.Errorf("make day needs Python with boto3: %s has none (%w: %s); install it, or name another interpreter with PYTHON=", python, err, lines[len(lines)-1])
	}
	return nil
}
