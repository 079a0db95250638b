// Command budgets runs the benchmarks that the design's budgets are about and
// prints today's figures beside their baselines, as one table.
//
//	go run ./test/budgets                   what `make bench` does
//	go run ./test/budgets --read < run.txt  the table of an earlier run's output
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// runs are the benchmarks, by package; each is a process of its own, so that
// none measures another's garbage.
var runs = []struct{ pkg, pattern, time string }{
	{"./layer/pack", "^BenchmarkPack$", "1x"},
	{"./layer/conformance", "^BenchmarkStart$", "1x"},
	{"./layer/conformance", "^BenchmarkMemory$", "1x"},
	{"./layer/conformance", "^BenchmarkAfterResponse$", "300x"},
	{"./layer/conformance", "^BenchmarkDeadBackend$", "300x"},
	{"./layer/conformance", "^BenchmarkEventsEndpoint$", "2000x"},
	{"./layer/conformance", "^BenchmarkNodeShim$", "500x"},
	{"./layer/conformance", "^BenchmarkPythonShim$", "500x"},
	{"./layer/conformance", "^BenchmarkNewBusShims$", "500x"},
	{"./layer/conformance", "^BenchmarkHops$", "500x"},
	{"./extension", "^BenchmarkReceive$", "1s"},
	{"./test/extension", "^BenchmarkReceive$", "1s"},
	{"./publisher", "^BenchmarkPublish$", "1s"},
	{"./publisher", "^BenchmarkPublishInTurn$", "3s"},
	{"./detail", "^BenchmarkValidate$", "1s"},
	{"./sizemeter", "^BenchmarkSize$", "1s"},
	{"./handler", "^BenchmarkHandler$", "1s"},
	{"./internal/outbound", "^BenchmarkTransport$", "1s"},
	{"./dedupe", "^BenchmarkCheck$", "1s"},
	{"./dedupe/dynamo", "^BenchmarkBesideHandler$", "100x"},
	{"./cmd/throughline/internal/workflow", "^BenchmarkPageInABrowser$", "5x"},
}

// figures are what was measured, by benchmark.
type figures map[string]units

// units are the figures of one benchmark.
type units map[string]float64

// in is the figure in a unit; NaN, and with it all that is made of it, where
// that was not measured.
func (u units) in(unit string) float64 {
	if value, ok := u[unit]; ok {
		return value
	}
	return math.NaN()
}

func main() {
	read := flag.Bool("read", false, "read the output of an earlier run from the standard input")
	flag.Parse()
	if err := run(*read, os.Stdin, os.Stdout, os.Stderr); err != nil {
		log.Fatalf("budgets: %v", err)
	}
}

func run(read bool, stdin io.Reader, stdout, progress io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	all := figures{}
	if read {
		all.parse(stdin)
		return write(stdout, all)
	}
	failed := all.measure(ctx, progress)
	return errors.Join(write(stdout, all), failed) // what one run lacks is no reason to hide the rest
}

// measure runs the benchmarks one after another and shows what they print. It
// goes on after one that fails.
func (f figures) measure(ctx context.Context, progress io.Writer) error {
	var failed error
	for n, r := range runs {
		fmt.Fprintf(progress, "%d of %d: %s in %s\n", n+1, len(runs), r.pattern, r.pkg)
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", r.pattern, "-benchtime", r.time, "-timeout", "30m", r.pkg)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, progress), progress
		begun := time.Now()
		if err := cmd.Run(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s %s: %w", r.pkg, r.pattern, err))
			if ctx.Err() != nil {
				return failed
			}
		}
		fmt.Fprintf(progress, "took %v\n", time.Since(begun).Round(time.Second))
		f.parse(&out)
	}
	return failed
}

// parse reads lines such as "BenchmarkX/y-2  10  3.5 ns/op  7 MB".
func (f figures) parse(in io.Reader) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		measured := units{}
		for i := 2; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				measured[fields[i+1]] = value
			}
		}
		f[name] = measured
	}
}

