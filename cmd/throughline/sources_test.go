package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/topology"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/peertest"
)

// playDay returns the file of spans of a small day, as `make day` leaves it.
func playDay(t *testing.T) string {
	t.Helper()
	python := peertest.Module(t, "boto3")
	dir := t.TempDir()
	built := map[string]string{"extension": "./cmd/throughline-extension", "day": "./cmd/throughline/internal/day"}
	for name, pkg := range built {
		built[name] = filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-o", built[name], pkg)
		cmd.Dir, cmd.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	cmd := exec.Command(built["day"], "-strategies", "4", "-trades", "6", "-seed", "4", "-dir", dir, "-extension", built["extension"], "-python", python)
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("day: %v\n%s", err, out)
	}
	return filepath.Join(dir, "spans.jsonl")
}

// kept is where a test put spans: the flags that read them there.
type kept struct {
	name  string
	flags []string
}

// keep puts the spans of a file into each source that the commands read.
func keep(t *testing.T, file string) []kept {
	t.Helper()
	data := []byte(read(t, file))
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	spans, left, err := spanstore.ReadSpans(bytes.NewReader(data))
	if err != nil || left.String() != "" || len(spans) == 0 {
		t.Fatalf("%d spans, %v %s", len(spans), err, left)
	}
	return []kept{{"dev", keepInDev(t, lines)}, {"Jaeger", keepInJaeger(t, lines, spans)}, {"X-Ray", keepInXRay(t, spans)}, {"Transaction Search", keepInLogs(t, spans)}, {moto, keepInMoto(t, spans)}}
}

// post sends requests of spans to a receiver.
func post(t *testing.T, url string, lines [][]byte) {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	for _, line := range lines {
		resp, err := http.Post(url+"/v1/traces", "application/json", bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("it answers %s", resp.Status)
		}
	}
}

func keepInDev(t *testing.T, lines [][]byte) []string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "dev", "--json", "--addr", "127.0.0.1:0", "--otlp-addr", "127.0.0.1:0", "--dir", dir)
	cmd.Env = append(os.Environ(), "THROUGHLINE_TEST_MAIN=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("dev ends with %v", err)
		}
	})
	var at struct{ OTLP string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&at); err != nil {
		t.Fatal(err)
	}
	post(t, at.OTLP, lines)
	return []string{"--dev=" + dir}
}

func keepInJaeger(t *testing.T, lines [][]byte, spans []workflow.Span) []string {
	t.Helper()
	collector, query := peertest.Jaeger(t)
	post(t, collector, lines)
	jaeger := spanstore.Jaeger{URL: query, Client: &http.Client{}, Window: spanstore.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}}
	distinct := map[workflow.ID]bool{}
	for i := range spans {
		distinct[spans[i].ID] = true
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		all, err := jaeger.All(t.Context())
		if err == nil && len(all) == len(distinct) {
			return []string{"--jaeger", query}
		}
		if time.Now().After(deadline) {
			t.Fatalf("Jaeger has %d spans of %d: %v", len(all), len(distinct), err)
		}
	}
}

// keepInXRay puts segments into moto; the summaries are a stand-in's, for moto knows no
// filter expressions.
func keepInXRay(t *testing.T, spans []workflow.Span) []string {
	t.Helper()
	url, client := spanstoretest.NewXRay(t, peertest.MotoAccount(t))
	spanstoretest.PutSegments(t, client, spans, true)
	return []string{"--xray", "--endpoint-url", url, "--region", "eu-west-2"}
}

func keepInLogs(t *testing.T, spans []workflow.Span) []string {
	t.Helper()
	logs, _ := spanstoretest.NewLogs(t, spans)
	return []string{"--transaction-search", "--endpoint-url", logs.URL, "--region", "eu-west-1"}
}

// moto is Transaction Search in moto, whose Logs Insights passes filters by and adds up
// nothing: it has no list of workflows, of which the map is made.
const moto = "Transaction Search in moto"

func keepInMoto(t *testing.T, spans []workflow.Span) []string {
	t.Helper()
	url, group, stream := peertest.MotoAccount(t), aws.String(spanstore.SpansLogGroup), aws.String("default")
	client := cloudwatchlogs.NewFromConfig(spanstoretest.AWS(t, url, "eu-west-1"))
	if _, err := client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}); err != nil {
		t.Fatal(err)
	}
	inOrder := slices.SortedFunc(slices.Values(spans), func(a, b workflow.Span) int { return a.Start.Compare(b.Start) })
	for chunk := range slices.Chunk(inOrder, 300) {
		var events []logtypes.InputLogEvent
		for _, s := range chunk {
			events = append(events, logtypes.InputLogEvent{Timestamp: aws.Int64(s.Start.UnixMilli()), Message: aws.String(spanstoretest.SpanRecord(t, s))})
		}
		if _, err := client.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events}); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--transaction-search", "--endpoint-url", url, "--region", "eu-west-1"}
}

