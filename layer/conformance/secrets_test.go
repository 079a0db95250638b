package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

// Whatever goes wrong, no key is told: not in a log line, a span, a metric or a
// file, at the most talkative level.
func TestSecretsAppearNowhere(t *testing.T) {
	interpreter := peertest.Module(t, "boto3")
	for name, change := range map[string]func(s *scene, f *lambdalocal.Function){
		"All is well": func(*scene, *lambdalocal.Function) {},
		"Backend gone": func(_ *scene, f *lambdalocal.Function) {
			f.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://user:SECRET-PASSWORD@127.0.0.1:1/base?api_key=SECRET-QUERY"
		},
		"Bus gone": func(_ *scene, f *lambdalocal.Function) {
			f.Env["THROUGHLINE_EVENTS_UPSTREAM"] = "http://user:SECRET-PASSWORD@127.0.0.1:1/?key=SECRET-QUERY"
		},
		"Logs gone": func(_ *scene, f *lambdalocal.Function) {
			f.Env["THROUGHLINE_METRICS_SINK"], f.Env["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = "logs", "http://user:SECRET-PASSWORD@127.0.0.1:1/?key=SECRET-QUERY"
		},
		"Table gone": func(_ *scene, f *lambdalocal.Function) {
			f.Env["THROUGHLINE_DEDUPE"], f.Env["AWS_ENDPOINT_URL_DYNAMODB"] = "dynamodb:seen", "http://user:SECRET-PASSWORD@127.0.0.1:1/?key=SECRET-QUERY"
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			f := s.attach(python(t, interpreter))
			f.Env["OTEL_EXPORTER_OTLP_HEADERS"], f.Env["THROUGHLINE_LOG"], f.Env["THROUGHLINE_FLUSH"] = "api-key=SECRET-HEADER", "debug", "end"
			f.Credentials = lambdalocal.Credentials{AccessKeyID: "AKIASECRETID", SecretAccessKey: "SECRET-ACCESS-KEY", SessionToken: "SECRET-SESSION"}
			change(s, &f)
			files := ""
			f.Hook = func(e lambdalocal.Event) {
				if e.Point != lambdalocal.ShutdownSent {
					return
				}
				_ = filepath.WalkDir(filepath.Join(e.Environment.Dir(), "throughline"), func(path string, _ os.DirEntry, _ error) error {
					data, _ := os.ReadFile(path)
					files += path + "=" + string(data) + "\n"
					return nil
				})
			}
			d := s.create(f)
			for _, event := range []string{`{"source":"schedule"}`, `{"detail-type":"TradeExecuted","id":"e","source":"s","detail":{"event_id":"e-1","correlation_id":"w"}}`} {
				if _, err := d.Invoke(t.Context(), []byte(event), lambdalocal.InvokeOptions{Wait: true}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.svc.Close(); err != nil {
				t.Fatal(err)
			}
			told := files
			s.mu.Lock()
			for _, l := range s.lines {
				if l.Source != "function" { // what the user's code prints is the user's
					told += l.Text + "\n"
				}
			}
			s.mu.Unlock()
			s.spans.mu.Lock()
			for _, span := range s.spans.spans {
				told += fmt.Sprintln(span)
			}
			s.spans.mu.Unlock()
			if !strings.Contains(told, "exported") && name == "All is well" || !strings.Contains(files, "runtime=") {
				t.Errorf("it tells too little to be a test: %s", told)
			}
			for _, secret := range []string{"SECRET", "PKPYTHON", "secret=1"} {
				if i := strings.Index(told, secret); i >= 0 {
					t.Errorf("told: %s", told[max(0, i-200):min(len(told), i+100)])
				}
			}
		})
	}
}
