package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spancollector"
	"github.com/throughline/throughline/local/alpacalocal"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/eventsv2local"
	"github.com/throughline/throughline/local/lambdalocal"
)

// function is one function of the day.
type function struct {
	name    string
	timeout time.Duration
	retries int // retries of an asynchronous invocation; negative for none
	init    string
}

var functions = []function{
	{name: "strategy", timeout: 10 * time.Second},
	{name: "portfolio", timeout: 10 * time.Second},
	{name: "execution", timeout: 10 * time.Second, init: "400ms"}, // a cold start slower than the others
	{name: "aggregator", timeout: 10 * time.Second},
	{name: "hedge", timeout: 10 * time.Second},
	{name: "notifications", timeout: 10 * time.Second},
	{name: "reports", timeout: time.Second, retries: -1}, // slower than its time-out
}

// stage is everything that a day needs.
type stage struct {
	options   Options
	logs      *logs
	collector *spancollector.Collector
	alpaca    *alpacalocal.Service
	bus       *buslocal.Bus
	lambda    *lambdalocal.Service
	deployed  map[string]*lambdalocal.Deployment
	rules     []buslocal.Rule

	dead    buslocal.DeadLetters
	redrive *buslocal.Queue

	newBus      *newBus // nil for a day on the classic bus only
	subscribers []eventsv2local.Spec

	mu      sync.Mutex
	handled []handled
	held    chan struct{} // closed when the delayed trade can be delivered
}

// found returns the options with absolute paths. It returns an error if a file is missing.
func (o Options) found() (Options, error) {
	for _, file := range []struct {
		name string
		path *string
	}{{"extension", &o.Extension}, {"function", &o.Function}, {"events", &o.Events}} {
		absolute, err := filepath.Abs(*file.path)
		if err == nil {
			_, err = os.Stat(absolute)
		}
		if err != nil {
			return o, fmt.Errorf("find the %s: %w; `make demo` in a clone of the repository runs the demo with all that it needs", file.name, err)
		}
		*file.path = absolute
	}
	return o, nil
}

func setUp(o Options) (*stage, error) {
	s := &stage{options: o, logs: &logs{}, deployed: map[string]*lambdalocal.Deployment{}, held: make(chan struct{})}
	var err error
	if s.collector, err = spancollector.Start(o.ForwardTo, o.ForwardHeaders); err != nil {
		return s, err
	}
	s.alpaca = alpacalocal.New(alpacalocal.Options{FailFirst: 1}) // so that a plan returns to its queue
	alpacaURL, err := s.alpaca.Start()
	if err != nil {
		return s, err
	}
	s.bus = buslocal.New(buslocal.Options{Limit: sizeLimit, Buses: []string{bus}, Fault: s.fault})
	busURL, err := s.bus.Start()
	if err != nil {
		return s, err
	}
	var leads map[string]string
	if o.NewBus {
		if leads, err = s.startNewBus(); err != nil {
			return s, err
		}
	}
	environments := filepath.Join(o.Dir, "environments")
	if err := os.RemoveAll(environments); err != nil {
		return s, fmt.Errorf("remove old environments: %w", err)
	}
	if err := os.MkdirAll(environments, 0o755); err != nil {
		return s, err
	}
	s.lambda = lambdalocal.New(lambdalocal.Options{Dir: environments, OnLog: s.logs.add})
	for _, f := range functions {
		if err := s.deploy(f, busURL, alpacaURL, leads); err != nil {
			return s, err
		}
	}
	if o.NewBus {
		if err := s.subscribe(); err != nil {
			return s, err
		}
	}
	return s, s.addRules()
}

func (s *stage) deploy(f function, busURL, alpacaURL string, leads map[string]string) error {
	env := map[string]string{
		"AWS_ENDPOINT_URL_EVENTBRIDGE": busURL, "ALPACA_URL": alpacaURL,
		"TRADINGDAY_EVENTS": s.options.Events, "TRADINGDAY_INIT": f.init,
		"OTEL_EXPORTER_OTLP_ENDPOINT": s.collector.URL,
		"THROUGHLINE_OTLP_ADDR":       "127.0.0.1:0",
		"THROUGHLINE_HTTP_HOSTS":      "127.0.0.1",
	}
	maps.Copy(env, leads)
	maps.Copy(env, s.options.Env)
	deployment, err := s.lambda.Create(lambdalocal.Function{
		Name: f.name, Handler: f.name, Timeout: f.timeout, Memory: 256, Retries: f.retries, MaxEnvironments: 1,
		Runtime: []string{s.options.Function}, Extensions: []string{s.options.Extension},
		Env: env,
	})
	if err != nil {
		return fmt.Errorf("create %s: %w", f.name, err)
	}
	s.deployed[f.name] = deployment
	return nil
}

// pattern matches the day's events of a type.
func pattern(detailType string) string {
	return fmt.Sprintf(`{"detail-type":[%q],"source":[{"prefix":"alchemiser."}]}`, detailType)
}

// redriven is the queue for redriven dead letters.
const redriven = "redriven"

