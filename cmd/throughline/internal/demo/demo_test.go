package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "throughline-demo")
	if err != nil {
		panic(err)
	}
	binaries = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func options(t *testing.T) Options {
	t.Helper()
	for name, pkg := range map[string]string{"throughline-extension": "cmd/throughline-extension", "tradingday": "examples/tradingday"} {
		target := filepath.Join(binaries, name)
		if _, err := os.Stat(target); err == nil {
			continue
		}
		if out, err := exec.Command("go", "build", "-o", target, "github.com/throughline/throughline/"+pkg).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return Options{
		Dir: t.TempDir(), Events: "../../../../testdata/events",
		Extension: filepath.Join(binaries, "throughline-extension"), Function: filepath.Join(binaries, "tradingday"),
	}
}

// TestTradingDay plays the day once, and then breaks the report in each way
// that verify is there for.
func TestTradingDay(t *testing.T) {
	o := options(t)
	d, err := play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if differences := verify(d.truth, d.reported, d.details); len(differences) > 0 {
		t.Fatalf("differs:\n%s", strings.Join(differences, "\n"))
	}
	// The ways that an event can take, each taken at least once.
	ways := map[string]int{}
	for _, r := range d.truth.ledger.Receipts {
		ways["queue "+r.Queue]++
	}
	for _, h := range d.truth.handled {
		if h.event.Replay != "" {
			ways["replay"]++
		}
		if h.event.DetailType == "HedgeEvaluationCompleted" && h.function == "notifications" {
			ways["topic"]++
		}
	}
	for _, way := range []string{"queue plans", "queue redriven", "replay", "topic"} {
		if ways[way] == 0 {
			t.Errorf("no event came by %s: %v", way, ways)
		}
	}
	t.Run("Files", func(t *testing.T) { checkFiles(t, d, o.Dir) })
	t.Run("Page", func(t *testing.T) { checkPage(t, d, o.Dir) })
	t.Run("Report", func(t *testing.T) { checkReport(t, d) })
	t.Run("JSON", func(t *testing.T) { checkJSON(t, d) })
	t.Run("Checklist", func(t *testing.T) { checkChecklist(t, o.Dir) })
	t.Run("Breaks", func(t *testing.T) { checkBreaks(t, d) })
}

// TestTradingDayOnANewBus plays the day with the new bus beside the classic one.
func TestTradingDayOnANewBus(t *testing.T) {
	o := options(t)
	o.NewBus = true
	d, err := play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if differences := verify(d.truth, d.reported, d.details); len(differences) > 0 {
		t.Fatalf("differs:\n%s", strings.Join(differences, "\n"))
	}
	ways := map[string]int{}
	for _, r := range d.truth.ledger.Receipts {
		ways["queue "+r.Queue]++
	}
	for _, delivery := range d.truth.ledger.Deliveries {
		switch payload := string(delivery.Payload); {
		case delivery.Event.EnvelopeID == "":
			ways["classic"]++
		case delivery.Replay != "":
			ways["replay"]++
		case delivery.Rule == "completed-notifications": // in an array, as is the default
			ways["batch"]++
		case strings.HasPrefix(payload, `{"Data":`):
			ways["with metadata"]++
		default:
			ways["raw"]++
		}
	}
	for _, way := range []string{"queue plans", "queue redriven", "replay", "classic", "batch", "with metadata", "raw"} {
		if ways[way] == 0 {
			t.Errorf("no event came by %s: %v", way, ways)
		}
	}
	// Its events on both buses are one tree.
	tree := workflow.Build(d.reported.spans, "workflow-6513270e-269e-4d37-b2a7-4de452e6b438")
	for i, n := range tree.Nodes {
		timedOut := n.Type == "DataLakeUpdateCompleted"
		if root := n.Parent < 0; root != (i == 0) || n.Gap != "" && !timedOut {
			t.Errorf("%s %s %s hangs on %d: %s", n.Kind, n.Type, n.EventID, n.Parent, n.Gap)
		}
	}
	t.Run("Report", func(t *testing.T) { checkReport(t, d) })
	t.Run("JSON", func(t *testing.T) { checkJSON(t, d) })
	t.Run("Breaks", func(t *testing.T) { checkBreaks(t, d) })
}

// breaks change a report, or what happened, in one place.
var breaks = map[string]struct {
	apply func(*day)
	says  string
}{
	"AMissingLink": {func(d *day) {
		for i := range d.reported.spans {
			if s := &d.reported.spans[i]; s.Service != "reports" && len(links(s, "causation")) > 0 && s.Kind == "CONSUMER" {
				s.Links = nil
				return
			}
		}
	}, "process spans at"},
	"AWrongLink": {func(d *day) {
		for i := range d.reported.spans {
			s := &d.reported.spans[i]
			for n := range s.Links {
				if s.Kind == "PRODUCER" && s.Links[n].Why == "causation" {
					s.Links[n].To.Span = "0000000000000001"
					return
				}
			}
		}
	}, "no causation link"},
	"AMissingOrigin": {func(d *day) {
		for i := range d.reported.spans {
			s := &d.reported.spans[i]
			if s.Kind == "PRODUCER" && len(links(s, "correlation")) > 0 {
				s.Links = slices.DeleteFunc(s.Links, func(l workflow.Link) bool { return l.Why == "correlation" })
				if s.Text("throughline.event.type") == "AllTradesCompleted" {
					return // its cause is no origin either
				}
			}
		}
	}, "neither links to an origin"},
	"AMissingSpan": {func(d *day) {
		d.reported.spans = slices.DeleteFunc(d.reported.spans, func(s workflow.Span) bool {
			return s.Text("throughline.event.type") == "RebalancePlanned" && s.Kind == "PRODUCER"
		})
	}, "was not reported"},
	"AWrongCount":       {func(d *day) { bump(d, "EventsPublished") }, "events published"},
	"AWrongSize":        {func(d *day) { bump(d, "PayloadSize") }, "sizes of"},
	"AWrongTimeOut":     {func(d *day) { bump(d, "Timeouts") }, "time-outs of"},
	"AColdStartTooMany": {func(d *day) { bump(d, "ColdStart") }, "cold starts of"},
	"AMissingRepeat": {func(d *day) {
		d.reported.rare = slices.DeleteFunc(d.reported.rare, func(r repeatLine) bool { return r.Kind == "replay" })
	}, "repeats: reported"},
	"AWrongKind": {func(d *day) {
		for i := range d.reported.rare {
			if d.reported.rare[i].Kind == "redelivery" {
				d.reported.rare[i].Kind = "republish"
			}
		}
	}, "repeats: reported"},
	"AnUnflaggedSpan": {func(d *day) {
		for i := range d.reported.spans {
			delete(d.reported.spans[i].Attributes, "throughline.repeat.kind")
		}
	}, "repeats flagged on spans"},
	"AWrongAttribute": {func(d *day) {
		for i := range d.reported.spans {
			if s := &d.reported.spans[i]; s.Kind == "CONSUMER" && s.Text("throughline.hops") == "1" {
				s.Attributes["throughline.hops"] = int64(2)
				return
			}
		}
	}, "its throughline.hops is"},
	"AWrongQueue": {func(d *day) {
		for i := range d.reported.spans {
			if s := &d.reported.spans[i]; s.Text("messaging.destination.name") == "plans" {
				s.Attributes["messaging.destination.name"] = "redriven"
			}
		}
	}, "came through redriven"},
	"AnUntoldReplay": {func(d *day) {
		for i := range d.reported.spans {
			delete(d.reported.spans[i].Attributes, "throughline.replay.name")
		}
	}, "process spans of replayed events"},
	"AnOrderWithoutItsSpan": {func(d *day) {
		d.truth.orders[1].Traceparent = "00-00000000000000000000000000000001-0000000000000001-01"
	}, "order 1"},
	"AChangedDetail": {func(d *day) {
		e := *d.truth.handled[0].event
		e.Detail = strings.Replace(e.Detail, ": ", ":", 1)
		d.truth.handled[0].event = &e
	}, "differs from the published one"},
	"AnInvocationNotCounted": {func(d *day) {
		list := d.truth.invocations["hedge"]
		d.truth.invocations["hedge"] = append(slices.Clone(list), lambdalocal.Invocation{RequestID: "another"})
	}, "invocations of hedge"},
}

func checkBreaks(t *testing.T, d day) {
	for name, br := range breaks {
		t.Run("Sees"+name, func(t *testing.T) {
			broken := copyOf(d)
			br.apply(&broken)
			differences := verify(broken.truth, broken.reported, broken.details)
			if !slices.ContainsFunc(differences, func(s string) bool { return strings.Contains(s, br.says) }) {
				t.Errorf("not seen; it says %q", differences)
			}
		})
	}
}

// bump adds one to the first value of a metric.
func bump(d *day, metric string) {
	for _, doc := range d.reported.docs {
		if !slices.Contains(doc.metrics, metric) {
			continue
		}
		switch v := doc.fields[metric].(type) {
		case float64:
			doc.fields[metric] = v + 1
		case []any:
			first, _ := v[0].(float64)
			doc.fields[metric] = append([]any{first + 1}, v[1:]...)
		}
		return
	}
}

// copyOf copies what a break may change.
func copyOf(d day) day {
	c := d
	c.reported.spans = slices.Clone(d.reported.spans)
	for i := range c.reported.spans {
		s := &c.reported.spans[i]
		s.Links = slices.Clone(s.Links)
		attributes := map[string]any{}
		maps.Copy(attributes, s.Attributes)
		s.Attributes = attributes
	}
	c.reported.docs = slices.Clone(d.reported.docs)
	for i := range c.reported.docs {
		fields := map[string]any{}
		maps.Copy(fields, c.reported.docs[i].fields)
		c.reported.docs[i].fields = fields
	}
	c.reported.rare = slices.Clone(d.reported.rare)
	c.truth.orders = slices.Clone(d.truth.orders)
	c.truth.handled = slices.Clone(d.truth.handled)
	c.truth.invocations = map[string][]lambdalocal.Invocation{}
	maps.Copy(c.truth.invocations, d.truth.invocations)
	return c
}

func checkFiles(t *testing.T, d day, dir string) {
	if err := d.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"spans.jsonl", "metrics.jsonl", "events.jsonl"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		for i, line := range lines {
			var document map[string]any
			if err := json.Unmarshal(line, &document); err != nil {
				t.Fatalf("%s line %d: %v", name, i+1, err)
			}
			key := map[string]string{"spans.jsonl": "resourceSpans", "metrics.jsonl": "_aws", "events.jsonl": "detail"}[name]
			if document[key] == nil && (name != "metrics.jsonl" || document["throughline"] == nil) {
				t.Errorf("%s line %d has no %s", name, i+1, key)
			}
		}
		if len(lines) < 10 {
			t.Errorf("%s has %d lines", name, len(lines))
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil || !bytes.Contains(page, []byte("workflow-6513270e")) {
		t.Errorf("report.html does not hold the workflow: %v", err)
	}
}

func checkJSON(t *testing.T, d day) {
	var out bytes.Buffer
	if err := d.writeJSON(&out, "build/demo", []string{"something"}); err != nil {
		t.Fatal(err)
	}
	var told struct {
		Published, Handled, Orders, Repeats int
		Differences, Files                  []string
	}
	if err := json.Unmarshal(out.Bytes(), &told); err != nil || told.Published != 12 || told.Orders != 4 || told.Repeats != 7 ||
		!slices.Equal(told.Differences, []string{"something"}) || !slices.Contains(told.Files, filepath.Join("build/demo", "spans.jsonl")) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func checkReport(t *testing.T, d day) {
	var out bytes.Buffer
	if err := report(&out, d.reported, sizeLimit); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"workflow-6513270e-269e-4d37-b2a7-4de452e6b438  11 events, 6 functions", "OUT OF ORDER", "limit 1048576 bytes", "21.2 %", "REDELIVERY", "REPLAY", "REPUBLISH", "RETRY",
		"X-Request-ID", "time-outs", "cold start",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the report:\n%s", want, out.String())
		}
	}
}

func TestRunSaysWhatIsMissing(t *testing.T) {
	for name, o := range map[string]Options{
		"Extension": {Dir: t.TempDir(), Extension: "/nowhere", Function: "/bin/true", Events: "."},
		"Function":  {Dir: t.TempDir(), Extension: "/bin/true", Function: "/nowhere", Events: "."},
	} {
		t.Run(name, func(t *testing.T) {
			err := Run(t.Context(), o, &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), "make demo") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRunSaysWhenTheBackendIsGone(t *testing.T) {
	o := options(t)
	o.ForwardTo = "http://127.0.0.1:1/v1/traces"
	var out bytes.Buffer
	err := Run(t.Context(), o, &out)
	if err == nil || errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(out.String(), "Repeats by kind") {
		t.Error("the report is not printed")
	}
}

func TestRunReturnsErrDiffers(t *testing.T) {
	o := options(t)
	// A folder with another detail under a known ID: what is delivered is then not what was published.
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(o.Events, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	impostor := strings.Replace(mustRead(t, filepath.Join(dir, "11-hedge-evaluation-tricky.json")), `\"event_id\"`, `\"other\": 1, \"event_id\"`, 1)
	if err := os.WriteFile(filepath.Join(dir, "99-impostor.json"), []byte(impostor), 0o644); err != nil {
		t.Fatal(err)
	}
	o.Events = dir
	var out bytes.Buffer
	if err := Run(t.Context(), o, &out); !errors.Is(err, ErrDiffers) {
		t.Errorf("got %v", err)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// checkPage opens the day's page in a browser.
func checkPage(t *testing.T, d day, dir string) {
	if err := d.write(dir); err != nil {
		t.Fatal(err)
	}
	b := peertest.Chromium(t)
	b.View(1280, 900, false)
	b.Open("file://"+filepath.Join(dir, "report.html"), "document.documentElement.dataset.ready")
	var workflows, events int
	b.Eval("documents.length", &workflows)
	b.Eval("documents.reduce((n, d) => n + d.nodes.filter((x) => x.kind === 'event' && x.span).length, 0)", &events)
	if workflows != len(workflow.Correlations(d.reported.spans)) || events != len(d.truth.ledger.Published) {
		t.Errorf("the page holds %d workflows and %d events, %d were published", workflows, events, len(d.truth.ledger.Published))
	}
	if said := b.Said(); len(said) > 0 {
		t.Errorf("its console says %v", said)
	}
}
