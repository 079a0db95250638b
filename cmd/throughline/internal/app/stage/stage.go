// Package stage plays an application on this machine: functions in local Lambda
// environments with the layer attached, and the local services that stand for EventBridge,
// SQS, SNS, Scheduler, Lambda's Invoke API and API Gateway, wired as the plan says.
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
	Dir       string // what is made is put below it; absolute. Required.
	Template  string // folder of the template
	OTLP      string // the URL that spans are sent to
	Extension string // the extension's binary. Required.
	Python    string // interpreters, "" for those that fit
	Node      string
	Allow     []string          // hosts that functions may call
	Env       map[string]string // variables of every function, before the template's
	Moto      string            // moto's server, a name or a path
	// Concurrency is how many environments a function may have at most.
	Concurrency int
	Clock       *clock.Clock // of schedules, visibility and delays; nil: the machine's
	// Credentials are those of --aws real; nil: made-up ones, and AWS's hosts are refused.
	Credentials *lambdalocal.Credentials
	Region      string // of --aws real
	// Faults are what goes wrong on purpose. Nil: nothing.
	Faults *faults.Set
	// Record has the stage remember everything: see [Stage.Recorded].
	Record bool
	// Retry is when a message that a function left in its queue comes again. Zero: when its
	// visibility time-out has passed.
	Retry time.Duration
	// Attempts is how often a function may leave a message in a queue without a redrive
	// policy before it is dropped, see [Stage.GaveUp], and at most fail a batch of a stream.
	// Zero: without end, or as the stream's mapping says.
	Attempts int
	// OnLog is told every line of every function, one at a time. Nil: not.
	OnLog func(lambdalocal.LogLine)
	// OnRefused is told the host of each call that the gateway refuses. Nil: not.
	OnRefused func(host string)
}

// Stage is an application that is played. Use [Open], then [Stage.Play], and close it.
// Safe for concurrent use once it plays.
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
	urls       map[string]string // of the stands, by the name in AWS_ENDPOINT_URL_…
	apiURL     string
	codes      map[string]*code.Code // by function
	notes      []string
	ctx        context.Context
	stop       context.CancelFunc
	running    sync.WaitGroup
	closeFront func() // of the bus; nil before
	moto       *moto  // nil where the plan has nothing for it, or it is not there
	closeS3    func()
	streams    []*stream

	looking sync.Mutex
	prints  map[string]uint64 // of functions' code

	mu      sync.Mutex
	closed  bool
	letters []buslocal.DeadLetter // where everything is remembered
	gaveUp  map[GaveUp]int        // messages
}

// kept is how many events, messages and invocations the stands remember at least.
const kept = 1000

// Open starts the stands that a plan's URLs are of.
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
			return s, fmt.Errorf("clear what an earlier start left: %w", err)
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

// allowed are the hosts that functions may call.
func (s *Stage) allowed() []string {
	allow := append([]string{}, s.options.Allow...)
	if s.options.Credentials != nil {
		allow = append(allow, "*.amazonaws.com", "*.api.aws")
	}
	return allow
}

// Endpoints are the URLs that a plan's queues and APIs have here.
func (s *Stage) Endpoints() (queues, api string) { return s.urls["SQS"], s.apiURL }

// Play makes what the plan has. It returns when every function can be invoked; code that
// has to be built is built before. Notes say what is otherwise than in AWS.
func (s *Stage) Play(ctx context.Context, p *plan.Plan) error {
	s.plan = p
	keep := kept
	if s.options.Record {
		keep = 0
	}
	s.bus = buslocal.New(buslocal.Options{Buses: p.Buses, Fault: s.delivery, Keep: keep})
	s.fresh = eventsv2local.New(eventsv2local.Options{Account: plan.Account, Region: plan.Region, Fault: s.delivery, ID: plan.NewBusID, Keep: keep})
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

func (s *Stage) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// Notes are what is otherwise than in AWS, beside the plan's.
func (s *Stage) Notes() []string { return append(s.notes, s.finder.Notes()...) }

// Close ends everything. Environments are shut down as Lambda does it, so that their
// extensions export what they have; what does not end in time is killed.
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

// spawn runs f, which ends soon after the stage is closed, and has Close wait for it.
func (s *Stage) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.running.Go(f)
	}
}

// Settle waits until nothing is on its way: what one stand hands over may give another
// work again. Messages that nobody reads count for nothing.
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

// Waiting is how many messages are in queues that functions read.
func (s *Stage) Waiting() (n int) {
	for _, m := range s.plan.Mappings {
		if q := s.queues.Queue(m.Source); q != nil {
			visible, inFlight, delayed := q.Count()
			n += visible + inFlight + delayed
		}
	}
	return n
}
