package stage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/cmd/throughline/internal/app/code"
	"github.com/throughline/throughline/cmd/throughline/internal/app/eventfile"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/sqslocal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFiltered goes through what "Using event filtering with an Amazon SQS event source" says
// of bodies that are JSON and of those that are not.
func TestFiltered(t *testing.T) {
	batch := `{"Records":[{"messageId":"1","body":"{\"n\":5}"},{"messageId":"2","body":"{\"n\":1}"},{"messageId":"3","body":"plain"},{"messageId":"4","body":"other"}]}`
	for pattern, want := range map[string]string{
		`{"body":{"n":[{"numeric":[">",2]}]}}`: "1", `{"body":["plain"]}`: "3", `{"body":{"n":[{"exists":true}]}}`: "1 2", `{"body":["nothing"]}`: "",
	} {
		compiled, err := eventpattern.Compile([]byte(pattern))
		if err != nil {
			t.Fatal(err)
		}
		left, ids := filtered([]byte(batch), []*eventpattern.Pattern{compiled})
		var got struct{ Records []struct{ MessageID string } }
		if err := json.Unmarshal(left, &got); err != nil || strings.Join(ids, " ") != want || len(got.Records) != len(ids) {
			t.Errorf("%s: %q, %s", pattern, ids, left)
		}
	}
}

// changed is the changes of objects that a request with an answer makes.
func changed(t *testing.T, method, target, body string, headers ...string) []change {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if r.URL.Query().Has("delete") {
		remember(r)
		if again, err := io.ReadAll(r.Body); err != nil || string(again) != body {
			t.Errorf("the body became %q, %v", again, err)
		}
	}
	return changes(&http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{"Etag": {`"e"`}}})
}

