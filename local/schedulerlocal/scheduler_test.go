package schedulerlocal_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/schedulerlocal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var morning = time.Date(2026, 2, 13, 14, 0, 0, 0, time.UTC)

func call(t *testing.T, s *schedulerlocal.Service, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w
}

func schedule(expression, more string) string {
	return `{"ScheduleExpression":"` + expression + `","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"arn:aws:lambda:us-east-1:123456789012:function:f","RoleArn":"r"` + more + `}`
}

// TestFires fires at the time of another zone, after two refusals.
func TestFires(t *testing.T) {
	c := clock.New(morning, 0)
	delivered := make(chan schedulerlocal.Target, 3)
	tries := 0
	s := schedulerlocal.New(schedulerlocal.Options{Clock: c, RetryDelay: time.Millisecond, Deliver: func(_ context.Context, target schedulerlocal.Target) (string, error) {
		if tries++; tries < 3 {
			return "", errors.New("throttled")
		}
		delivered <- target
		return "r-1", nil
	}})
	t.Cleanup(s.Close)
	w := call(t, s, http.MethodPost, "/schedules/daily", schedule("at(2026-02-13T15:45:00)", `},"ScheduleExpressionTimezone":"America/New_York","ActionAfterCompletion":"DELETE"`))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	c.Advance(6*time.Hour + 44*time.Minute)
	if s.Waiting() != 1 {
		t.Fatal("fired early")
	}
	c.Advance(time.Minute)
	target := <-delivered
	if !strings.Contains(target.Input, `"detail-type":"Scheduled Event"`) || target.Schedule != "arn:aws:scheduler:us-east-1:123456789012:schedule/default/daily" {
		t.Errorf("%+v", target)
	}
	s.Close()
	fired := s.Fired()
	if len(fired) != 1 || fired[0].Attempts != 3 || fired[0].ID != "r-1" || !fired[0].Due.Equal(morning.Add(6*time.Hour+45*time.Minute)) {
		t.Errorf("%+v", fired)
	}
	if w := call(t, s, http.MethodGet, "/schedules/daily", ""); w.Code != http.StatusNotFound {
		t.Errorf("still there: %d", w.Code)
	}
}

func TestRefuses(t *testing.T) {
	s := schedulerlocal.New(schedulerlocal.Options{Clock: clock.New(morning, 0), Deliver: func(context.Context, schedulerlocal.Target) (string, error) { return "", nil }})
	t.Cleanup(s.Close)
	for name, body := range map[string]string{
		"no JSON": "{", "the past": schedule("at(2026-02-12T15:45:00)", "}"), "no such zone": schedule("at(2026-02-13T15:45:00)", `},"ScheduleExpressionTimezone":"Mars"`),
		"parameters of a bus": schedule("at(2026-02-13T15:45:00)", `,"EventBridgeParameters":{"DetailType":"t","Source":"s"}}`), "no JSON for a function": schedule("at(2026-02-13T15:45:00)", `,"Input":"{"}`),
	} {
		if w := call(t, s, http.MethodPost, "/schedules/x", body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// FuzzCreate creates schedules of any body: every one is answered.
func FuzzCreate(f *testing.F) {
	f.Add(schedule("at(2026-02-13T15:45:00)", "}"))
	f.Add(schedule("rate(1 hour)", "}"))
	f.Add("{")
	f.Fuzz(func(t *testing.T, body string) {
		s := schedulerlocal.New(schedulerlocal.Options{Clock: clock.New(morning, 0), Deliver: func(context.Context, schedulerlocal.Target) (string, error) { return "", nil }})
		defer s.Close()
		if w := call(t, s, http.MethodPost, "/schedules/x", body); w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
