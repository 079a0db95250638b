// Package clock is a clock for local services: it runs in real time, runs
// faster, or stops until it is advanced.
package clock

import (
	"sync"
	"time"
)

// Clock is a clock that may differ from the machine's. A nil Clock is the
// machine's. Use [New] for another one. Safe for concurrent use.
type Clock struct {
	speed float64

	mu     sync.Mutex
	origin time.Time // of the machine's clock
	base   time.Time // this clock's time at origin
	alarms map[*alarm]struct{}
}

type alarm struct {
	at    time.Time
	timer *time.Timer // nil if the clock is stopped
	rings chan struct{}
}

// New returns a clock whose time is now start and that runs speed times as fast as
// the machine's. With a speed of 0 only [Clock.Advance] moves it.
func New(start time.Time, speed float64) *Clock {
	return &Clock{speed: max(speed, 0), origin: time.Now(), base: start, alarms: map[*alarm]struct{}{}}
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

func (c *Clock) nowLocked() time.Time {
	return c.base.Add(time.Duration(float64(time.Since(c.origin)) * c.speed))
}

// Advance moves the clock forward by d and closes the channels of [Clock.At] that
// are due. A nil clock cannot be moved.
func (c *Clock) Advance(d time.Duration) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.nowLocked().Add(d)
	c.origin, c.base = time.Now(), now
	for a := range c.alarms {
		c.setLocked(a, now)
	}
}

// At returns a channel that is closed at t by this clock, at once if t is past.
// stop releases the resources, and must be called in any case.
func (c *Clock) At(t time.Time) (rings <-chan struct{}, stop func()) {
	if c == nil {
		c = New(time.Now(), 1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{at: t, rings: make(chan struct{})}
	c.alarms[a] = struct{}{}
	c.setLocked(a, c.nowLocked())
	return a.rings, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.forgetLocked(a)
	}
}

// setLocked closes the channel of an alarm that is due, or resets its timer.
func (c *Clock) setLocked(a *alarm, now time.Time) {
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	wait := a.at.Sub(now)
	switch {
	case wait <= 0:
		c.forgetLocked(a)
		close(a.rings)
	case c.speed > 0:
		a.timer = time.AfterFunc(time.Duration(float64(wait)/c.speed)+time.Microsecond, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if _, waiting := c.alarms[a]; waiting {
				c.setLocked(a, c.nowLocked())
			}
		})
	}
}

func (c *Clock) forgetLocked(a *alarm) {
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	delete(c.alarms, a)
}
