package lambdalocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options of a [Service].
type Options struct {
	// Dir is where functions keep their files: each environment has its own /tmp
	// under it. Required.
	Dir string
	// Keep is how many invocations of each function are kept at least; older ones are
	// removed. Zero: all.
	Keep int
	// Log receives every line of every log stream, as CloudWatch Logs would. Nil: none.
	Log io.Writer
	// OnLog is called with every line of every log stream, one at a time. Nil: not called.
	OnLog func(LogLine)
}

// Errors of invocations that are not errors of the function.
var (
	// ErrThrottled is returned by Invoke if MaxEnvironments are busy.
	ErrThrottled = errors.New("TooManyRequestsException: Rate Exceeded")
	// ErrTooLarge is returned if a payload exceeds 6 MB, or 1 MB asynchronously.
	ErrTooLarge = errors.New("RequestTooLargeException: the payload exceeds the limit")
	// ErrClosed is returned once the Service is closed.
	ErrClosed = errors.New("the local Lambda service is closed")
)

// Service is a local AWS Lambda. Safe for concurrent use.
type Service struct {
	options Options
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	logging sync.Mutex

	mu          sync.Mutex
	idle        chan struct{} // closed and replaced when outstanding falls to zero
	outstanding int           // invocations running or queued
	deployments map[string]*Deployment
	closed      bool
}

// New returns a Service without functions. Close it to stop its environments.
func New(options Options) *Service {
	ctx, cancel := context.WithCancel(context.Background())
	return &Service{
		options: options, ctx: ctx, cancel: cancel,
		idle: make(chan struct{}), deployments: map[string]*Deployment{},
	}
}

// Create creates a function. In modes with initialisation in advance, it waits
// until the environments are initialised. It returns an error if Lambda would
// reject the function, or if such an initialisation fails.
func (s *Service) Create(f Function) (*Deployment, error) {
	if s.options.Dir == "" {
		return nil, errors.New("create function: Options.Dir is required")
	}
	root, err := filepath.Abs(s.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("create function %s: %w", f.Name, err)
	}
	dir := filepath.Join(root, f.Name)
	function, err := f.complete(dir)
	if err != nil {
		return nil, fmt.Errorf("create function %s: %w", f.Name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create function %s: %w", f.Name, err)
	}
	d := &Deployment{service: s, function: function, dir: dir, current: function.Credentials, changed: make(chan struct{})}
	s.mu.Lock()
	_, taken := s.deployments[f.Name]
	if s.closed || taken {
		s.mu.Unlock()
		if taken {
			return nil, fmt.Errorf("create function %s: the name is taken", f.Name)
		}
		return nil, ErrClosed
	}
	s.deployments[f.Name] = d
	s.mu.Unlock()
	if err := d.warm(); err != nil {
		return nil, fmt.Errorf("create function %s: %w", f.Name, err)
	}
	return d, nil
}

// Deployment returns the function with that name, nil if there is none.
func (s *Service) Deployment(name string) *Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deployments[name]
}

// Wait returns when no invocation is running or queued, or with ctx's error.
func (s *Service) Wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		idle, outstanding := s.idle, s.outstanding
		s.mu.Unlock()
		if outstanding == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// closeGrace is how long Close waits for invocations.
const closeGrace = 3 * time.Second

// Close drops queued invocations, shuts every environment down as Lambda does with
// idle ones, and waits until that is done. An invocation in progress has three
// seconds to end, then its environment is killed.
func (s *Service) Close() error {
	s.cancel()
	s.mu.Lock()
	s.closed = true
	deployments := s.deployments
	s.mu.Unlock()
	for _, d := range deployments {
		for _, e := range d.Environments() {
			s.running.Go(func() { e.endWithin(closeGrace) })
		}
	}
	s.running.Wait()
	return nil
}

// begin counts a new invocation. It returns false once the service is closed.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.outstanding++
	s.running.Add(1)
	return true
}

func (s *Service) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outstanding--; s.outstanding == 0 {
		close(s.idle)
		s.idle = make(chan struct{})
	}
	s.running.Done()
}

func (s *Service) log(line LogLine) {
	s.logging.Lock()
	defer s.logging.Unlock()
	if s.options.Log != nil {
		_, _ = io.WriteString(s.options.Log, line.Text+"\n")
	}
	if s.options.OnLog != nil {
		s.options.OnLog(line)
	}
}
