// Package schedulerlocal is a local Amazon EventBridge Scheduler: it serves
// CreateSchedule, GetSchedule, ListSchedules and DeleteSchedule to AWS's SDKs,
// and invokes the targets of schedules with at(…), rate(…) and cron(…), by a
// clock that can run fast or stop.
//
// [Service.Start] returns the URL to give SDKs as AWS_ENDPOINT_URL_SCHEDULER.
// It follows the EventBridge Scheduler API reference of 2026. Flexible windows,
// start dates and end dates are accepted and ignored.
package schedulerlocal

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/internal/recent"
	"github.com/throughline/throughline/local/internal/wire"
)

// Options of a [Service].
type Options struct {
	Clock *clock.Clock // nil: the machine's
	// Deliver invokes the target of a schedule and returns the resulting request ID or
	// event ID. It is retried according to the schedule's retry policy. Required.
	Deliver func(ctx context.Context, t Target) (id string, err error)
	// RetryDelay is the wait between attempts. Zero: 10 ms. Scheduler waits seconds.
	RetryDelay time.Duration
	Keep       int    // how many deliveries are kept at least; older ones are removed. Zero: all.
	Account    string // zero: 123456789012
	Region     string // zero: us-east-1
}

// Target is the target of a schedule, with its input.
type Target struct {
	ARN   string `json:"Arn"`
	Role  string `json:"RoleArn"`
	Input string `json:",omitempty"` // with the context attributes filled in, when it is delivered
	// Events is set if the target is a bus.
	Events *struct{ DetailType, Source string } `json:"EventBridgeParameters,omitempty"`
	Retry  *struct {
		Attempts *int `json:"MaximumRetryAttempts,omitempty"`
		Age      *int `json:"MaximumEventAgeInSeconds,omitempty"`
	} `json:"RetryPolicy,omitempty"`
	Schedule string `json:"-"` // the schedule's ARN
}

// Fired is one delivery.
type Fired struct {
	Schedule string // ARN
	Target   string // ARN
	ID       string // as Deliver returned it
	Due, At  time.Time
	Attempts int
	Err      error // of the last attempt
}

// schedule is a schedule as the API represents it.
type schedule struct {
	Arn, Name, GroupName       string
	ScheduleExpression         string
	ScheduleExpressionTimezone string `json:",omitempty"`
	Description                string `json:",omitempty"`
	State                      string
	ActionAfterCompletion      string
	FlexibleTimeWindow         json.RawMessage
	Target                     Target
	CreationDate               float64
	LastModificationDate       float64

	when   Expression
	cancel func() // nil if it no longer fires
	token  string
}

// Service is a local Scheduler. Use [New], and close it. Safe for concurrent use.
type Service struct {
	options Options
	server  wire.Server
	ctx     context.Context
	stop    context.CancelFunc
	firing  sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	schedules map[string]*schedule // by group and name
	fired     []Fired
}

// New returns a Service without schedules.
func New(o Options) *Service {
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.RetryDelay == 0 {
		o.RetryDelay = 10 * time.Millisecond
	}
	s := &Service{options: o, schedules: map[string]*schedule{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Start listens on a free port of the loopback interface and returns the URL.
func (s *Service) Start() (string, error) {
	url, err := s.server.Start(s)
	if err != nil {
		return "", fmt.Errorf("start the local scheduler: %w", err)
	}
	return url, nil
}

// Close stops the server and cancels the schedules.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.server.Close()
	s.firing.Wait()
}

// Fired returns the deliveries, in order.
func (s *Service) Fired() []Fired {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fired)
}

// Waiting returns how many one-time schedules have not fired yet.
func (s *Service) Waiting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.schedules {
		if one.cancel != nil && one.when.Once() {
			n++
		}
	}
	return n
}

// fault is an error of the API.
type fault struct {
	status        int
	code, message string
}

const maxBody = 1 << 20

var path = regexp.MustCompile(`^/schedules(?:/([0-9a-zA-Z_.-]{1,64}))?/?$`)

// ServeHTTP serves Scheduler's API (protocol restJson1).
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := wire.Body(w, r, maxBody)
	parts := path.FindStringSubmatch(r.URL.Path)
	if !ok || parts == nil {
		refuse(w, fault{http.StatusBadRequest, "ValidationException", "The schedule's name or the body is not valid."})
		return
	}
	name, query := parts[1], r.URL.Query()
	var out any
	var problem *fault
	switch {
	case name == "" && r.Method == http.MethodGet:
		out = s.list(query.Get("ScheduleGroup"), query.Get("NamePrefix"))
	case name != "" && r.Method == http.MethodPost:
		out, problem = s.create(name, body)
	case name != "" && r.Method == http.MethodGet:
		out, problem = s.get(query.Get("groupName"), name)
	case name != "" && r.Method == http.MethodDelete:
		out, problem = s.delete(query.Get("groupName"), name)
	default:
		problem = &fault{http.StatusBadRequest, "UnknownOperationException", r.Method + " " + r.URL.Path}
	}
	if problem != nil {
		refuse(w, *problem)
		return
	}
	wire.WriteJSON(w, http.StatusOK, "application/json", out)
}

func refuse(w http.ResponseWriter, f fault) {
	w.Header().Set("X-Amzn-Errortype", f.code)
	wire.WriteJSON(w, f.status, "application/json", map[string]string{"Message": f.message})
}

var errNone = &fault{http.StatusNotFound, "ResourceNotFoundException", "Schedule does not exist."}

func invalid(format string, args ...any) *fault {
	return &fault{http.StatusBadRequest, "ValidationException", fmt.Sprintf(format, args...)}
}

