// Package demo plays a trading day on this machine: a local event bus, an Alpaca
// stand-in, and functions as processes in local Lambda environments with the layer's
// extension attached. It then compares what Throughline reported with what happened.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/local/alpacalocal"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/sizemeter"
)

// Options of [Run]. Dir, Extension, Function and Events are required paths.
type Options struct {
	Dir       string // the folder for spans, metrics, events and the report
	Extension string // the extension's binary
	Function  string // the functions' binary
	Events    string // the folder of events to publish
	// ForwardTo is the URL of a backend that also receives the spans; "" for none.
	ForwardTo      string
	ForwardHeaders map[string]string
	NewBus         bool              // play the day on a new custom bus, except for the events of hedge
	JSON           bool              // print a summary as JSON instead of the report
	Env            map[string]string // more variables of the functions; they take precedence over the demo's
	Progress       io.Writer         // gets a line for each step; nil for none
}

const (
	bus       = "alchemiser-trading-events-dev"
	sizeLimit = sizemeter.LimitMiB
	patience  = 2 * time.Minute
)

// ErrDiffers is returned when a report differs from what happened.
var ErrDiffers = errors.New("what was reported differs from what happened")

// Run plays the day, writes the files and prints the report to out. It returns
// ErrDiffers, wrapped with the differences, or an error of playing the day.
func Run(ctx context.Context, o Options, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	day, err := play(ctx, o)
	if err != nil {
		return err
	}
	if err := day.write(o.Dir); err != nil {
		return err
	}
	differences := verify(day.truth, day.reported, day.details)
	if o.JSON {
		if err := day.writeJSON(out, o.Dir, differences); err != nil {
			return err
		}
		out = io.Discard
	}
	const hang = 2
	return terminal.Fit(out, hang, func(out io.Writer) error { return day.tell(out, o, differences) })
}

// tell prints the report and its comparison with what happened.
func (d day) tell(out io.Writer, o Options, differences []string) error {
	if err := report(out, d.reported, sizeLimit); err != nil {
		return err
	}
	fmt.Fprintf(out, "Spans, metrics and events are in %s; open %s in a browser.\n", o.Dir, filepath.Join(o.Dir, "report.html"))
	fmt.Fprintf(out, "One workflow as a tree, here: bin/throughline trace --last --file %s\n", filepath.Join(o.Dir, "spans.jsonl"))
	if o.ForwardTo != "" && d.passed == nil {
		fmt.Fprintf(out, "The spans were sent to %s too: search there for throughline.correlation.id.\n", o.ForwardTo)
	}
	if len(differences) > 0 {
		return fmt.Errorf("%w:\n  %s", ErrDiffers, strings.Join(differences, "\n  "))
	}
	if d.passed != nil {
		return fmt.Errorf("send the spans to %s, where OTEL_EXPORTER_OTLP_ENDPOINT points: %w", o.ForwardTo, d.passed)
	}
	fmt.Fprintf(out, "Checked against the bus's ledger and the local Lambda: %s.\n", d.counts())
	return nil
}

// truth is what happened, from the bus, the local Lambda and the stand-in.
type truth struct {
	ledger      buslocal.Ledger
	invocations map[string][]lambdalocal.Invocation
	orders      []alpacalocal.Order
	handled     []handled // the events that each function received, in order
}

// handled is an event as a function received it.
type handled struct {
	function  string
	event     *buslocal.Event
	receives  int    // the receive count of a queue, else 0
	request   string // the request ID of an asynchronous invocation, else empty
	at, until time.Time
}

// reported is what Throughline reported.
type reported struct {
	spans []workflow.Span
	docs  []document
	rare  []repeatLine
}

// day is the result of a trading day.
type day struct {
	truth    truth
	reported reported
	details  map[string]string // as published, by event ID
	files    map[string][]byte
	passed   error // the error of sending the spans to the backend
}

// counts are counts of what happened, except for spans, which are reported.
type counts struct {
	Published   int `json:"published"`
	Handled     int `json:"handled"`
	Invocations int `json:"invocations"`
	Orders      int `json:"orders"`
	Spans       int `json:"spans"`
	Repeats     int `json:"repeats"`
}

func (d day) counts() counts {
	c := counts{Published: len(d.truth.ledger.Published), Handled: len(d.truth.handled), Orders: len(d.truth.orders), Spans: len(d.reported.spans), Repeats: len(d.reported.repeats())}
	for _, list := range d.truth.invocations {
		c.Invocations += len(list)
	}
	return c
}

func (c counts) String() string {
	return fmt.Sprintf("%d events published, %d handled, %d invocations, %d orders, %d spans; no link, count, size or repeat differs",
		c.Published, c.Handled, c.Invocations, c.Orders, c.Spans)
}

func (d day) writeJSON(out io.Writer, dir string, differences []string) error {
	summary := struct {
		counts
		Differences []string `json:"differences"`
		Files       []string `json:"files"`
	}{counts: d.counts(), Differences: append([]string{}, differences...)}
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		summary.Files = append(summary.Files, filepath.Join(dir, name))
	}
	return terminal.PrintJSON(out, summary)
}

// write writes the files of the day, and the page.
func (d day) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	var workflows []*workflow.Workflow
	for _, id := range workflow.Correlations(d.reported.spans) {
		workflows = append(workflows, workflow.Build(d.reported.spans, id))
	}
	var page bytes.Buffer
	if err := workflow.WriteHTML(&page, workflows); err != nil {
		return err
	}
	d.files["report.html"] = page.Bytes()
	for name, data := range d.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	return nil
}

// logs keeps the lines that functions and extensions wrote.
type logs struct {
	mu    sync.Mutex
	lines []lambdalocal.LogLine
}

func (l *logs) add(line lambdalocal.LogLine) {
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
}

// read sorts the lines into EMF documents and Throughline's log lines, and returns both
// as a file.
func (l *logs) read() (docs []document, rare []repeatLine, file []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if doc, ok := readEMF(line.Text); ok {
			docs = append(docs, doc)
			file = append(append(file, line.Text...), '\n')
		} else if r, ok := readRare(line.Text); ok {
			r.function = line.Function
			rare = append(rare, r)
			file = append(append(file, line.Text...), '\n')
		}
	}
	return docs, rare, file
}

// others returns the other lines, for debugging.
func (l *logs) others() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, line := range l.lines {
		if line.Source != "platform" && !strings.HasPrefix(line.Text, "{") {
			fmt.Fprintf(&b, "%s: %s\n", line.Function, line.Text)
		}
	}
	return b.String()
}