// addRules creates the rules of the day. Plans go through a queue, hedge evaluations
// through a topic. With a new bus, the classic bus has only that topic.
func (s *stage) addRules() error {
	notifications, aggregator := s.target("notifications"), s.target("aggregator")
	plans := &buslocal.Queue{QueueName: "plans", Bus: s.bus, Consume: s.consume("execution")}
	s.redrive = &buslocal.Queue{QueueName: redriven, Bus: s.bus, Consume: s.consume("notifications")}
	topic := &buslocal.Topic{TopicName: "hedges", Subscribers: []buslocal.Target{notifications}}
	for _, r := range []struct {
		name, detailType string
		targets          []buslocal.Target
	}{
		{"signals", "SignalGenerated", []buslocal.Target{s.target("portfolio")}},
		{"plans", "RebalancePlanned", []buslocal.Target{plans}},
		{"trades", "TradeExecuted", []buslocal.Target{aggregator, notifications}},
		{"completed", "AllTradesCompleted", []buslocal.Target{s.target("hedge"), notifications}},
		{"hedges", "HedgeEvaluationCompleted", []buslocal.Target{topic}},
		{"schedules", "ScheduleCreated", []buslocal.Target{notifications}},
		{"data", "DataLakeUpdateCompleted", []buslocal.Target{s.target("reports")}},
	} {
		if s.newBus != nil && r.name != "hedges" {
			continue
		}
		rule := buslocal.Rule{Name: r.name, Bus: bus, Pattern: pattern(r.detailType)}
		for _, t := range r.targets {
			rule.Targets = append(rule.Targets, buslocal.RuleTarget{Target: t, DeadLetter: &s.dead})
		}
		if err := s.bus.AddRule(rule); err != nil {
			return err
		}
		s.rules = append(s.rules, rule)
	}
	return nil
}

// lambdaTarget invokes a function asynchronously, as EventBridge and SNS do, and records
// the delivery.
type lambdaTarget struct {
	stage *stage
	name  string
}

func (s *stage) target(name string) buslocal.Target { return &lambdaTarget{s, name} }

func (t *lambdaTarget) Name() string { return t.name }

func (t *lambdaTarget) Deliver(_ context.Context, m buslocal.Message) error {
	request, err := t.stage.deployed[t.name].InvokeAsync(m.Payload, lambdalocal.InvokeOptions{TraceHeader: m.TraceHeader})
	if err != nil {
		return err
	}
	t.stage.note(handled{function: t.name, event: m.Event, request: request})
	return nil
}

func (s *stage) note(h handled) {
	s.mu.Lock()
	s.handled = append(s.handled, h)
	s.mu.Unlock()
}

// consume invokes a function with a batch, as an event source mapping does. It waits for
// a free environment: the extension may still be busy with the previous batch, and a
// throttled receive would count as a delivery that no function received.
func (s *stage) consume(name string) func(context.Context, []byte, []string) []string {
	return func(ctx context.Context, payload []byte, ids []string) []string {
		result, err := s.deployed[name].Invoke(ctx, payload, lambdalocal.InvokeOptions{Wait: true})
		if err != nil {
			return ids
		}
		return result.FailedMessages(ids)
	}
}

// The deliveries with injected faults, by event ID.
const (
	redelivered = "trade-executed-6f25630d-0181-40f8-b126-16423423880b" // GOOGL
	heldBack    = "trade-executed-a402bb72-247a-4bb5-8d32-3d9e0d3be8ee" // MSFT; the event that it causes is the end of the run
)

func (s *stage) fault(d buslocal.Delivery) buslocal.Fault {
	if d.Target != "notifications" || d.Replay != "" {
		return buslocal.Fault{}
	}
	if d.Event.DetailType == "ScheduleCreated" { // a target without permission: the event goes to the dead-letter queue and is redriven
		return buslocal.Fault{Fail: buslocal.ErrPermanent}
	}
	switch eventID(d.Event) {
	case redelivered:
		return buslocal.Fault{Duplicate: 1}
	case heldBack:
		return buslocal.Fault{Until: s.held}
	default:
		return buslocal.Fault{}
	}
}

// eventID returns the event's own ID, or that of the envelope.
func eventID(e *buslocal.Event) string {
	var detail struct {
		ID string `json:"event_id"`
	}
	if json.Unmarshal([]byte(e.Detail), &detail) != nil || detail.ID == "" {
		return e.ID
	}
	return detail.ID
}

// publishedDetails returns the details in the folder of events, by event ID, or by type
// for an event without one.
func publishedDetails(folder string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	details := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		var entry struct{ DetailType, Detail string }
		if err := json.Unmarshal(data, &entry); err != nil {
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
		key := cmp.Or(eventID(&buslocal.Event{Detail: entry.Detail}), entry.DetailType)
		details[key] = entry.Detail
	}
	return details, nil
}

func (s *stage) takeDown() {
	if s.lambda != nil {
		_ = s.lambda.Close()
	}
	if s.newBus != nil {
		s.newBus.service.Close()
	}
	if s.bus != nil {
		s.bus.Close()
	}
	if s.alpaca != nil {
		s.alpaca.Close()
	}
	if s.collector != nil {
		s.collector.Close()
	}
}
