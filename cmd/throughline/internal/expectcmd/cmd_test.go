package expectcmd

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// span is a span by its number, in the trace of another where that is given, of a workflow
// in which o-1 is handled by fulfil after 100 ms, which publishes OrderFulfilled o-2, which
// notify handles twice, the second time in error, as a redelivery.
func span(id, trace int, kind, service string, at, took time.Duration, eventID, eventType string, causes ...workflow.ID) workflow.Span {
	start := time.Unix(1_795_813_267, 0).Add(at)
	s := workflow.Span{
		ID: workflow.ID{Trace: fmt.Sprintf("%032x", trace), Span: fmt.Sprintf("%016x", id)}, Kind: kind, Service: service, Name: "x", Start: start, End: start.Add(took),
		Attributes: map[string]any{"throughline.correlation.id": "workflow-1", "throughline.event.id": eventID, "throughline.event.type": eventType},
	}
	if trace != id {
		s.Parent = fmt.Sprintf("%016x", trace)
	}
	for _, cause := range causes {
		s.Links = append(s.Links, workflow.Link{To: cause, Sampled: true, Attributes: map[string]any{"throughline.link": "causation"}})
	}
	return s
}

const producer, consumer = "PRODUCER", "CONSUMER"

func day() []workflow.Span {
	placed := span(1, 1, producer, "shop", 0, time.Millisecond, "o-1", "OrderPlaced")
	placed.Attributes["throughline.hops"] = int64(0)
	fulfilling := span(2, 2, consumer, "fulfil", 100*time.Millisecond, 400*time.Millisecond, "o-1", "OrderPlaced", placed.ID)
	fulfilled := span(3, 2, producer, "fulfil", 300*time.Millisecond, time.Millisecond, "o-2", "OrderFulfilled", placed.ID)
	fulfilled.Attributes["throughline.hops"] = int64(1)
	told := span(4, 4, consumer, "notify", 600*time.Millisecond, time.Millisecond, "o-2", "OrderFulfilled", fulfilled.ID)
	again := span(5, 5, consumer, "notify", 900*time.Millisecond, time.Millisecond, "o-2", "OrderFulfilled", fulfilled.ID)
	again.Attributes["throughline.repeat.kind"], again.Attributes["error.type"], again.Error, again.Message = "redelivery", "E", true, "it broke"
	audited := span(6, 6, producer, "shop", 5*time.Millisecond, time.Millisecond, "o-9", "OrderAudited")
	audited.Attributes["throughline.hops"] = int64(0)
	return []workflow.Span{placed, fulfilling, fulfilled, told, again, audited}
}

// run runs the command and returns its output and its exit code.
func run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return spanstoretest.Run(t, New(config.LoadDefaultConfig, time.Now), args...)
}

