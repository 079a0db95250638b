package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
)

func parse(t *testing.T, texts ...string) []faults.Rule {
	t.Helper()
	var rules []faults.Rule
	for _, text := range texts {
		r, err := faults.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	return rules
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"duplicate": "duplicate", "duplicate:10%@Mail": "duplicate:10%@Mail", "delay": "delay=2s", "delay=500ms:0.5%": "delay=500ms:0.5%", "http=503@*.alpaca.markets": "http=503@*.alpaca.markets",
		"http-delay=3s:50@api.example.com": "http-delay=3s:50%@api.example.com", " cold ": "cold", "kill:100%": "kill",
	} {
		r, err := faults.Parse(text)
		if err != nil || r.String() != want {
			t.Errorf("%q is %q, %v", text, r, err)
		}
		if again, err := faults.Parse(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v again, %v", r, again, err)
		}
	}
	for text, want := range map[string]string{
		"": "write one of duplicate", "explode": "write one of", "delay=soon": "delay=2s", "delay=-1s": "delay=2s", "fail:0%": "share", "fail:101%": "share", "http": "http=503", "http=200": "http=503", "kill=9": "takes no value",
	} {
		if _, err := faults.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestShares(t *testing.T) {
	var s faults.Set
	s.Seed(1)
	s.Put(parse(t, "duplicate:25%@Mail", "fail@Mail", "kill:50%@Mail"))
	struck := 0
	const asked = 10_000
	for range asked {
		d := s.Delivery("Mail", "a-rule")
		if d.Duplicate {
			struck++
		}
		if !d.Fail || d.Delay != 0 {
			t.Fatalf("%+v", d)
		}
		if d := s.Delivery("Text", "a-rule"); d != (faults.Delivery{}) {
			t.Fatalf("%+v", d)
		}
	}
	if struck < asked/5 || struck > asked*3/10 {
		t.Errorf("%d of %d", struck, asked)
	}
	if done := s.Rules(); done[0].Count != struck || done[1].Count != asked || done[2].Count != 0 {
		t.Errorf("%+v", done)
	}
}

func TestAsked(t *testing.T) {
	var s faults.Set
	if s.Delivery("x") != (faults.Delivery{}) || s.Cold("x") || s.Throttled("x") {
		t.Error("the zero value does something")
	}
	s.Put(parse(t, "reorder=1s", "delay=3s@Queue", "freeze=7s@F", "timeout@G", "cold@F", "throttle@PutEvents", "http=500@*.example.com", "http-delay=1s@api.example.com"))
	if d := s.Delivery("Queue").Delay; d < 3*time.Second || d > 4*time.Second {
		t.Errorf("%s", d)
	}
	if kind, d := s.Invocation("F"); kind != faults.Freeze || d != 7*time.Second {
		t.Errorf("%s %s", kind, d)
	}
	if kind, _ := s.Invocation("G"); kind != faults.Timeout {
		t.Errorf("%s", kind)
	}
	if kind, _ := s.Invocation("H"); kind != "" {
		t.Errorf("%s", kind)
	}
	if !s.Cold("F") || s.Cold("G") || !s.Throttled("PutEvents") || s.Throttled("F") {
		t.Error("cold or throttle")
	}
	if f := s.Call("api.example.com"); f.Status != 500 || f.Delay != time.Second {
		t.Errorf("%+v", f)
	}
	if f := s.Call("example.com"); f.Status != 0 || f.Delay != 0 {
		t.Errorf("%+v", f)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("http-delay=3s:50%@api.example.com")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := faults.Parse(text)
		if err != nil {
			return
		}
		if again, err := faults.Parse(r.String()); err != nil || again.Kind != r.Kind || again.Of != r.Of {
			t.Errorf("%q is %q, and that %+v: %v", text, r, again, err)
		}
	})
}

func ExampleParse() {
	r, err := faults.Parse("delay=2s:10%@Notifications")
	fmt.Println(r.Kind, r.Duration, r.Share, r.Of, err)
	// Output: delay 2s 0.1 Notifications <nil>
}
