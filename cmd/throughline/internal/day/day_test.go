package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/peertest"
)

const root = "../../../.."

var extension string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "throughline-day")
	if err != nil {
		panic(err)
	}
	extension = filepath.Join(dir, "throughline-extension")
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func smallDay(t *testing.T, hops string, faults bool) options {
	t.Helper()
	python := peertest.Module(t, "boto3")
	if _, err := os.Stat(extension); err != nil {
		if out, err := exec.Command("go", "build", "-o", extension, "github.com/throughline/throughline/cmd/throughline-extension").CombinedOutput(); err != nil {
			t.Fatalf("build the extension: %v\n%s", err, out)
		}
	}
	return options{
		plan: planOptions{seed: 4, strategies: 4, trades: 6, faults: faults}, hops: hops, dir: t.TempDir(), extension: extension, python: python,
		layer: filepath.Join(root, "layer/throughline"), functions: filepath.Join(root, "examples/day"),
		bootstrap: filepath.Join(root, "layer/conformance/testdata/python/bootstrap.py"), patience: 5 * time.Minute, progress: io.Discard,
	}
}

// TestDay plays small days, and breaks what was seen of one of them.
func TestDay(t *testing.T) {
	for name, o := range map[string]options{
		"join": smallDay(t, "join", false), "carry": smallDay(t, "carry", false),
		"join with faults": smallDay(t, "join", true), "carry with faults": smallDay(t, "carry", true),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := play(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			seen := measure(d.spans)
			if differences := verify(d, seen, o.hops); len(differences) > 0 {
				t.Fatalf("differs:\n%s\n%s", strings.Join(differences, "\n"), d.others)
			}
			several, single := trees(d.invocations, seen.edges)
			// A redriven message has a new ID: without a header its trade begins a tree of its own.
			want := 2
			if o.plan.faults && o.hops == "join" {
				want = 3
			}
			if several != want || single != len(clock)-2 {
				t.Errorf("%d trees and %d invocations by themselves", several, single)
			}
			if err := d.write(o.dir, seen); err != nil {
				t.Fatal(err)
			}
			checkPlayed(t, d, o)
			breakIt(t, d, seen, o.hops)
		})
	}
}

