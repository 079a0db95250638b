package outbound

import (
	"errors"
	"io"
	"net/http"
	"testing"
)

func TestDrainRecovers(t *testing.T) {
	d := &drained{rest: panicking{}, ready: make(chan struct{})}
	d.readAhead()
	if _, err := d.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that panics: %v", err)
	}
}

type panicking struct{ io.ReadCloser }

func TestResendsForgetTheOldest(t *testing.T) {
	var r resends
	requests := make([]*http.Request, 20)
	for i := range requests {
		requests[i] = newRequest(t)
		r.put(requests[i], attempt{attempts: 1})
	}
	for i, req := range requests {
		if got, want := r.take(req).attempts, min(1, i/4); got != want {
			t.Errorf("request %d: %d attempts, want %d", i, got, want)
		}
	}
	if r.count != 0 {
		t.Errorf("%d left", r.count)
	}
}

func newRequest(t *testing.T) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
