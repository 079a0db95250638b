package lambdalocal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/throughline/throughline/local/internal/recent"
)

// Deployment is a function that a [Service] runs. Safe for concurrent use.
type Deployment struct {
	service  *Service
	function Function
	dir      string

	mu           sync.Mutex
	changed      chan struct{} // closed and replaced when an environment becomes free
	environments []*Environment
	truth        []Invocation
	dropped      int // number of oldest entries removed from truth
	counts       Counts
	current      Credentials
}

// Function returns the description of the function with defaults filled in.
func (d *Deployment) Function() Function { return d.function }

// Invoke calls the function and waits for its response. The result has errors of
// the function; the error is ErrThrottled, ErrTooLarge, ErrClosed or ctx's. The
// invocation continues if ctx ends first.
func (d *Deployment) Invoke(ctx context.Context, payload []byte, options InvokeOptions) (Result, error) {
	if len(payload) > maxRequest {
		return Result{}, ErrTooLarge
	}
	if !d.service.begin() {
		return Result{}, ErrClosed
	}
	inv := d.newInvocation(payload, options)
	e, err := d.acquire(ctx, options.Wait)
	if err != nil {
		d.service.finish()
		return Result{}, err
	}
	go func() {
		defer d.service.finish()
		d.run(e, inv)
	}()
	select {
	case <-inv.answered:
		return inv.result, nil
	case <-ctx.Done():
		return Result{RequestID: inv.id}, ctx.Err()
	}
}

// InvokeAsync queues an invocation and returns its request ID. If the function
// fails, it is retried with the same ID, up to Retries times. The error is
// ErrTooLarge or ErrClosed.
func (d *Deployment) InvokeAsync(payload []byte, options InvokeOptions) (string, error) {
	if len(payload) > maxAsyncRequest {
		return "", ErrTooLarge
	}
	if !d.service.begin() {
		return "", ErrClosed
	}
	inv := d.newInvocation(payload, options)
	inv.async = true
	go func() {
		defer d.service.finish()
		d.try(inv)
	}()
	return inv.id, nil
}

// try runs an asynchronous invocation until it succeeds or its retries are used up.
func (d *Deployment) try(inv *invocation) {
	delay := d.function.RetryDelay
	for {
		e, err := d.acquire(d.service.ctx, true)
		if err != nil {
			return
		}
		d.run(e, inv)
		if inv.result.FunctionError == "" || inv.attempt > d.function.Retries {
			if d.function.OnAsync != nil {
				d.function.OnAsync(Outcome{inv.result, inv.payload, inv.attempt})
			}
			return
		}
		select {
		case <-time.After(delay):
			delay *= 2
		case <-d.service.ctx.Done():
			return
		}
		inv = inv.again()
	}
}

// newInvocation returns an invocation with a request ID and a trace header.
func (d *Deployment) newInvocation(payload []byte, options InvokeOptions) *invocation {
	inv := &invocation{id: options.RequestID, attempt: 1, payload: payload, options: options, trace: options.TraceHeader}
	if inv.id == "" {
		inv.id = newUUID()
	}
	if inv.trace == "" {
		inv.trace = newTraceHeader(time.Now())
	}
	if options.NoTrace {
		inv.trace = ""
	}
	inv.answered, inv.done = make(chan struct{}), make(chan struct{})
	return inv
}

func (inv *invocation) again() *invocation {
	return &invocation{
		id: inv.id, attempt: inv.attempt + 1, async: true, trace: inv.trace, payload: inv.payload, options: inv.options,
		answered: make(chan struct{}), done: make(chan struct{}),
	}
}

// run runs an invocation in an environment that was acquired for it.
func (d *Deployment) run(e *Environment, inv *invocation) {
	d.mu.Lock()
	inv.index = d.dropped + len(d.truth)
	var gone int
	d.truth, gone = recent.Append(d.truth, d.service.options.Keep, Invocation{
		RequestID: inv.id, Attempt: inv.attempt, Async: inv.async, Environment: e.id, MemorySize: d.function.Memory,
		TraceHeader: inv.trace, TenantID: inv.options.TenantID, RequestBytes: len(inv.payload),
	})
	d.dropped += gone
	d.counts.Begun++
	d.mu.Unlock()
	e.handle(inv)
	d.release(e)
}

func (d *Deployment) update(inv *invocation, f func(*Invocation)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := inv.index - d.dropped; i >= 0 {
		f(&d.truth[i])
	}
}

// Counts are the numbers of attempts of invocations, including those removed because of
// [Options.Keep].
type Counts struct{ Begun, Ended, Failed int }

// Counts returns the function's counts so far.
func (d *Deployment) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts
}

func (d *Deployment) count(status Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts.Ended++
	if status != Success {
		d.counts.Failed++
	}
}