// answer runs a command with --json and reads what it prints.
func answer(t *testing.T, into any, wantCode int, args ...string) {
	t.Helper()
	code, out, errs := command(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil || code != wantCode {
		t.Fatalf("%q: exit %d, %v\n%s%s", args, code, err, out, errs)
	}
}

// outline is a tree as far as every source can tell it.
func outline(w workflow.Document) string {
	var b strings.Builder
	for _, n := range w.Nodes {
		id, function := "missing", ""
		if n.Span != nil {
			id, function = n.Span.ID, n.Span.Function
		}
		fmt.Fprintf(&b, "%s%s %s %s %s %s %s\n", strings.Repeat(" ", n.Depth), n.Kind, id, function, n.Type, n.Via, n.How)
	}
	return b.String()
}

// counts is a map as far as every source can tell it.
func counts(d topology.Document) string {
	var b strings.Builder
	for _, c := range d.Channels {
		fmt.Fprintf(&b, "%s %s %v\n", c.Kind, c.Name, c.Buses)
		for _, s := range c.Senders {
			fmt.Fprintf(&b, "  from %s %d, %d errors, %.0f %.0f\n", s.Function, s.Count, s.Errors, s.MeanBytes, s.LargestBytes)
		}
		for _, s := range c.Receivers {
			fmt.Fprintf(&b, "  to %s %d, %d errors, %d repeats, %v\n", s.Function, s.Count, s.Errors, s.Repeats, s.Via)
		}
	}
	return b.String() + fmt.Sprint(d.NotHandled)
}

// TestEverySourceGivesWhatTheFileGives: the demo and a day, in dev, a real Jaeger, X-Ray
// and Transaction Search in moto, are the trees and the map of the file, and meet and miss
// the same expectations.
func TestEverySourceGivesWhatTheFileGives(t *testing.T) {
	peertest.Moto(t) // which needs the Region that the commands are not to find
	for name, play := range map[string]func(*testing.T) string{"Demo": func(t *testing.T) string { return filepath.Join(playDemo(t), "spans.jsonl") }, "Day": playDay} {
		t.Run(name, func(t *testing.T) {
			file := play(t)
			fromFile := []string{"--file", file}
			var known workflow.Document
			answer(t, &known, 0, append([]string{"trace", "--slowest"}, fromFile...)...)
			var system topology.Document
			answer(t, &system, 0, append([]string{"map"}, fromFile...)...)
			if len(known.Nodes) < 20 || len(system.Channels) < 4 {
				t.Fatalf("%d nodes, %d channels", len(known.Nodes), len(system.Channels))
			}
			event, handler, next := step(t, known)
			for _, source := range keep(t, file) {
				t.Run(source.name, func(t *testing.T) {
					with := func(args ...string) []string { return append(args, source.flags...) }
					var there workflow.Document
					answer(t, &there, 0, with("trace", known.CorrelationID)...)
					if got, want := outline(there), outline(known); got != want {
						t.Errorf("the tree is\n%s\nwant\n%s", got, want)
					}
					if source.name != moto {
						var g topology.Document
						answer(t, &g, 0, with("map")...)
						if got, want := counts(g), counts(system); got != want {
							t.Errorf("the map is\n%s\nwant\n%s", got, want)
						}
					}
					var met, missed struct {
						Met          bool
						Expectations []struct{ Met bool }
						Workflow     struct{ Nodes []any }
					}
					answer(t, &met, 0, with("expect", "--event", event, "--handled-by", handler, "--then", next, "--wait", "0")...)
					answer(t, &missed, 1, with("expect", "--event", event, "--handled-by", "nobody", "--wait", "0")...)
					if !met.Met || len(met.Expectations) != 3 || missed.Met || len(missed.Workflow.Nodes) != len(known.Nodes) {
						t.Errorf("%+v, %t, %d nodes", met, missed.Met, len(missed.Workflow.Nodes))
					}
				})
			}
		})
	}
}

// step finds an event that a function handled, which published another below.
func step(t *testing.T, w workflow.Document) (event, handler, next string) {
	t.Helper()
	for _, n := range w.Nodes {
		if n.Kind != workflow.KindEvent || n.Type == "" || n.Parent < 0 {
			continue
		}
		h := w.Nodes[n.Parent]
		if h.Kind == workflow.KindHandling && h.Span != nil && h.Parent >= 0 && w.Nodes[h.Parent].Kind == workflow.KindEvent && w.Nodes[h.Parent].Span != nil && w.Nodes[h.Parent].EventID != "" {
			return w.Nodes[h.Parent].EventID, h.Span.Function, n.Type
		}
	}
	t.Fatal("no function published while it handled an event")
	return "", "", ""
}
