package handler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

// The moments at which a process dies, in their order.
const (
	beforeClaim    = "before the claim"
	claimLost      = "the claim is written, and not yet answered"
	inHandling     = "in the handling"
	afterHandling  = "after the handling"
	completionLost = "the completion is written, and not yet answered"
	afterAll       = "before the answer leaves"
	nowhere        = ""
)

var moments = []string{beforeClaim, claimLost, inHandling, afterHandling, completionLost, afterAll}

// mortal is a process that dies where the event in its hands says.
type mortal struct {
	inner lambda.Handler
	dies  string
}

func (m *mortal) at(moment string) {
	if m.dies == moment {
		os.Exit(7)
	}
}

func (m *mortal) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e struct{ Account string }
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, err
	}
	m.dies = e.Account
	return m.inner.Invoke(ctx, payload)
}

// RoundTrip is the way to the table.
func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	claims := strings.HasSuffix(r.Header.Get("X-Amz-Target"), "PutItem")
	if claims {
		m.at(beforeClaim)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if claims {
		m.at(claimLost)
	} else {
		m.at(completionLost)
	}
	return resp, err
}

// dying is the function's side: it handles each event once, tells what it
// counts for by a call, and dies.
func dying() any {
	m := new(mortal)
	h := func(ctx context.Context, e struct {
		Detail struct {
			EventID string `json:"event_id"`
		}
	}) (string, error) {
		m.at(inHandling)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("TEST_EFFECT")+"?"+e.Detail.EventID, nil)
		if err != nil {
			return "", err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		m.at(afterHandling)
		return "order of " + e.Detail.EventID, resp.Body.Close()
	}
	m.inner = lambda.NewHandler(handler.Wrap(h, handler.WithTracing(configuration), handler.WithSuppression(),
		handler.WithDedupe(checker(&http.Client{Transport: m})),
		handler.WithFlush(func(context.Context) error { m.at(afterAll); return nil })))
	return m
}

// TestProcessesThatDieHandleOnce delivers each event until it is answered, to
// processes that die at one moment and then at another (fewer pairs by default).
func TestProcessesThatDieHandleOnce(t *testing.T) {
	url := peertest.Moto(t)
	table := peertest.MotoTable(t, url, "once", "pk")
	var mu sync.Mutex
	handled := map[string]int{}
	effect := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		handled[r.URL.RawQuery]++
	}))
	defer effect.Close()
	d := startLogging(t, "once", false, func(line lambdalocal.LogLine) {
		if strings.HasPrefix(line.Text, "warned:") {
			t.Error(line.Text)
		}
	}, func(f *lambdalocal.Function) {
		f.Timeout, f.MaxEnvironments = 6*time.Second, 4 // a quarter of it is the claim's
		f.Env["TEST_MOTO"], f.Env["TEST_TABLE"], f.Env["TEST_EFFECT"] = url, table, effect.URL
	})
	seconds := []string{nowhere, afterHandling}
	if os.Getenv("THROUGHLINE_SOAK") == "1" {
		seconds = append([]string{nowhere}, moments...)
	}
	var all sync.WaitGroup
	for i, first := range moments {
		for j, second := range seconds {
			for _, sameRequest := range []bool{true, false} {
				e := mortalEvent{id: fmt.Sprint("plan-", i, "-", j, "-", sameRequest), deaths: []string{first, second}, sameRequest: sameRequest}
				all.Go(func() {
					e.untilAnswered(t, d)
					mu.Lock()
					n, allowed := handled[e.id], 1
					mu.Unlock()
					for _, death := range e.deaths {
						if death == afterHandling { // what happened is known to nobody
							allowed++
						}
					}
					if n < 1 || n > allowed {
						t.Errorf("%v, the same request %t: handled %d times", e.deaths, sameRequest, n)
					}
					// What completed is not handled again, whoever brings it.
					result, err := d.Invoke(t.Context(), e.payload("env-late", nowhere), lambdalocal.InvokeOptions{Wait: true})
					mu.Lock()
					defer mu.Unlock()
					if err != nil || string(result.Payload) != e.answer() || handled[e.id] != n {
						t.Errorf("%v: published again it is answered with %s, %v and handled %d times more", e.deaths, result.Payload, err, handled[e.id]-n)
					}
				})
			}
		}
	}
	all.Wait()
}

// mortalEvent is an event whose first handlings die.
type mortalEvent struct {
	id          string
	deaths      []string
	sameRequest bool // as Lambda delivers it again
}

func (e *mortalEvent) payload(envelope, dies string) []byte {
	return fmt.Appendf(nil, `{"id":"%s-%s","detail-type":"RebalancePlanned","source":"s","detail":{"event_id":%q},"account":%q}`, envelope, e.id, e.id, dies)
}

func (e *mortalEvent) answer() string { return fmt.Sprintf("%q", "order of "+e.id) }

// untilAnswered delivers the event again after each death, and while a process
// that died still has its lease.
func (e *mortalEvent) untilAnswered(t *testing.T, d *lambdalocal.Deployment) {
	died := 0
	for attempt := range 200 {
		dies := nowhere
		if died < len(e.deaths) {
			dies = e.deaths[died]
		}
		request := "r-" + e.id
		if !e.sameRequest {
			request = fmt.Sprint(request, "-", attempt)
		}
		result, err := d.Invoke(t.Context(), e.payload("env", dies), lambdalocal.InvokeOptions{Wait: true, RequestID: request})
		switch {
		case err != nil:
			t.Errorf("%s: %v", e.id, err)
			return
		case result.ErrorType == "Runtime.ExitError":
			died++
		case result.FunctionError != "":
			if e.sameRequest || !strings.Contains(string(result.Payload), "is being handled elsewhere") {
				t.Errorf("%s: %s", e.id, result.Payload)
				return
			}
			time.Sleep(100 * time.Millisecond)
		default:
			if string(result.Payload) != e.answer() {
				t.Errorf("%s: answered with %s", e.id, result.Payload)
			}
			return
		}
	}
	t.Errorf("%s is not answered", e.id)
}
