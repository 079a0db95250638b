package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spancollector"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/invokelocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/schedulerlocal"
	"github.com/throughline/throughline/local/sqslocal"
)

const (
	busName = "alchemiser-trading-events-prod"
	lead    = "1" // the least time from a schedule's creation to its time, in seconds
)

// function is a function of the day, with its maximum number of environments.
type function struct {
	name, handler string
	environments  int
}

var functions = []function{
	{"schedule-manager", "schedule_manager.handle", 1},
	{"orchestrator", "orchestrator.handle", 1},
	{"strategy-worker", "strategy_worker.handle", 16},
	{"execution", "execution.handle", 10},
	{"trade-aggregator", "trade_aggregator.handle", 2},
	{"notifications", "consumers.notifications", 2},
	{"hedge-evaluator", "consumers.hedge_evaluator", 1},
	{"data", "data.handle", 1},
	{"dead-letters", "consumers.dead_letters", 1},
	{"account-data", "consumers.clock_run", 1},
	{"strategy-analytics", "consumers.clock_run", 1},
	{"strategy-reports", "consumers.clock_run", 1},
	{"hedge-roll-manager", "consumers.clock_run", 1},
}

// stage is everything that a day needs.
type stage struct {
	options   options
	dir       string // absolute
	ledger    *ledger
	collector *spancollector.Collector
	table     *table
	bus       *buslocal.Bus
	queues    *sqslocal.Service
	trades    *sqslocal.Queue
	dead      *sqslocal.Queue
	lambda    *lambdalocal.Service
	api       *invokelocal.API
	scheduler *schedulerlocal.Service
	base      lambdalocal.Function // the configuration that all functions share
	polled    []*sqslocal.Queue    // the queues with event source mappings
	ctx       context.Context      // ends the pollers
	stop      context.CancelFunc
	polling   sync.WaitGroup
	deployed  []string
	closers   []func()

	mu    sync.Mutex
	lines []lambdalocal.LogLine
}

func setUp(o options, p plan) (s *stage, err error) {
	s = &stage{options: o, ledger: newLedger()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if s.dir, err = filepath.Abs(o.dir); err != nil {
		return s, err
	}
	environments := filepath.Join(s.dir, "environments")
	if err := os.RemoveAll(environments); err != nil {
		return s, fmt.Errorf("remove files of an earlier day: %w", err)
	}
	if err := os.MkdirAll(environments, 0o755); err != nil {
		return s, err
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return s, err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "plan.json"), data, 0o644); err != nil {
		return s, err
	}
	if s.collector, err = spancollector.Start("", nil); err != nil {
		return s, err
	}
	if s.table, err = startTable(); err != nil {
		return s, err
	}
	s.bus = buslocal.New(buslocal.Options{Buses: []string{busName}})
	s.lambda = lambdalocal.New(lambdalocal.Options{Dir: environments, OnLog: s.log})
	s.api = invokelocal.New(s.lambda)
	s.scheduler = schedulerlocal.New(schedulerlocal.Options{Deliver: schedulerlocal.To(s.api, s.bus)})
	if err := s.makeQueues(); err != nil {
		return s, err
	}
	if err := s.prepare(); err != nil {
		return s, err
	}
	for _, f := range functions {
		var d invokelocal.Destinations
		if f.name == "strategy-worker" {
			d.OnFailure = invokelocal.ToBus(s.bus, busName)
		}
		if err := s.deploy(f, d); err != nil {
			return s, err
		}
	}
	s.poll(sqslocal.Mapping{Queue: s.trades, Concurrency: 10, Consume: s.consume("execution", s.sentByQueue)})
	return s, s.addRules()
}

func (s *stage) log(line lambdalocal.LogLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *stage) makeQueues() (err error) {
	s.queues = sqslocal.New(sqslocal.Options{})
	if s.dead, err = s.queues.Create("alchemiser-trade-execution-dlq.fifo", map[string]string{"FifoQueue": "true"}); err != nil {
		return err
	}
	s.trades, err = s.queues.Create("alchemiser-trade-execution.fifo", map[string]string{
		"FifoQueue": "true", "VisibilityTimeout": "600", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":3}`, s.dead.ARN()),
	})
	return err
}

// prepare finds what every function needs: the runtime, the layer, variables.
func (s *stage) prepare() error {
	env, err := s.environment()
	if err != nil {
		return err
	}
	paths := []string{s.options.extension, s.options.bootstrap, s.options.functions, filepath.Join(s.options.layer, "wrapper")}
	for i := range paths {
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return err
		}
		if _, err := os.Stat(paths[i]); err != nil {
			return fmt.Errorf("%w: run `make day`, which builds what is needed", err)
		}
	}
	s.base = lambdalocal.Function{
		Timeout: time.Minute, InitTimeout: time.Minute, Memory: 1024, ExecutionEnv: "AWS_Lambda_python3.12",
		Runtime: []string{s.options.python, paths[1]}, TaskRoot: paths[2], Extensions: []string{paths[0]}, Wrapper: paths[3], Env: env,
	}
	return nil
}

// deploy creates a function with destinations for its asynchronous invocations.
func (s *stage) deploy(f function, d invokelocal.Destinations) error {
	made := s.base
	made.Name, made.Handler, made.MaxEnvironments = f.name, f.handler, f.environments
	send := d.Of("arn:aws:lambda:us-east-1:123456789012:function:" + f.name)
	made.OnAsync = func(o lambdalocal.Outcome) {
		s.ledger.answered(o.RequestID, o.Payload)
		if o.FunctionError != "" {
			s.log(lambdalocal.LogLine{Function: f.name, Source: "player", Text: "failed: " + string(o.Payload)})
		}
		send(o)
	}
	if _, err := s.lambda.Create(made); err != nil {
		return fmt.Errorf("create %s: %w", f.name, err)
	}
	s.deployed = append(s.deployed, f.name)
	return nil
}

