package checkcmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/judge"
	"github.com/throughline/throughline/local/eventsv2local"
)

// newBus makes a new custom bus with two subscribers, of which one loses what it cannot
// deliver.
func (f *front) newBus(o eventsv2local.Options) *eventsv2local.Bus {
	f.t.Helper()
	o.Account, o.Region = f.account, "eu-west-1"
	f.fresh = eventsv2local.New(o)
	f.t.Cleanup(f.fresh.Close)
	bus, err := f.fresh.CreateBus("orders-new", 3)
	if err != nil {
		f.t.Fatal(err)
	}
	target, dead := f.arn("lambda", "function:fulfil"), f.arn("sqs", "dead")
	f.fresh.Target(target, eventsv2local.Function{FunctionName: "fulfil", Invoke: func(context.Context, []byte, bool) ([]byte, error) { return nil, nil }})
	f.fresh.DeadLetters(dead, &eventsv2local.DeadLetters{})
	retries := 20
	filter := []eventsv2local.Filter{{Pattern: `{"source":["shop"]}`, Scope: eventsv2local.ScopeData}}
	for _, spec := range []eventsv2local.Spec{
		{Name: "placed", Invoke: eventsv2local.Invoke{TargetARN: target}, Filters: filter, MaxBatch: 1, MaxRetries: &retries, MaxAge: time.Hour, DeadLetters: dead},
		{Name: "lossy", Invoke: eventsv2local.Invoke{TargetARN: target}, Filters: filter, MaxBatch: 1},
	} {
		if _, err := bus.Subscribe(spec); err != nil {
			f.t.Fatal(err)
		}
	}
	f.function("fulfil", 30, nil)
	f.queue("dead", "")
	return bus
}

func TestNewBus(t *testing.T) {
	f := newFront(t)
	bus := f.newBus(eventsv2local.Options{})
	has := func(r judge.Result, status judge.Status, texts ...string) {
		t.Helper()
		all := strings.Join(append([]string{r.Evidence}, r.Details...), "\n")
		for _, text := range texts {
			if r.Status != status || !strings.Contains(all, text) {
				t.Errorf("%s: %s, no %q in %s", r.ID, r.Status, text, all)
			}
		}
	}
	code, _, by := f.check("--bus", bus.ARN, "--only", "bus,targets,policies,resources,dlq,replay,newbus")
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	has(by["bus"], judge.Pass, "orders-new, a new custom bus with 2 subscribers, which keeps events for 3 days")
	has(by["targets"], judge.Fail, "subscriber lossy: no OnFailureConfiguration", "subscriber lossy: its retries are the default, 5 in 5m")
	has(by["resources"], judge.Pass, "2 rules")
	has(by["replay"], judge.Skip, "a new custom bus has no archive")
	has(by["newbus"], judge.Skip, "was not tried")
	if n := len(bus.Events()); n != 0 {
		t.Errorf("%d events were published without --write", n)
	}
	_, d, by := f.check("--bus", "orders-new", "--only", "newbus,dlq", "--write")
	has(by["newbus"], judge.Pass, "the EventId of a DEDUPLICATED entry: that of the first event", "whether CONTENT_BASED compares Resources: no")
	if n := len(bus.Events()); n != 1 || len(d.Did) != 1 {
		t.Errorf("%d events, %v", n, d.Did)
	}
	has(by["dlq"], by["dlq"].Status, "records of a new custom bus are written by the role of a subscriber")
	if by["dlq"].Status == judge.Pass {
		t.Error("what was not tried passes")
	}
	// Without the right to list them the rest goes on.
	f.deny = "events:ListSubscribers"
	_, _, by = f.check("--bus", bus.ARN, "--only", "bus,targets,newbus")
	has(by["targets"], judge.Skip, "list subscribers of orders-new")
}

// TestNewBusThatHashesAll is an account that compares more than the content.
func TestNewBusThatHashesAll(t *testing.T) {
	f := newFront(t)
	bus := f.newBus(eventsv2local.Options{HashAll: true})
	_, _, by := f.check("--bus", bus.ARN, "--only", "newbus", "--write")
	if r := by["newbus"]; r.Status != judge.Pass || !strings.Contains(strings.Join(r.Details, " "), "compares Resources: yes: a stamp makes each event new") {
		t.Errorf("%+v", r)
	}
	f.fresh.FailEntries("VALIDATION_ERROR", 1)
	_, _, by = f.check("--bus", bus.ARN, "--only", "newbus", "--write")
	if r := by["newbus"]; r.Status != judge.Skip || !strings.Contains(r.Evidence, "VALIDATION_ERROR") {
		t.Errorf("%+v", r)
	}
	code, _, by := f.check("--bus", bus.ARN[:len(bus.ARN)-1]+"x", "--only", "bus")
	if r := by["bus"]; code != 1 || !strings.Contains(r.Evidence, "calls that publish there fail") {
		t.Errorf("%d %+v", code, r)
	}
}

// TestNewBusOfATemplate: a template tells names alone, and a classic bus may have the same.
func TestNewBusOfATemplate(t *testing.T) {
	f := newFront(t)
	f.newBus(eventsv2local.Options{})
	must[*eventbridge.CreateEventBusOutput](t)(eventbridge.NewFromConfig(f.config()).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("orders-new")}))
	file := filepath.Join(t.TempDir(), "template.yaml")
	text := "Resources:\n  Old: {Type: AWS::Events::EventBus, Properties: {Name: orders-new}}\n  New: {Type: AWS::EventsV2::EventBus, Properties: {Name: orders-new}}\n  Gone: {Type: AWS::EventsV2::EventBus, Properties: {Name: not-yet}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, by := f.check("--template", file, "--only", "bus")
	all := strings.Join(append([]string{by["bus"].Evidence}, by["bus"].Details...), "\n")
	for _, want := range []string{"there is no bus not-yet: calls that publish there fail", "bus orders-new has no rules"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	_, _, by = f.check("--template", file, "--only", "targets")
	if !strings.Contains(by["targets"].Evidence, "subscriber lossy") {
		t.Errorf("%+v", by["targets"])
	}
	f.deny = "events:ListEventBuses"
	if _, _, by = f.check("--template", file, "--only", "bus"); by["bus"].Status != judge.Skip {
		t.Errorf("%+v", by["bus"])
	}
}