// row is one line of the table. value is compared with limit.
type row struct {
	what, baseline, ours string
	value, limit         float64
	atLeast              bool // value may not be below limit, instead of above
	unit                 string
}

// rows are the design's budgets, with what was measured.
func (f figures) rows() []row {
	of := func(benchmark, unit string) float64 { return f[benchmark].in(unit) }
	start, ten, six := f["Start"], f["Memory/10_KB_events"], f["Memory/6_MB_events"]
	bare, through := of("AfterResponse/minimal", "after-p50-µs"), of("AfterResponse/ours", "after-p50-µs")
	events, dead, inNode := f["EventsEndpoint"], f["DeadBackend"], f["NodeShim"]
	inPython, hops := f["PythonShim"], f["Hops"]
	newBus := func(language string) row {
		shim := f["NewBusShims/"+language]
		bare, added := shim.in("1KB-p50-µs"), shim.in("1KB-added-p50-µs")
		return row{"  on a new custom bus, 1 KB", us(bare), us(bare + added), added / 1000, 0.4, false, "ms"}
	}
	pdata, receiver := of("Receive/pdata", "spans/CPU-s"), of("Receive/ours", "spans/CPU-s")
	wrapper, transport, overLoopback := f["Handler/wrapped"], f["Transport/at_once/ours"], f["Transport/loopback/ours"]
	check, alone, beside := f["Check/New"], of("BesideHandler/20ms/WithCheck", "alone-ms"), of("BesideHandler/20ms/WithCheck", "with-ms")
	valid, validate := of("Validate/Mixed/JSONValid", "ns/op"), of("Validate/Mixed/Validate", "ns/op")
	empty, page := of("PageInABrowser/None", "ns/op"), of("PageInABrowser/Events2000", "ns/op")
	inTurn, oneCore := f["PublishInTurn/AllCores"], f["PublishInTurn/OneCore"]
	none, decorated, batched := f["Publish/Bare"], f["Publish/Decorated"], f["Publish/DecoratedWithBatcher"]
	added := func(way units, unit string, scale float64) float64 {
		return (way.in(unit) - none.in(unit)) / scale
	}
	sdk := "the SDK's client: " + us(inTurn.in("client-ns/entry")/1000)
	batcher, byHand := inTurn.in("batcher-ns/entry"), inTurn.in("by-hand-ns/entry")
	return []row{
		{"exec to first next, all endpoints", ms(start.in("minimal-ms")), ms(start.in("minimal-ms") * start.in("all-start-x")), start.in("all-start-x"), 1.3, false, "×"},
		{"resident memory when ready", mb(start.in("minimal-MB")), mb(start.in("minimal-MB") * start.in("all-memory-x")), start.in("all-memory-x"), 1.4, false, "×"},
		{fmt.Sprintf("after %.0f invocations of 10 KB events", ten.in("invocations")), mb(ten.in("MB") / ten.in("minimal-x")), mb(ten.in("MB")), ten.in("minimal-x"), 2, false, "×"},
		{"the same against itself after 1 000", mb(ten.in("MB") / ten.in("first-x")), mb(ten.in("MB")), ten.in("first-x"), 1.1, false, "×"},
		{fmt.Sprintf("after %.0f invocations of 6 MB events", six.in("invocations")), mb(six.in("MB") / six.in("minimal-x")), mb(six.in("MB")), six.in("MB"), 30, false, "MB"},
		{"layer zip, both architectures", "", mb(of("Pack", "both-MB")), of("Pack", "both-MB"), 10, false, "MB"},
		{"layer zip, amd64", "", mb(of("Pack", "amd64-MB")), of("Pack", "amd64-MB"), 5, false, "MB"},
		{"layer zip, arm64", "", mb(of("Pack", "arm64-MB")), of("Pack", "arm64-MB"), 5, false, "MB"},
		{"added after the response, auto, warm, p50", us(bare), us(through), (through - bare) / 1000, 1, false, "ms"},
		{"30 ms handler, dead backend, p50", ms(dead.in("none-p50-ms")), ms(dead.in("ours-p50-ms")), dead.in("ours-p50-ms") / dead.in("none-p50-ms"), 1.05, false, "×"},
		{"posting spans, dead backend, longest", "", ms(dead.in("post-max-ms")), dead.in("post-max-ms"), 50, false, "ms"},
		{"PutEvents through the events endpoint adds, beside Go's own reverse proxy", "a relay of bytes: " + us(events.in("relay-added-p50-µs")) + "; Go's: " + us(events.in("proxy-added-p50-µs")), us(events.in("added-p50-µs")), events.in("added-p50-µs") / events.in("proxy-added-p50-µs"), 1.3, false, "×"},
		{"PutEvents by the SDK for JavaScript v3 with the shim, 1 KB, p50", us(inNode.in("1KB-p50-µs")) + "; an exchange of the same bytes: " + us(inNode.in("1KB-floor-p50-µs")), us(inNode.in("1KB-p50-µs") + inNode.in("1KB-added-p50-µs")), inNode.in("1KB-added-p50-µs") / 1000, 0.4, false, "ms"},
		{"  200 KB", us(inNode.in("200KB-p50-µs")) + "; an exchange of the same bytes: " + us(inNode.in("200KB-floor-p50-µs")), us(inNode.in("200KB-p50-µs") + inNode.in("200KB-added-p50-µs")), inNode.in("200KB-added-p50-µs") / 1000, 2, false, "ms"},
		newBus("node"),
		{"  the extension hung, once", "", fmt.Sprintf("%.1f ms", inNode.in("hung-once-added-ms")), inNode.in("hung-once-added-ms"), 50, false, "ms"},
		{"PutEvents by boto3 with the shim, 1 KB, p50", us(inPython.in("1KB-p50-µs")), us(inPython.in("1KB-p50-µs") + inPython.in("1KB-added-p50-µs")), inPython.in("1KB-added-p50-µs") / 1000, 0.4, false, "ms"},
		{"  200 KB", us(inPython.in("200KB-p50-µs")), us(inPython.in("200KB-p50-µs") + inPython.in("200KB-added-p50-µs")), inPython.in("200KB-added-p50-µs") / 1000, 2, false, "ms"},
		newBus("python"),
		{"  the extension hung, once", "", fmt.Sprintf("%.1f ms", inPython.in("hung-once-added-ms")), inPython.in("hung-once-added-ms"), 50, false, "ms"},
		{"SendMessage by boto3 with the shim, join, p50", us(hops.in("python-bare-p50-µs")) + "; an exchange with the extension: " + us(hops.in("python-exchange-p50-µs")), us(hops.in("python-bare-p50-µs") + hops.in("python-join-added-p50-µs")), hops.in("python-join-added-p50-µs") / 1000, 0.2, false, "ms"},
		{"  carry", us(hops.in("python-bare-p50-µs")), us(hops.in("python-bare-p50-µs") + hops.in("python-carry-added-p50-µs")), hops.in("python-carry-added-p50-µs") / 1000, 0.35, false, "ms"},
		{"SendMessage by the SDK for JavaScript v3 with the shim, join, p50", us(hops.in("node-bare-p50-µs")), us(hops.in("node-bare-p50-µs") + hops.in("node-join-added-p50-µs")), hops.in("node-join-added-p50-µs") / 1000, 0.2, false, "ms"},
		{"  carry", us(hops.in("node-bare-p50-µs")), us(hops.in("node-bare-p50-µs") + hops.in("node-carry-added-p50-µs")), hops.in("node-carry-added-p50-µs") / 1000, 0.35, false, "ms"},
		{"PutEvents a second of one core", "", fmt.Sprintf("%.0f/s", events.in("requests/CPU-s")), events.in("requests/CPU-s"), 5000, true, "/s"},
		{"decorator, an entry, no provider", sdk, us(added(decorated, "ns/entry", 1000)), added(decorated, "ns/entry", 1000), 4, false, "µs"},
		{"  its allocations", "", fmt.Sprintf("%.1f", added(decorated, "allocs/op", 10)), added(decorated, "allocs/op", 10), 25, false, ""},
		{"decorator, an entry, the SDK's batcher", sdk, us(batcher / 1000), batcher / 1000, 8, false, "µs"},
		{"  beside no provider and then its spans by hand", us(byHand / 1000), us(batcher / 1000), batcher / byHand, 1.1, false, "×"},
		{"  on one core, batcher and collector included", "the SDK's client: " + us(oneCore.in("client-ns/entry")/1000), us(oneCore.in("batcher-ns/entry") / 1000), oneCore.in("batcher-ns/entry") / 1000, 8, false, "µs"},
		{"  its allocations", "", fmt.Sprintf("%.1f", added(batched, "allocs/op", 10)), added(batched, "allocs/op", 10), 45, false, ""},
		{"entry size", "", fmt.Sprintf("%.1f ns, %.0f allocations", of("Size", "ns/op"), of("Size", "allocs/op")), of("Size", "ns/op"), 50, false, "ns"},
		{"validation of a 200 KB detail", "json.Valid: " + ms(valid/1e6), ms(validate / 1e6), validate / valid, 1.2, false, "×"},
		{"handler wrapper, an invocation", us(of("Handler/bare", "ns/op") / 1000), us(of("Handler/wrapped", "ns/op") / 1000), wrapper.in("added-µs"), 20, false, "µs"},
		{"HTTP transport, a call answered at once", us(transport.in("bare-µs")), us(transport.in("bare-µs") + transport.in("added-µs")), transport.in("added-µs"), 10, false, "µs"},
		{"  over loopback, with its noise", us(overLoopback.in("bare-µs")), us(overLoopback.in("bare-µs") + overLoopback.in("added-µs")), overLoopback.in("added-µs"), 10, false, "µs"},
		{"memory's check of an event", fmt.Sprintf("a map under a lock: %.0f ns", of("Check/MapUnderALock", "ns/op")), fmt.Sprintf("%.0f ns, %.0f allocations, %.0f B an event", check.in("ns/op"), check.in("allocs/op"), of("Check/MemoryPerEvent", "B/event")), check.in("ns/op"), 300, false, "ns"},
		{"table's check beside a handler as long as its answer", ms(alone), ms(beside), beside / alone, 1.01, false, "×"},
		{"page of 2 000 events, until it is drawn", "an empty page: " + ms(empty/1e6), ms(page / 1e6), page / 1e9, 1, false, "s"},
		{"spans a CPU second through the receiver", fmt.Sprintf("pdata: %.2f M", pdata/1e6), fmt.Sprintf("%.2f M", receiver/1e6), receiver / pdata, 3, true, "×"},
	}
}

func ms(v float64) string { return written("%.2f ms", v) }
func us(v float64) string { return written("%.2f µs", v) }
func mb(v float64) string { return written("%.1f MB", v) }

func written(format string, v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// verdict is the figure beside its budget.
func (r row) verdict() string {
	sign, ok := "≤", r.value <= r.limit
	if r.atLeast {
		sign, ok = "≥", r.value >= r.limit
	}
	text := "met"
	if math.IsNaN(r.value) {
		return fmt.Sprintf("\t%s %g %s\tnot measured", sign, r.limit, r.unit)
	}
	if !ok {
		text = "OVER"
	}
	return fmt.Sprintf("%.4g %s\t%s %g %s\t%s", r.value, r.unit, sign, r.limit, r.unit, text)
}

func write(w io.Writer, all figures) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tbaseline\tours\tfigure\tbudget\t")
	for _, r := range all.rows() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.what, r.baseline, r.ours, r.verdict())
	}
	return t.Flush()
}
