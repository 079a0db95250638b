package alpacaproxy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/internal/pause"
)

// faults are the faults that the alpaca endpoint injects into calls, for tests and
// game days. The zero value injects none. It is safe for concurrent use.
type faults struct {
	mu     sync.Mutex
	text   string
	delay  time.Duration
	status int
	share  float64 // of calls that get status, 0 to 1
	limit  int     // calls in a minute before 429; 0 is no limit
	minute time.Time
	calls  int
}

// set reads delay=2s,error=503:10%,rate-limit=100; an empty text is no faults.
func (f *faults) set(text string) error {
	var n faults
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var err error
		switch name {
		case "":
		case "delay":
			n.delay, err = time.ParseDuration(value)
		case "error":
			status, share, found := strings.Cut(value, ":")
			n.share = 1
			if found {
				var percent float64
				percent, err = strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
				n.share = percent / 100
			}
			if err == nil {
				n.status, err = strconv.Atoi(status)
			}
		case "rate-limit":
			n.limit, err = strconv.Atoi(value)
		default:
			err = errNoFaults
		}
		if err != nil || n.delay < 0 || n.delay > time.Minute || !(n.share >= 0 && n.share <= 1) || n.limit < 0 || n.status != 0 && (n.status < 400 || n.status > 599) {
			return fmt.Errorf("%q: %w", text, errNoFaults)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text, f.delay, f.status, f.share, f.limit, f.calls = text, n.delay, n.status, n.share, n.limit, 0
	return nil
}

// serve answers GET and PUT of /throughline/v1/faults.
func (f *faults) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		const longest = 1 << 10
		text, err := io.ReadAll(io.LimitReader(r.Body, longest))
		if err == nil {
			err = f.set(string(text))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = io.WriteString(w, f.text+"\n")
}

// next returns the faults of the next call: its delay and the status of its response,
// 0 for Alpaca's own response.
func (f *faults) next(now time.Time) (delay time.Duration, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limit > 0 {
		if minute := now.Truncate(time.Minute); !minute.Equal(f.minute) {
			f.minute, f.calls = minute, 0
		}
		if f.calls++; f.calls > f.limit {
			return f.delay, http.StatusTooManyRequests
		}
	}
	if f.status != 0 && rand.Float64() < f.share {
		return f.delay, f.status
	}
	return f.delay, 0
}

// over returns base with the faults.
func (f *faults) over(base http.RoundTripper) http.RoundTripper { return &faulty{f, base} }

type faulty struct {
	faults *faults
	base   http.RoundTripper
}

func (t *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	delay, status := t.faults.next(time.Now())
	if delay > 0 {
		if err := pause.For(r.Context(), delay); err != nil {
			return nil, err
		}
	}
	if status == 0 {
		return t.base.RoundTrip(r)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	body := fmt.Sprintf(`{"code":%d0000,"message":"injected by Throughline"}`, status)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}
