package clock_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 2, 13, 14, 0, 0, 0, time.UTC)

func TestStandsUntilAdvanced(t *testing.T) {
	c := clock.New(start, 0)
	rings, stop := c.At(start.Add(time.Hour))
	defer stop()
	c.Advance(59 * time.Minute)
	select {
	case <-rings:
		t.Fatal("it rang a minute early")
	default:
	}
	if got := c.Now(); !got.Equal(start.Add(59 * time.Minute)) {
		t.Errorf("it tells %v", got)
	}
	c.Advance(time.Minute)
	<-rings
	past, stopPast := c.At(start)
	defer stopPast()
	<-past
}

func TestRunsFast(t *testing.T) {
	c := clock.New(start, 36000)
	rings, stop := c.At(start.Add(10 * time.Hour)) // one second
	defer stop()
	<-rings
	if got := c.Now(); got.Before(start.Add(10 * time.Hour)) {
		t.Errorf("it rang at %v", got)
	}
}

func TestNilIsTheMachines(t *testing.T) {
	var c *clock.Clock
	before := time.Now()
	rings, stop := c.At(before)
	defer stop()
	<-rings
	if c.Now().Before(before) {
		t.Error("it tells the past")
	}
	_, forget := c.At(before.Add(time.Hour))
	forget()
	c.Advance(time.Hour)
}