func key(group, name string) string {
	if group == "" {
		group = "default"
	}
	return group + "/" + name
}

// Create creates a schedule from the body of a CreateSchedule request.
func (s *Service) Create(name string, body []byte) error {
	if _, problem := s.create(name, body); problem != nil {
		return fmt.Errorf("create the schedule %s: %s: %s", name, problem.code, problem.message)
	}
	return nil
}

// Fire invokes the target of a schedule now, regardless of its time and state.
func (s *Service) Fire(ctx context.Context, group, name string) (Fired, error) {
	s.mu.Lock()
	one := s.schedules[key(group, name)]
	if one == nil {
		s.mu.Unlock()
		return Fired{}, fmt.Errorf("there is no schedule %s", name)
	}
	target := one.Target
	target.Schedule = one.Arn
	s.mu.Unlock()
	fired := s.fire(ctx, target, s.options.Clock.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fired, _ = recent.Append(s.fired, s.options.Keep, fired)
	return fired, fired.Err
}

func (s *Service) create(name string, body []byte) (any, *fault) {
	var in struct {
		schedule
		ClientToken string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &fault{http.StatusBadRequest, "SerializationException", "The body cannot be read."}
	}
	one := in.schedule
	one.Name, one.token = name, in.ClientToken
	if one.GroupName == "" {
		one.GroupName = "default"
	}
	if one.State == "" {
		one.State = "ENABLED"
	}
	if one.ActionAfterCompletion == "" {
		one.ActionAfterCompletion = "NONE"
	}
	if problem := one.check(); problem != nil {
		return nil, problem
	}
	now := s.options.Clock.Now()
	one.Arn = fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule/%s/%s", s.options.Region, s.options.Account, one.GroupName, name)
	one.CreationDate = float64(now.UnixMilli()) / 1000
	one.LastModificationDate = one.CreationDate
	if _, later := one.when.Next(now.Add(-time.Minute)); one.when.Once() && !later { // in the past, with a minute of tolerance
		return nil, invalid("Invalid Schedule Expression %s: it is in the past.", one.ScheduleExpression)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := key(one.GroupName, name)
	if known := s.schedules[id]; known != nil {
		if known.token != "" && known.token == one.token {
			return map[string]string{"ScheduleArn": known.Arn}, nil // a retry of the same call
		}
		return nil, &fault{http.StatusConflict, "ConflictException", "Schedule " + name + " already exists."}
	}
	s.schedules[id] = &one
	if one.State == "ENABLED" && !s.closed {
		s.armLocked(id, &one)
	}
	return map[string]string{"ScheduleArn": one.Arn}, nil
}

func (one *schedule) check() *fault {
	switch {
	case one.Target.ARN == "" || one.Target.Role == "":
		return invalid("1 validation error detected: Target.Arn and Target.RoleArn are required.")
	case len(one.FlexibleTimeWindow) == 0:
		return invalid("1 validation error detected: FlexibleTimeWindow is required.")
	case strings.Contains(one.Target.ARN, ":event-bus/") != (one.Target.Events != nil):
		return invalid("EventBridgeParameters are required of a target that is an event bus, and of no other.")
	case strings.Contains(one.Target.ARN, ":lambda:") && one.Target.Input != "" && !json.Valid([]byte(one.Target.Input)):
		return invalid("Input is not valid JSON.")
	}
	if _, err := time.LoadLocation(one.ScheduleExpressionTimezone); err != nil {
		return invalid("Invalid ScheduleExpressionTimezone %s.", one.ScheduleExpressionTimezone)
	}
	var err error
	if one.when, err = ParseExpression(one.ScheduleExpression, one.ScheduleExpressionTimezone); err != nil {
		return invalid("Invalid Schedule Expression %s.", one.ScheduleExpression)
	}
	return nil
}

func (s *Service) get(group, name string) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.schedules[key(group, name)]
	if one == nil {
		return nil, errNone
	}
	return *one, nil
}

func (s *Service) delete(group, name string) (any, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.schedules[key(group, name)]
	if one == nil {
		return nil, errNone
	}
	if one.cancel != nil {
		one.cancel()
	}
	delete(s.schedules, key(group, name))
	return struct{}{}, nil
}

func (s *Service) list(group, prefix string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []schedule{}
	for _, id := range slices.Sorted(maps.Keys(s.schedules)) {
		one := s.schedules[id]
		if (group == "" || one.GroupName == group) && strings.HasPrefix(one.Name, prefix) {
			list = append(list, *one)
		}
	}
	return map[string]any{"Schedules": list}
}

// armLocked starts the goroutine that fires a schedule at its times.
func (s *Service) armLocked(id string, one *schedule) {
	ctx, cancel := context.WithCancel(s.ctx)
	one.cancel = cancel
	target, when, after := one.Target, one.when, one.ActionAfterCompletion
	target.Schedule = one.Arn
	start := s.options.Clock.Now()
	if when.Once() {
		start = time.Time{} // a time that has just passed fires too
	}
	s.firing.Go(func() {
		defer cancel()
		for due, ok := when.Next(start); ok; due, ok = when.Next(due) {
			rings, stop := s.options.Clock.At(due)
			select {
			case <-rings:
			case <-ctx.Done():
			}
			stop()
			if ctx.Err() != nil {
				return
			}
			fired := s.fire(ctx, target, due)
			s.mu.Lock()
			s.fired, _ = recent.Append(s.fired, s.options.Keep, fired)
			s.mu.Unlock()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		one.cancel = nil
		if after == "DELETE" && s.schedules[id] == one {
			delete(s.schedules, id)
		}
	})
}