func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		method, target, body string
		headers              []string
		want                 []change
	}{
		"Put":         {"PUT", "/b/in/a.csv", "12345", nil, []change{{"b", "in/a.csv", "ObjectCreated:Put", 5, "e"}}},
		"Chunked":     {"PUT", "/b/a", "5;chunk", []string{"X-Amz-Decoded-Content-Length", "3"}, []change{{"b", "a", "ObjectCreated:Put", 3, "e"}}},
		"Escaped":     {"PUT", "/b/a%20b%2Bc", "", nil, []change{{"b", "a b+c", "ObjectCreated:Put", 0, "e"}}},
		"Copy":        {"PUT", "/b/a", "", []string{"X-Amz-Copy-Source", "/x/y"}, []change{{"b", "a", "ObjectCreated:Copy", 0, "e"}}},
		"Complete":    {"POST", "/b/a?uploadId=1", "<x/>", nil, []change{{"b", "a", "ObjectCreated:CompleteMultipartUpload", 0, "e"}}},
		"Part":        {"PUT", "/b/a?uploadId=1&partNumber=2", "x", nil, nil},
		"Tagging":     {"PUT", "/b/a?tagging", "x", nil, nil},
		"Get":         {"GET", "/b/a", "", nil, nil},
		"Bucket":      {"PUT", "/b", "", nil, nil},
		"BucketSlash": {"DELETE", "/b/", "", nil, nil},
		"Delete":      {"DELETE", "/b/a", "", nil, []change{{"b", "a", "ObjectRemoved:Delete", 0, ""}}},
		"Several":     {"POST", "/b?delete", "<Delete><Object><Key>a</Key></Object><Object><Key>b c</Key></Object></Delete>", nil, []change{{bucket: "b", key: "a", event: "ObjectRemoved:Delete"}, {bucket: "b", key: "b c", event: "ObjectRemoved:Delete"}}},
		"NotXML":      {"POST", "/b?delete", "{}", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := changed(t, c.method, c.target, c.body, c.headers...); !slices.Equal(got, c.want) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.py", "1")
	first := fingerprint([]string{dir})
	for _, quiet := range []string{"__pycache__/a.pyc", "node_modules/x/index.js", ".git/HEAD"} {
		write(quiet, "x")
	}
	if fingerprint([]string{dir}) != first {
		t.Error("it changes with what tools write")
	}
	write("sub/b.py", "1")
	second := fingerprint([]string{dir})
	if second == first || fingerprint([]string{dir, filepath.Join(dir, "gone")}) != second {
		t.Error("it does not follow the files")
	}
	if err := os.Chtimes(filepath.Join(dir, "a.py"), time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if fingerprint([]string{dir}) == second {
		t.Error("it does not change with the time")
	}
}

// opened is a stage without functions: what needs no process.
func opened(t *testing.T, p *plan.Plan) *Stage {
	t.Helper()
	s, err := Open(Options{Dir: t.TempDir(), Template: t.TempDir(), OTLP: "http://127.0.0.1:9", Extension: "/none", Concurrency: 1, Allow: []string{"api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Play(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWiringWithoutFunctions: a rule with a transformer to a queue and a topic, whose queue
// gets it raw, and a FIFO queue without deduplication, which rules cannot send to.
func TestWiringWithoutFunctions(t *testing.T) {
	s := opened(t, &plan.Plan{
		Buses: []string{"shop"},
		Queues: []plan.Queue{
			{ID: "Direct", Name: "Direct"}, {ID: "Raw", Name: "Raw"}, {ID: "Strict", Name: "Strict.fifo", Attributes: map[string]string{"FifoQueue": "true"}}, {ID: "Dead", Name: "Dead"},
			{ID: "Odd", Name: "Odd", Attributes: map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:nobody","maxReceiveCount":1}`}},
		},
		Topics: []plan.Topic{{ID: "News", Name: "News", Subscriptions: []plan.Subscription{{Protocol: "sqs", Endpoint: plan.QueueARN("Raw"), Attributes: map[string]string{"RawMessageDelivery": "true"}}}}},
		Rules: []plan.Rule{
			{ID: "R", Name: "R", Bus: "shop", Pattern: `{"source":["web"]}`, Targets: []plan.Target{
				{ARN: plan.QueueARN("Direct"), Template: `{"of": <id>, "by": <aws.events.rule-arn>}`, Paths: map[string]string{"id": "$.detail.id"}, Retries: -1},
				{ARN: plan.TopicARN("News"), Path: "$.detail.id", Retries: -1}, {ARN: plan.QueueARN("Strict.fifo"), Group: "g", DeadLetter: plan.QueueARN("Dead"), Retries: -1},
				{ARN: plan.BusARN("default"), Retries: -1},
			}},
			{ID: "Forwarded", Name: "Forwarded", Bus: "default", Pattern: `{"source":["web"]}`, Targets: []plan.Target{{ARN: plan.QueueARN("Dead"), Input: `"forwarded"`}}},
			{ID: "Off", Name: "Off", Bus: "shop", Pattern: `{"source":["web"]}`, Disabled: true, Targets: []plan.Target{{ARN: plan.QueueARN("Direct")}}},
		},
		Schedules: []plan.Schedule{{ID: "Past", Name: "Past", Group: "default", Expression: "at(2020-01-01T00:00:00)", Scheduler: true, Targets: []plan.Target{{ARN: plan.QueueARN("Direct"), Retries: -1}}}},
	})
	sent, err := s.Send(eventfile.Event{Source: "web", DetailType: "T", Detail: json.RawMessage(`{"id":"o-1"}`)})
	if err != nil || sent.Bus != "shop" || !slices.Equal(sent.Rules, []string{"R"}) {
		t.Fatalf("%+v %v", sent, err)
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	bodies := func(queue string) (list []string) {
		messages, err := s.queues.Queue(queue).Receive(t.Context(), sqslocal.Receive{Max: 10, Messages: []string{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			list = append(list, m.Body)
			if value := m.MessageAttributes["ERROR_CODE"].StringValue; value != nil {
				list = append(list, *value)
			}
		}
		return list
	}
	for queue, want := range map[string]string{"Direct": `[{"of": "o-1", "by": "arn:aws:events:us-east-1:123456789012:rule/shop/R"}]`, "Raw": `["o-1"]`, "Strict.fifo": "[]"} {
		if got := fmt.Sprint(bodies(queue)); got != want {
			t.Errorf("%s has %s", queue, got)
		}
	}
	if dead := strings.Join(bodies("Dead"), " "); !strings.Contains(dead, `"forwarded"`) || !strings.Contains(dead, `"detail-type":"T"`) || !strings.Contains(dead, "NO_PERMISSIONS") {
		t.Errorf("Dead has %s", dead)
	}
	notes := strings.Join(s.Notes(), "\n")
	for _, want := range []string{"the queue Odd has no redrive policy", "the rule Off is disabled", "it is in the past"} {
		if !strings.Contains(notes, want) {
			t.Errorf("nothing notes %q:\n%s", want, notes)
		}
	}
	if _, err := s.Send(eventfile.Event{Bus: "nobody", Source: "x", DetailType: "T", Detail: json.RawMessage(`{}`)}); err == nil || !strings.Contains(err.Error(), "the buses are default, shop") {
		t.Errorf("%v", err)
	}
}

// TestVariables: what a template says of credentials, endpoints and exporters gives way to
// what keeps a function on this machine. The extension receives spans on a port of its own: at
// its default it would take dev's, which is 4318 too, for itself and send no spans there.
func TestVariables(t *testing.T) {
	s := opened(t, &plan.Plan{})
	f := plan.Function{Name: "f", Language: plan.Python, Env: map[string]string{
		"AWS_LAMBDA_EXEC_WRAPPER": "/opt/mine", "AWS_PROFILE": "prod", "AWS_ENDPOINT_URL": "https://x", "AWS_ENDPOINT_URL_SQS": "https://x", "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector", "OTEL_EXPORTER_OTLP_HEADERS": "k=v", "THROUGHLINE_TRACES": "xray", "THROUGHLINE_OTLP_ADDR": "127.0.0.1:1", "THROUGHLINE_HOPS": "carry",
		"HTTPS_PROXY": "http://corporate:1", "WORDS": "/opt/words", "OWN": "1",
	}}
	env := s.environment(f, &code.Code{Opt: "/layers", Env: map[string]string{"_DEV_OPT": "/layers"}})
	for name, want := range map[string]string{
		"AWS_LAMBDA_EXEC_WRAPPER": "", "THROUGHLINE_NEXT_WRAPPER": "/layers/mine", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_SQS": s.URL("SQS"), "AWS_REGION": "", "AWS_ACCESS_KEY_ID": "",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_HEADERS": "", "THROUGHLINE_TRACES": "", "THROUGHLINE_OTLP_ADDR": "127.0.0.1:0", "THROUGHLINE_HOPS": "carry",
		"HTTPS_PROXY": "http://" + s.gateway.Address, "WORDS": "/layers/words", "OWN": "1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL_EVENTBRIDGE": s.URL("EVENTBRIDGE"), "THROUGHLINE_ENDPOINTS": "otlp,runtime",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, not %q", name, env[name], want)
		}
	}
	if !strings.Contains(env["_DEV_GUARD"], `"allow":["api.example.com"]`) || strings.Contains(env["_DEV_GUARD"], "amazonaws") {
		t.Errorf("the guard has %s", env["_DEV_GUARD"])
	}
	f.Language = plan.Custom
	if env := s.environment(f, &code.Code{}); env["AWS_ENDPOINT_URL_EVENTBRIDGE"] != "" || env["THROUGHLINE_EVENTS_UPSTREAM"] != s.URL("EVENTBRIDGE") || env["THROUGHLINE_ENDPOINTS"] != "otlp,runtime,events" || env["_DEV_GUARD"] != "" {
		t.Errorf("%v", env)
	}
	if env := s.environment(f, &code.Code{Library: true}); env["AWS_ENDPOINT_URL_EVENTBRIDGE"] == "" || env["THROUGHLINE_ENDPOINTS"] != "otlp" {
		t.Errorf("%v", env)
	}
}

func FuzzChanges(f *testing.F) {
	f.Add("POST", "/b?delete", []byte("<Delete><Object><Key>a</Key></Object></Delete>"))
	f.Add("PUT", "/b/a%20b", []byte("x"))
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1/", bytes.NewReader(body))
		if err != nil {
			return
		}
		if r.URL, err = r.URL.Parse(target); err != nil {
			return
		}
		remember(r)
		for _, c := range changes(&http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{}}) {
			if _, err := json.Marshal(c.record()); err != nil || c.asEvent().Source != "aws.s3" {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}
