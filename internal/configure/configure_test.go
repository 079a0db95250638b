package configure

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/settings"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// The extension's sampler and the SDK's decide alike about each trace.
func TestSampleIsTheSDKs(t *testing.T) {
	for _, ratio := range []struct {
		text  string
		value float64
	}{{"0", 0}, {"0.1", 0.1}, {"0.75", 0.75}, {"1", 1}} {
		sample, warning := Sample(env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", ratio.text))
		if warning != "" {
			t.Error(warning)
		}
		sdk := sdktrace.TraceIDRatioBased(ratio.value)
		for range 2000 {
			id := lineage.Mint(trace.SpanContext{}).TraceID()
			ours := sample == nil || sample(id)
			if theirs := sdk.ShouldSample(sdktrace.SamplingParameters{TraceID: id}).Decision == sdktrace.RecordAndSample; ours != theirs {
				t.Fatalf("ratio %s, %s: %t, the SDK says %t", ratio.text, id, ours, theirs)
			}
		}
	}
	for _, wrong := range [][]string{{"OTEL_TRACES_SAMPLER", "sometimes"}, {"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "7"}} {
		if sample, warning := Sample(env(wrong...)); sample != nil || warning == "" {
			t.Errorf("%v: warning %q", wrong, warning)
		}
	}
	if off, _ := Sample(env("OTEL_TRACES_SAMPLER", "always_off")); off(trace.TraceID{1}) {
		t.Error("always_off records")
	}
}

func TestDedupe(t *testing.T) {
	credentials := aws.AnonymousCredentials{}
	for name, tt := range map[string]struct {
		env   []string
		off   bool
		warns string
	}{
		"Default":   {nil, false, ""},
		"Off":       {[]string{"THROUGHLINE_DEDUPE", "off"}, true, ""},
		"Disabled":  {[]string{"THROUGHLINE_DISABLED", "1"}, true, ""},
		"Table":     {[]string{"THROUGHLINE_DEDUPE", "dynamodb:seen", "AWS_REGION", "eu-west-1"}, false, ""},
		"NoRegion":  {[]string{"THROUGHLINE_DEDUPE", "dynamodb:seen"}, false, "AWS_REGION"},
		"BadOrder":  {[]string{"THROUGHLINE_ORDER", "A"}, false, "THROUGHLINE_ORDER"},
		"BadKeys":   {[]string{"THROUGHLINE_DEDUPE_KEYS", "A"}, false, "THROUGHLINE_DEDUPE_KEYS"},
		"WithOrder": {[]string{"THROUGHLINE_ORDER", "TradeExecuted:RebalancePlanned"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := settings.Parse(env(tt.env...))
			checker, warned := Dedupe(s, env(tt.env...), credentials, nil)
			if (checker == nil) != tt.off {
				t.Errorf("off %t", checker == nil)
			}
			if text := strings.Join(warned, "\n"); (text != "") != (tt.warns != "") || !strings.Contains(text, tt.warns) {
				t.Errorf("warned %q", text)
			}
		})
	}
}

// TestSharedTableSharesOrder: an event with a parent is two writes, one of them
// where the parent will look.
func TestSharedTableSharesOrder(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	table := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		bodies = append(bodies, string(body))
		mu.Unlock()
		_, _ = io.WriteString(w, "{}")
	}))
	defer table.Close()
	getenv := env("THROUGHLINE_DEDUPE", "dynamodb:seen", "AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL_DYNAMODB", table.URL)
	s, _ := settings.Parse(getenv)
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"}, nil
	})
	checker, _ := Dedupe(s, getenv, credentials, func(m string) { t.Error(m) })
	checks := checker.Start(t.Context(), []dedupe.Delivery{{Consumer: "f", EventID: "child", ParentID: "parent", At: time.Now()}})
	for !checks.Ready() {
		time.Sleep(time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if all := strings.Join(bodies, "\n"); len(bodies) != 3 || !strings.Contains(all, `"pk":{"S":"f#0::0::child"}`) || !strings.Contains(all, `parent"},"state":{"S":"expected"}`) {
		t.Errorf("wrote %s", all)
	}
}
