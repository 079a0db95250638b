package stage

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

var errOnPurpose = errors.New("injected fault")

// delivery returns the fault for a delivery of the bus.
func (s *Stage) delivery(d buslocal.Delivery) (f buslocal.Fault) {
	on := s.options.Faults.Delivery(d.Target, d.Rule)
	f.Delay = on.Delay
	if on.Duplicate {
		f.Duplicate = 1
	}
	switch {
	case on.Refuse:
		f.Fail = fmt.Errorf("%w: injected fault", buslocal.ErrPermanent)
	case on.Fail:
		f.Fail = errOnPurpose
	}
	return f
}

// serve serves a handler on a free port of the loopback interface. Pages in a browser are
// refused, as the local services refuse them.
func serve(h http.Handler) (url string, end func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen on loopback: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); r.Header.Get("Origin") != "" || site != "" && site != "none" {
			http.Error(w, "pages in a browser are refused", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	return "http://" + listener.Addr().String(), func() { _ = server.Close(); <-served }, nil
}

// hook returns the function that injects faults into a function's invocations.
func (s *Stage) hook(function string) func(lambdalocal.Event) {
	return func(e lambdalocal.Event) {
		switch e.Point {
		case lambdalocal.InvokeSent:
			switch kind, d := s.options.Faults.Invocation(function); kind {
			case faults.Kill:
				_ = e.Environment.KillRuntime() // the runtime may have just ended by itself
			case faults.Timeout:
				e.Environment.Freeze()
			case faults.Freeze:
				e.Environment.Freeze()
				s.spawn(func() {
					select {
					case <-time.After(d):
					case <-s.ctx.Done():
					}
					e.Environment.Thaw()
				})
			}
		case lambdalocal.InvokeDone:
			if s.options.Faults.Cold(function) {
				e.Environment.Retire()
			}
		}
	}
}