// checkPlayed checks that the day has what it is there for.
func checkPlayed(t *testing.T, d day, o options) {
	t.Helper()
	kinds, lost := map[string]int{}, 0
	for _, e := range d.edges {
		kinds[e.Via]++
		if e.Lost != "" {
			lost++
		}
	}
	want := []string{"bus", "lambda", "scheduler", "sqs"}
	if o.plan.faults {
		want = []string{"bus", "destination", "lambda", "scheduler", "sqs"}
	}
	if got := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, want) {
		t.Errorf("edges by %v", got)
	}
	if (lost == 1) != (o.plan.faults && o.hops == "join") {
		t.Errorf("%d edges lost", lost)
	}
	dies := slices.ContainsFunc(d.invocations, func(i invocation) bool { return i.Function == "strategy-worker" && i.Attempts == 3 })
	looked := slices.ContainsFunc(d.invocations, func(i invocation) bool { return i.Function == "dead-letters" })
	if dies != o.plan.faults || looked != o.plan.faults {
		t.Errorf("a worker died: %t, a dead letter was looked at: %t", dies, looked)
	}
	for _, name := range []string{"spans.jsonl", "metrics.jsonl", "events.jsonl", "ledger.json", "report.html"} {
		if info, err := os.Stat(filepath.Join(o.dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// breakIt changes what was seen in one place at a time.
func breakIt(t *testing.T, d day, seen measured, hops string) {
	t.Helper()
	for name, b := range map[string]struct {
		change func(m *measured)
		says   string
	}{
		"an edge missing": {func(m *measured) { m.edges = m.edges[1:] }, "not reported"},
		"another sender":  {func(m *measured) { m.edges[0].from = m.edges[0].to }, "never happened"},
		"another way of knowing": {func(m *measured) {
			m.edges[0].how = map[string]string{"linked": "joined", "joined": "inferred", "inferred": "linked"}[m.edges[0].how]
		}, ", not "},
		"another mechanism": {func(m *measured) { m.edges[0].via = "pigeon" }, "never happened"},
		"an edge too many":  {func(m *measured) { m.edges = append(m.edges, seenEdge{"bus", "linked", "x", "y"}) }, "never happened"},
		"twice":             {func(m *measured) { m.edges = append(m.edges, m.edges[0]) }, "is both"},
		"a span missing":    {func(m *measured) { m.spans = map[string]int{} }, "attempts, and 0 spans"},
	} {
		broken := measured{edges: slices.Clone(seen.edges), spans: seen.spans}
		b.change(&broken)
		if differences := verify(d, broken, hops); !slices.ContainsFunc(differences, func(s string) bool { return strings.Contains(s, b.says) }) {
			t.Errorf("%s: not told, it says %q", name, differences)
		}
	}
}

// TestPlan holds the numbers of the first user's day, and that other days are as asked.
func TestPlan(t *testing.T) {
	p := newPlan(planOptions{seed: 1, strategies: 16, trades: 38})
	if got := p.hops(); got != 122 {
		t.Errorf("%d hops", got)
	}
	for seed := range int64(50) {
		for _, o := range []planOptions{{seed, 1, 0, false}, {seed, 1, 5, true}, {seed, 3, 2, true}, {seed, 16, 38, true}, {seed, 100, 1000, false}} {
			p, trades := newPlan(o), 0
			for _, s := range p.Strategies {
				trades += len(s.Trades)
				if s.Dies && len(s.Trades) > 0 {
					t.Errorf("%+v: a worker that dies trades", o)
				}
			}
			if trades != o.trades || len(p.Strategies) != o.strategies {
				t.Errorf("%+v: %d strategies, %d trades", o, len(p.Strategies), trades)
			}
		}
	}
}

// TestUnstamped: an event that went out as it came is joined by its ID, and the
// functions have to say how often that was.
func TestUnstamped(t *testing.T) {
	d := day{
		invocations: []invocation{{"a", "1", 1}, {"b", "2", 1}}, edges: []edge{{Via: "bus", From: "1", To: "2", ID: "e-1"}},
		files: map[string][]byte{"metrics.jsonl": []byte("{\"StampSkipped_late\":1}\n")},
	}
	d.markUnstamped([]*buslocal.Event{{ID: "e-1", Resources: []string{"mine"}}, {ID: "e-2", Resources: []string{"mine", "correlation:w"}}, {ID: "e-3", Source: "lambda"}})
	seen := measured{edges: []seenEdge{{"bus", "joined", "1", "2"}}, spans: map[string]int{"1": 1, "2": 1}}
	if differences := verify(d, seen, "join"); len(differences) > 0 || d.unstamped != 1 {
		t.Errorf("%d unstamped, %q", d.unstamped, differences)
	}
	if d.skipped = 0; len(verify(d, seen, "join")) != 1 {
		t.Error("a stamp that nobody says was skipped is no difference")
	}
	if d.skipped, seen.edges[0].how = 1, "linked"; len(verify(d, seen, "join")) != 1 {
		t.Error("a link that no stamp can have made is no difference")
	}
}

func TestTable(t *testing.T) {
	d := day{
		invocations: []invocation{{"a", "1", 1}, {"b", "2", 1}, {"c", "3", 1}},
		edges:       []edge{{Via: "sqs", From: "1", To: "2"}, {Via: "bus", From: "1", To: "3", Kind: "T"}},
	}
	seen := measured{edges: []seenEdge{{"sqs", "joined", "1", "2"}}}
	var out bytes.Buffer
	printTable(&out, d, seen)
	for _, want := range []string{"1 of 2 hops with an edge (50.0 %)", "1 trees of more than one invocation, and 1 invocations", "bus T"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	data, err := json.Marshal(summarise(d, seen, nil))
	if err != nil || !strings.Contains(string(data), `"not_seen":1`) {
		t.Errorf("%v %s", err, data)
	}
}

func TestRefuses(t *testing.T) {
	for name, o := range map[string]options{
		"hops": {hops: "of"}, "strategies": {hops: "join"}, "trades": {hops: "join", plan: planOptions{strategies: 1, trades: -1}},
	} {
		if code := run(o, io.Discard); code != 2 {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
	if err := hasBoto3(t.Context(), "no-such-python"); err == nil || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("without Python it says %v", err)
	}
}