// Invocations returns the ground truth of every attempt so far, in the order in
// which environments received them. See Done for those that are still running.
func (d *Deployment) Invocations() []Invocation {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.truth)
}

// Environments returns the current environments, oldest first.
func (d *Deployment) Environments() []*Environment {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.environments)
}

// SetCredentials rotates the credentials: new processes get them in environment
// variables, and the container credentials endpoint returns them at once.
func (d *Deployment) SetCredentials(c Credentials) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = c
}

func (d *Deployment) credentials() Credentials {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current
}

// capacity returns how many concurrent invocations an environment accepts.
func (d *Deployment) capacity() int {
	if d.function.Mode == ManagedInstances {
		return d.function.Concurrency
	}
	return 1
}

// acquire reserves capacity in an environment: in the most recently used one with
// free capacity, so that others become idle, or else in a new one.
func (d *Deployment) acquire(ctx context.Context, wait bool) (*Environment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		if d.service.ctx.Err() != nil {
			return nil, ErrClosed
		}
		e, err := d.placeLocked()
		if err != nil {
			return nil, err
		}
		if e != nil {
			e.busy++
			if e.reaper != nil {
				e.reaper.Stop()
			}
			return e, nil
		}
		if !wait {
			return nil, ErrThrottled
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		d.mu.Lock()
	}
}

func (d *Deployment) placeLocked() (*Environment, error) {
	var best *Environment
	for _, e := range d.environments {
		if e.busy < d.capacity() && (best == nil || e.idleSince.After(best.idleSince)) {
			best = e
		}
	}
	if best != nil || len(d.environments) >= d.function.MaxEnvironments {
		return best, nil
	}
	mode := d.function.Mode
	if mode == ProvisionedConcurrency {
		mode = OnDemand // spillover
	}
	return d.addLocked(mode)
}

func (d *Deployment) addLocked(mode Mode) (*Environment, error) {
	e, err := newEnvironment(d, mode)
	if err != nil {
		return nil, fmt.Errorf("make an environment: %w", err)
	}
	d.environments = append(d.environments, e)
	return e, nil
}

// release returns capacity to an environment, and ends the environment if it is retired.
func (d *Deployment) release(e *Environment) {
	d.mu.Lock()
	e.busy--
	e.idleSince = time.Now()
	ends := e.retired && e.busy == 0
	if !e.retired && e.busy == 0 && d.function.KeepAlive > 0 && e.mode != ProvisionedConcurrency {
		e.reaper = time.AfterFunc(d.function.KeepAlive, func() { d.reap(e) })
	}
	d.freedLocked()
	d.mu.Unlock()
	if ends {
		e.dispose(e.reason)
	}
}

func (d *Deployment) freedLocked() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// reap shuts an environment down that has been idle for KeepAlive.
func (d *Deployment) reap(e *Environment) {
	d.mu.Lock()
	idle := e.busy == 0 && !e.retired
	d.mu.Unlock()
	if idle {
		d.retire(e, "spindown")
	}
}

// retire takes an environment out of use and ends it: at once if it is idle, else
// when the invocation in progress has ended.
func (d *Deployment) retire(e *Environment, reason string) {
	d.mu.Lock()
	if e.retired {
		d.mu.Unlock()
		return
	}
	e.retired, e.reason = true, reason
	if e.reaper != nil {
		e.reaper.Stop()
	}
	d.environments = slices.DeleteFunc(d.environments, func(other *Environment) bool { return other == e })
	d.freedLocked()
	idle := e.busy == 0
	d.mu.Unlock()
	if idle {
		e.dispose(reason)
	}
}

// warm initialises environments in advance if the function's mode requires it.
func (d *Deployment) warm() error {
	n := 0
	switch d.function.Mode {
	case ProvisionedConcurrency:
		n = d.function.Concurrency
	case SnapStart, ManagedInstances:
		n = 1
	}
	failures := make(chan error, n)
	for range n {
		d.mu.Lock()
		e, err := d.addLocked(d.function.Mode)
		if err == nil {
			e.busy = d.capacity() // it accepts no invocation yet
		}
		d.mu.Unlock()
		if err != nil {
			return err
		}
		go func() { failures <- d.warmOne(e) }()
	}
	var errs []error
	for range n {
		errs = append(errs, <-failures)
	}
	return errors.Join(errs...)
}

func (d *Deployment) warmOne(e *Environment) error {
	_, failed := e.initialiseAhead()
	if failed == nil && e.mode != ManagedInstances && !d.function.NoFreeze {
		e.Freeze()
	}
	d.mu.Lock()
	e.busy = 1
	d.mu.Unlock()
	if failed != nil {
		d.retire(e, "failure")
	}
	d.release(e)
	if failed != nil {
		return fmt.Errorf("initialise: %s %s", failed.kind, failed.message)
	}
	return nil
}
