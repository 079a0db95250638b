// Package stage runs an application on this machine: functions in local Lambda
// environments with the layer attached, and local services that emulate EventBridge, SQS,
// SNS, Scheduler, Lambda's Invoke API and API Gateway, connected as the plan says.
package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/code"
	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
	"github.com/throughline/throughline/cmd/throughline/internal/app/gateway"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/alpacalocal"
	"github.com/throughline/throughline/local/apilocal"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/eventsv2local"
	"github.com/throughline/throughline/local/invokelocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/schedulerlocal"
	"github.com/throughline/throughline/local/snslocal"
	"github.com/throughline/throughline/local/sqslocal"
)

// Options of a [Stage].
type Options struct {
	Dir       string // the folder for new files, an absolute path. Required.
	Template  string // the folder of the template
	OTLP      string // the URL that spans are exported to
	Extension string // the path of the extension's binary. Required.
	Python    string // interpreters; "" for those on the PATH
	Node      string
	Allow     []string          // hosts that functions can call
	Env       map[string]string // variables of every function; the template's take precedence
	Moto      string            // the name or path of moto's server
	// Concurrency is the maximum number of environments of a function.
	Concurrency int
	Clock       *clock.Clock // for schedules, visibility time-outs and delays; nil means the machine's clock
	// Credentials are the user's with --aws real. If nil, functions have made-up
	// credentials, and calls to AWS's hosts are refused.
	Credentials *lambdalocal.Credentials
	Region      string // the Region of --aws real
	// Faults are the faults to inject. nil means none.
	Faults *faults.Set
	// Record makes the stage keep every delivery: see [Stage.Recorded].
	Record bool
	// Retry is when a message is delivered again that a function did not delete. 0 means
	// after its visibility time-out.
	Retry time.Duration
	// Attempts is the number of times that a function can leave a message in a queue
	// without a redrive policy before it is dropped, see [Stage.GaveUp], and fail a batch
	// of a stream. 0 means no limit, or that of the stream's mapping.
	Attempts int
	// OnLog, if not nil, is called for every line of every function's log, from one
	// goroutine at a time.
	OnLog func(lambdalocal.LogLine)
	// OnRefused, if not nil, is called with the host of each call that the gateway
	// refuses.
	OnRefused func(host string)
	// OnEvent, if not nil, is called with each event that a bus has accepted. A new custom
	// bus is named as [Sent] names it. It must be safe for concurrent use.
	OnEvent func(buslocal.Event)
}

// Stage is an application that runs. Use [Open], then [Stage.Play], and close it. It is
// safe for concurrent use after Play.
type Stage struct {
	options    Options
	plan       *plan.Plan
	gateway    *gateway.Gateway
	alpaca     *alpacalocal.Service
	bus        *buslocal.Bus
	fresh      *eventsv2local.Service // the new custom buses
	newBuses   map[string]*eventsv2local.Bus
	queues     *sqslocal.Service
	topics     *snslocal.Service
	lambda     *lambdalocal.Service
	invoke     *invokelocal.API
	times      *schedulerlocal.Service
	api        *apilocal.Service
	finder     *code.Finder
	urls       map[string]string // URLs of the local services, by the name in AWS_ENDPOINT_URL_…
	apiURL     string
	codes      map[string]*code.Code // by function
	notes      []string
	ctx        context.Context
	stop       context.CancelFunc
	running    sync.WaitGroup
	closeFront func() // closes the bus's server; nil before it starts
	moto       *moto  // nil if the plan does not need it or it is not installed
	closeS3    func()
	streams    []*stream

	looking sync.Mutex
	prints  map[string]uint64 // of functions' code

	mu      sync.Mutex
	closed  bool
	letters []buslocal.DeadLetter // with Options.Record
	gaveUp  map[GaveUp]int        // the number of dropped messages
}

// kept is the least number of events, messages and invocations that the local services
// keep.
const kept = 1000