func TestExpectations(t *testing.T) {
	file := spanstoretest.File(t, day()...)
	for name, c := range map[string]struct {
		args string
		code int
		says string
	}{
		"Chain":            {"--event o-1 --handled-by fulfil --then OrderFulfilled --handled-by notify", 0, "ok    handled by notify: after 601ms"},
		"Prefix":           {"workflow --then OrderFulfilled", 0, "ok    then OrderFulfilled"},
		"Event":            {"--event o-1", 0, "ok    event o-1"},
		"Skipping":         {"--event o-1 --then OrderFulfilled", 0, ""},
		"OtherFunction":    {"--event o-1 --handled-by billing", 1, "FAIL  handled by billing: found instead: fulfil"},
		"OtherType":        {"--event o-1 --then OrderRejected", 1, "FAIL  then OrderRejected: found instead: OrderFulfilled"},
		"NotBelow":         {"--event o-9 --then OrderFulfilled", 1, "FAIL  then OrderFulfilled: no span has it"},
		"NotHandled":       {"--event o-9 --handled-by fulfil", 1, "no handling was reported"},
		"TheStepBefore":    {"--event o-1 --then OrderRejected --handled-by notify", 1, "the previous step is not met"},
		"ThenBelowHandler": {"--event o-2 --handled-by notify --then OrderFulfilled", 1, "FAIL  then OrderFulfilled"},
		"Within":           {"--event o-1 --handled-by fulfil --within 500ms", 0, ""},
		"Late":             {"--event o-1 --handled-by fulfil --within 499ms", 1, "FAIL  handled by fulfil: after 500ms"},
		"NoRepeat":         {"--event o-1 --no-repeat", 1, "FAIL  no repeat: redelivery at notify with OrderFulfilled o-2"},
		"NoRepeatElse":     {"--event o-9 --no-repeat --no-error", 0, "ok    no error"},
		"NoError":          {"workflow-1 --no-error", 1, "error at notify with OrderFulfilled o-2 it broke"},
		"Hops":             {"workflow-1 --max-hops 0", 1, "FAIL  at most 0 hops: 1 hops"},
		"HopsEnough":       {"workflow-1 --max-hops 1", 0, ""},
		"UnknownEvent":     {"--event o-7 --handled-by fulfil", 1, "FAIL  event o-7: no span names the event o-7 in "},
		"UnknownEventThen": {"--event o-7 --handled-by fulfil", 1, "FAIL  handled by fulfil: no span of the workflow is in "},
		"UnknownWorkflow":  {"other --no-error", 1, "FAIL  no error: no span of the workflow is in "},
		"SeveralPrefixes":  {"--event o-", 2, "several IDs begin with o-"},
		"Nothing":          {"workflow-1", 2, "give an expectation"},
		"Neither":          {"--no-error", 2, "name a correlation ID, or give --event ID"},
		"Both":             {"workflow-1 --event o-1", 2, "not both"},
		"Order":            {"--handled-by fulfil --event o-1", 2, "--event comes before"},
		"Twice":            {"--event o-1 --event o-2", 2, "can be given once"},
		"Negative":         {"workflow-1 --no-error --wait=-1s", 2, "below zero"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--file", file, "--wait", "0"}, strings.Fields(c.args)...)
			out, code := run(t, args...)
			if code != c.code || !strings.Contains(out, c.says) {
				t.Errorf("%d\n%s", code, out)
			}
			if tree := strings.Contains(out, "⇢ "); tree && code != 1 {
				t.Errorf("a tree where all is met:\n%s", out)
			}
		})
	}
}

// TestItWaits for spans that arrive later, in a file that is not there yet.
func TestItWaits(t *testing.T) {
	var lines []string
	for _, one := range day() {
		lines = append(lines, string(spanstoretest.Line(t, one)))
	}
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	written := make(chan struct{})
	go func() {
		defer close(written)
		for _, line := range lines {
			time.Sleep(20 * time.Millisecond)
			f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err == nil {
				_, _ = f.WriteString(line + "\n")
				_ = f.Close()
			}
		}
	}()
	if out, code := run(t, "--file", file, "--event", "o-1", "--handled-by", "fulfil", "--then", "OrderFulfilled", "--handled-by", "notify", "--wait", "60s"); code != 0 {
		t.Errorf("%d\n%s", code, out)
	}
	<-written
	// A repeat that comes while it looks on is found.
	half := spanstoretest.File(t, day()[:4]...)
	go func() {
		time.Sleep(50 * time.Millisecond)
		_ = os.WriteFile(half, []byte(strings.Join(lines, "\n")), 0o600)
	}()
	if out, code := run(t, "--file", half, "--event", "o-1", "--then", "OrderFulfilled", "--no-repeat", "--settle", "60s", "--wait", "60s"); code != 1 || !strings.Contains(out, "redelivery") {
		t.Errorf("%d\n%s", code, out)
	}
}

func TestUnreachable(t *testing.T) {
	if out, code := run(t, "--jaeger", "http://127.0.0.1:1", "workflow-1", "--no-error", "--wait", "0"); code != terminal.CouldNot || !strings.Contains(out, "expect: ") {
		t.Errorf("%d %s", code, out)
	}
}

func TestReports(t *testing.T) {
	file, junit := spanstoretest.File(t, day()...), filepath.Join(t.TempDir(), "expect.xml")
	out, code := run(t, "--file", file, "--wait", "0", "--event", "o-1", "--handled-by", "<b>", "--no-error", "--json", "--junit", junit)
	var r struct {
		Met           bool
		CorrelationID string `json:"correlation_id"`
		Expectations  []verdict
		Workflow      struct{ Nodes []any }
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 || r.Met || r.CorrelationID != "workflow-1" || len(r.Expectations) != 3 || len(r.Workflow.Nodes) != 6 {
		t.Errorf("%d %v\n%s", code, err, out)
	}
	data, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	var s suite
	if err := xml.Unmarshal(data, &s); err != nil || s.Tests != 3 || s.Failures != 2 || s.Cases[1].Name != "handled by <b>" || s.Cases[1].Failure == nil || s.Cases[0].Failure != nil {
		t.Errorf("%v\n%s", err, data)
	}
}