// environment returns the variables of every function.
func (s *stage) environment() (map[string]string, error) {
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": s.dir, "AWS_EC2_METADATA_DISABLED": "true", "PYTHONDONTWRITEBYTECODE": "1",
		"EVENT_BUS_NAME": busName, "TABLE": "alchemiser", "LEAD_SECONDS": lead, "DAY_PLAN": filepath.Join(s.dir, "plan.json"),
		"ORCHESTRATOR_ARN":            "arn:aws:lambda:us-east-1:123456789012:function:orchestrator",
		"AWS_ENDPOINT_URL_DYNAMODB":   s.table.url,
		"OTEL_EXPORTER_OTLP_ENDPOINT": s.collector.URL, "THROUGHLINE_HOPS": s.options.hops,
		"THROUGHLINE_ENDPOINTS": "otlp,runtime", // the wrapper is not in /opt here
	}
	for name, start := range map[string]func() (string, error){
		"EVENTBRIDGE": s.bus.Start, "SQS": s.queues.Start, "LAMBDA": s.api.Start, "SCHEDULER": s.scheduler.Start,
	} {
		url, err := start()
		if err != nil {
			return nil, err
		}
		env["AWS_ENDPOINT_URL_"+name] = url
	}
	env["TRADES_QUEUE_URL"] = s.trades.URL()
	return env, nil
}

// addRules sends the events of the bus to functions.
func (s *stage) addRules() error {
	for _, r := range []struct {
		detailType string
		targets    []string
	}{
		{"ScheduleCreated", []string{"notifications"}},
		{"TradeExecuted", []string{"trade-aggregator"}},
		{"AllTradesCompleted", []string{"notifications", "hedge-evaluator"}},
		{"AllStrategiesCompleted", []string{"notifications"}},
		{"DataLakeUpdateCompleted", []string{"notifications"}},
		{"Lambda Function Invocation Result - Failure", []string{"notifications"}},
	} {
		rule := buslocal.Rule{Name: strings.ReplaceAll(r.detailType, " ", ""), Bus: busName, Pattern: fmt.Sprintf(`{"detail-type":[%q]}`, r.detailType)}
		for _, name := range r.targets {
			rule.Targets = append(rule.Targets, buslocal.RuleTarget{Target: &target{s, name}})
		}
		if err := s.bus.AddRule(rule); err != nil {
			return err
		}
	}
	return nil
}

// poll delivers the messages of a queue to a function until the day ends.
func (s *stage) poll(m sqslocal.Mapping) {
	m.Retry = 10 * time.Millisecond
	s.polled = append(s.polled, m.Queue)
	s.polling.Go(func() { m.Run(s.ctx) })
}

// target invokes a function asynchronously for each event, as EventBridge does.
type target struct {
	stage *stage
	name  string
}

// Name implements buslocal.Target.
func (t *target) Name() string { return t.name }

// Deliver implements buslocal.Target.
func (t *target) Deliver(_ context.Context, m buslocal.Message) error {
	id, err := t.stage.lambda.Deployment(t.name).InvokeAsync(m.Payload, lambdalocal.InvokeOptions{TraceHeader: m.TraceHeader})
	if err != nil {
		return err
	}
	via := "bus"
	if m.Event.Source == "lambda" { // the invocation that ended is the cause, and the event names it
		via = "destination"
		var r struct {
			RequestContext struct {
				RequestID string `json:"requestId"`
			} `json:"requestContext"`
		}
		if err := json.Unmarshal([]byte(m.Event.Detail), &r); err != nil {
			return err
		}
		t.stage.ledger.sender(via, m.Event.ID, r.RequestContext.RequestID)
	}
	t.stage.ledger.delivered(via, m.Event.ID, m.Event.DetailType, id)
	return nil
}

// consume invokes a function with a batch, as an event source mapping does. note records
// which invocation got which message.
func (s *stage) consume(name string, note func(m message, requestID string)) func(context.Context, []byte, []string) []string {
	return func(ctx context.Context, event []byte, ids []string) []string {
		result, err := s.lambda.Deployment(name).Invoke(ctx, event, lambdalocal.InvokeOptions{Wait: true})
		if err != nil {
			return ids
		}
		var batch struct{ Records []message }
		if json.Unmarshal(event, &batch) != nil {
			return ids
		}
		for _, m := range batch.Records {
			note(m, result.RequestID)
		}
		s.ledger.answered(result.RequestID, result.Payload)
		return result.FailedMessages(ids)
	}
}

// message is a record of a batch.
type message struct {
	ID         string `json:"messageId"`
	Body       string `json:"body"`
	Attributes map[string]struct {
		Value string `json:"stringValue"`
	} `json:"messageAttributes"`
}

// sentByQueue records a message that a function sent to a queue.
func (s *stage) sentByQueue(m message, requestID string) {
	s.ledger.delivered("sqs", m.ID, "", requestID)
}

func (s *stage) takeDown() {
	s.stop()
	if s.queues != nil {
		s.queues.Close()
	}
	s.polling.Wait()
	for _, closer := range s.closers {
		closer()
	}
	if s.scheduler != nil {
		s.scheduler.Close()
	}
	if s.lambda != nil {
		_ = s.lambda.Close()
	}
	if s.api != nil {
		s.api.Close()
	}
	if s.bus != nil {
		s.bus.Close()
	}
	if s.table != nil {
		s.table.close()
	}
	if s.collector != nil {
		s.collector.Close()
	}
}