// Open starts the local services whose URLs a plan contains.
func Open(o Options) (s *Stage, err error) {
	if o.Faults == nil {
		o.Faults = new(faults.Set)
	}
	s = &Stage{options: o, urls: map[string]string{}, codes: map[string]*code.Code{}, newBuses: map[string]*eventsv2local.Bus{}, gaveUp: map[GaveUp]int{}, prints: map[string]uint64{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	environments := filepath.Join(o.Dir, "environments")
	for _, dir := range []string{environments, filepath.Join(o.Dir, "code"), filepath.Join(o.Dir, "opt")} {
		if err = os.RemoveAll(dir); err != nil {
			return s, fmt.Errorf("remove files of an earlier run: %w", err)
		}
	}
	for _, dir := range []string{environments, filepath.Join(o.Dir, "home")} {
		if err = os.MkdirAll(dir, 0o700); err != nil {
			return s, err
		}
	}
	if s.finder, err = code.NewFinder(code.Options{Template: o.Template, Dir: o.Dir, Python: o.Python, Node: o.Node}); err != nil {
		return s, err
	}
	s.alpaca = alpacalocal.New(alpacalocal.Options{})
	if s.gateway, err = gateway.Start(o.Dir, gateway.Options{Played: map[string]http.Handler{"*.alpaca.markets": s.alpaca}, Allow: s.allowed(), OnRefused: o.OnRefused, Fault: o.Faults.Call}); err != nil {
		return s, err
	}
	s.lambda = lambdalocal.New(lambdalocal.Options{Dir: environments, OnLog: o.OnLog, Keep: kept})
	s.invoke = invokelocal.New(s.lambda)
	s.invoke.Keep = kept
	s.queues = sqslocal.New(sqslocal.Options{Clock: o.Clock, Keep: kept})
	s.topics = snslocal.New(snslocal.Options{Queues: s.queues, Function: s.async, Keep: kept})
	s.times = schedulerlocal.New(schedulerlocal.Options{Clock: o.Clock, Deliver: s.scheduled, Keep: kept})
	s.api = apilocal.New(apilocal.Options{Invoke: s.answer})
	for name, start := range map[string]func() (string, error){"LAMBDA": s.invoke.Start, "SQS": s.queues.Start, "SNS": s.topics.Start, "SCHEDULER": s.times.Start} {
		if s.urls[name], err = start(); err != nil {
			return s, err
		}
	}
	s.apiURL, err = s.api.Start()
	return s, err
}

// allowed returns the hosts that functions can call.
func (s *Stage) allowed() []string {
	allow := append([]string{}, s.options.Allow...)
	if s.options.Credentials != nil {
		allow = append(allow, "*.amazonaws.com", "*.api.aws")
	}
	return allow
}

// Endpoints returns the base URLs of queues and APIs.
func (s *Stage) Endpoints() (queues, api string) { return s.urls["SQS"], s.apiURL }

// Play creates the plan's resources. It builds code where needed, and returns when every
// function can be invoked. Notes then has the differences from AWS.
func (s *Stage) Play(ctx context.Context, p *plan.Plan) error {
	s.plan = p
	keep := kept
	if s.options.Record {
		keep = 0
	}
	s.bus = buslocal.New(buslocal.Options{Buses: p.Buses, Fault: s.delivery, Keep: keep, OnEvent: func(e *buslocal.Event) { s.accepted(e, e.Bus) }})
	s.fresh = eventsv2local.New(eventsv2local.Options{Account: plan.Account, Region: plan.Region, Fault: s.delivery, ID: plan.NewBusID, Keep: keep,
		OnEvent: func(b *eventsv2local.Bus, e *eventsv2local.Event) { s.accepted(&e.Event, s.called(b.ARN)) }})
	var err error
	if s.urls["EVENTBRIDGE"], s.closeFront, err = s.front(); err != nil {
		return err
	}
	s.urls["EVENTBRIDGEV2"] = s.urls["EVENTBRIDGE"]
	for _, step := range []func() error{
		s.stores, s.makeQueues, s.makeTopics, func() error { return s.makeFunctions(ctx) }, func() error { return s.fill(ctx) }, s.makeNewBuses, s.makeRules, s.makeSchedules, s.makeMappings, s.makeRoutes,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	s.remember()
	s.running.Go(s.watch)
	return nil
}

// accepted passes on an event that a bus has accepted.
func (s *Stage) accepted(e *buslocal.Event, bus string) {
	if s.options.OnEvent != nil {
		named := *e
		named.Bus = bus
		s.options.OnEvent(named)
	}
}

func (s *Stage) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// Notes returns differences from AWS, in addition to the plan's notes.
func (s *Stage) Notes() []string { return append(s.notes, s.finder.Notes()...) }

// Close ends everything. Environments are shut down as in Lambda, so that their
// extensions export their remaining spans. Processes that do not end in time are killed.
func (s *Stage) Close() {
	s.stop()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.closeFront != nil {
		s.closeFront()
	}
	if s.api != nil {
		s.api.Close()
	}
	if s.times != nil {
		s.times.Close()
	}
	if s.queues != nil {
		s.queues.Close()
	}
	if s.bus != nil {
		s.bus.Close()
	}
	if s.fresh != nil {
		s.fresh.Close()
	}
	s.running.Wait()
	if s.lambda != nil {
		_ = s.lambda.Close()
	}
	if s.invoke != nil {
		s.invoke.Close()
	}
	if s.topics != nil {
		s.topics.Close()
	}
	if s.gateway != nil {
		s.gateway.Close()
	}
	if s.closeS3 != nil {
		s.closeS3()
	}
	if s.moto != nil {
		s.moto.close()
	}
}

// async invokes the function with an ARN asynchronously.
func (s *Stage) async(arn string, event []byte, header string) (string, error) {
	name := plan.NameOf(arn)
	d := s.lambda.Deployment(name)
	switch {
	case d == nil:
		return "", fmt.Errorf("%w: there is no function %s", buslocal.ErrPermanent, name)
	case s.options.Faults.Throttled(name):
		return "", lambdalocal.ErrThrottled
	}
	return d.InvokeAsync(event, lambdalocal.InvokeOptions{TraceHeader: header})
}

// answer invokes a function for a request over HTTP.
func (s *Stage) answer(ctx context.Context, function string, event []byte, header string) (apilocal.Answer, error) {
	if s.options.Faults.Throttled(function) {
		return apilocal.Answer{}, apilocal.ErrThrottled
	}
	result, err := s.lambda.Deployment(function).Invoke(ctx, event, lambdalocal.InvokeOptions{TraceHeader: header})
	if errors.Is(err, lambdalocal.ErrThrottled) {
		return apilocal.Answer{}, apilocal.ErrThrottled
	}
	return apilocal.Answer{Payload: result.Payload, Failed: result.FunctionError != ""}, err
}

// spawn runs f in a goroutine that Close waits for. f must end soon after the stage is
// closed.
func (s *Stage) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.running.Go(f)
	}
}

// Settle waits until all events, messages and invocations are handled, including those
// that a handler causes. It ignores messages in queues without a consumer.
func (s *Stage) Settle(ctx context.Context) error {
	for quiet := 0; quiet < 2; {
		if err := s.fresh.Wait(ctx); err != nil {
			return err
		}
		if err := s.bus.Wait(ctx); err != nil {
			return err
		}
		if err := s.lambda.Wait(ctx); err != nil {
			return fmt.Errorf("wait for functions: %w", err)
		}
		if quiet++; s.Waiting() > 0 {
			quiet = 0
		}
		const often = 20 * time.Millisecond
		select {
		case <-time.After(often):
		case <-ctx.Done():
			return fmt.Errorf("wait for queues: %w", ctx.Err())
		}
		for _, r := range s.streams {
			if quiet == 2 && !r.quiet(ctx) {
				quiet = 0
			}
		}
	}
	return nil
}

// Waiting returns the number of messages in queues that functions read.
func (s *Stage) Waiting() (n int) {
	for _, m := range s.plan.Mappings {
		if q := s.queues.Queue(m.Source); q != nil {
			visible, inFlight, delayed := q.Count()
			n += visible + inFlight + delayed
		}
	}
	return n
}
