package shims

import (
	"context"
	"errors"

	"github.com/throughline/throughline/extension/internal/hops"
)

// hops processes a report of one call to a queue, a topic, a function, a state
// machine, a schedule or a stream.
func (e *Endpoint) hops(trace string, body []byte) error {
	var told hops.Report
	if err := read(body, &told); err != nil {
		return err
	}
	if wrong := told.Wrong(); wrong != "" {
		return errors.New(wrong)
	}
	start, end := e.within(told.Start, told.End)
	e.Hops.Report(e.calling(trace), &told, start, end)
	return nil
}

// calling returns the context of the invocation that a call with this trace header
// belongs to. If a report arrives after its invocation is over, calling returns an
// empty context, and not that of the current invocation.
func (e *Endpoint) calling(header string) context.Context {
	if i := e.InFlight.Find(header); i != nil && (header == "" || i.Header == "" || header == i.Header) {
		return i.Context
	}
	return context.Background()
}
