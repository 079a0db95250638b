package extension

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/extension/internal/inflight"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

var spanOfHop = []string{"throughline.hop", "throughline.correlation.id", "throughline.parent.event.id", "messaging.message.id", "throughline.hop.carried", "error.type"}

// invoked opens the runtime endpoint of a desk, with an event in hand, and returns its URL.
func (d *desk) invoked(l *lambdaAPI) string {
	d.t.Helper()
	url := d.serve("runtime")
	l.payloads <- []byte(stampedEvent(1))
	if resp, err := plainClient.Get(url + runtimePath + "next"); err != nil {
		d.t.Fatal(err)
	} else {
		_ = resp.Body.Close()
	}
	return url
}

func newHopDesk(t *testing.T, mode Hops, change func(*Config)) (*desk, *lambdaAPI) {
	t.Helper()
	l := newLambdaAPI(t)
	return newDesk(t, func(c *Config) {
		c.RuntimeAPI, c.Hops = strings.TrimPrefix(l.URL, "http://"), mode
		if change != nil {
			change(c)
		}
	}), l
}

func sent(more string) string {
	end := time.Now()
	return fmt.Sprintf(`{"service":"sqs","operation":"SendMessage","target":"https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo","region":"us-east-1","size":20,
"outcome":"answered","ids":["m-1"],"start_unix_nano":%d,"end_unix_nano":%d%s}`, end.Add(-30*time.Millisecond).UnixNano(), end.UnixNano(), more)
}

// A reported call becomes a child of the invocation's span, with its workflow.
func TestHopReports(t *testing.T) {
	d, l := newHopDesk(t, HopsJoin, nil)
	url := d.invoked(l)
	if resp := post(t, url+"/throughline/v1/hops"+asked, sent(""), "Content-Type", "application/json"); resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
	post(t, url+runtimePath+"r-1/response", `{}`)
	until(t, "the spans", func() bool { return d.count() == 2 })
	found := otlp.Find(d.spans[0], spanOfHop...)
	process := otlp.Find(d.spans[1], "faas.invocation_id")
	if len(found) != 1 || len(process) != 1 {
		t.Fatalf("%+v %+v", found, process)
	}
	span := found[0]
	if span.Texts[0] != "sqs" || span.Texts[1] != "workflow-1" || span.Texts[2] != "signal-1" || span.Texts[3] != "m-1" || span.End.Sub(span.Start) != 30*time.Millisecond {
		t.Errorf("%+v", span)
	}
	if span.ParentID != process[0].SpanID || span.TraceID != process[0].TraceID {
		t.Errorf("%+v is no child of %+v", span, process[0])
	}
	if sums := d.sums(); sums["MessagesSent"] != 2 /* service, target */ || sums["SendDuration"] != 30 || sums["MessageSize"] != 20 {
		t.Errorf("%v", sums)
	}
}

// Names of state machines and executions may be outside ASCII.
func TestHopWithANameOutsideASCII(t *testing.T) {
	d, l := newHopDesk(t, HopsJoin, nil)
	url := d.invoked(l)
	const execution = "arn:aws:states:eu-west-3:123456789012:execution:commande-été:n-é"
	report := sent(`,"service":"states","operation":"StartExecution","target":"arn:aws:states:eu-west-3:123456789012:stateMachine:commande-été","ids":["` + execution + `","\u0007"]`)
	if resp := post(t, url+"/throughline/v1/hops"+asked, report, "Content-Type", "application/json"); resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
	until(t, "the span", func() bool { return d.count() == 1 })
	found := otlp.Find(d.spans[0], "throughline.hop", "throughline.execution.arn")
	if len(found) != 1 || found[0].Texts[1] != execution {
		t.Errorf("%+v", found)
	}
	for _, wrong := range []string{`,"target":"a\u0007"`, `,"target":"a\u202eb"`} {
		if resp := post(t, url+"/throughline/v1/hops"+asked, sent(wrong), "Content-Type", "application/json"); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", wrong, resp.Status)
		}
	}
}

// A report that comes when the next invocation is in hand is not of that one.
func TestALateReportIsNobodys(t *testing.T) {
	d, l := newHopDesk(t, HopsJoin, nil)
	url := d.invoked(l)
	post(t, url+"/throughline/v1/hops"+strings.Replace(asked, "6301", "6300", 1), sent(""), "Content-Type", "application/json")
	until(t, "the span", func() bool { return d.count() == 1 })
	if found := otlp.Find(d.spans[0], spanOfHop...); len(found) != 1 || found[0].ParentID.IsValid() || found[0].Texts[1] != "" {
		t.Errorf("%+v", found)
	}
}

func TestHopFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		more    string
		failed  float64
		kind    string
		errorIs string
	}{
		"some of a batch": {`,"operation":"SendMessageBatch","batch":3,"failed":{"InternalError":2}`, 4, "MessagesFailed_InternalError", "InternalError"},
		"the call":        {`,"outcome":"failed","error":"EndpointConnectionError"`, 2, "MessagesFailed_EndpointConnectionError", "EndpointConnectionError"},
		"the answer":      {`,"error":"AWS.SimpleQueueService.NonExistentQueue"`, 2, "MessagesFailed_AWS.SimpleQueueService.NonExistentQueue", "AWS.SimpleQueueService.NonExistentQueue"},
		"cancelled":       {`,"outcome":"cancelled"`, 0, "", "cancelled"},
		"no name":         {`,"error":"\u0000"`, 2, "MessagesFailed__OTHER", "_OTHER"},
	} {
		t.Run(name, func(t *testing.T) {
			d, l := newHopDesk(t, HopsJoin, nil)
			url := d.invoked(l)
			post(t, url+"/throughline/v1/hops", sent(tt.more), "Content-Type", "application/json")
			until(t, "the span", func() bool { return d.count() == 1 })
			if found := otlp.Find(d.spans[0], spanOfHop...); len(found) != 1 || found[0].Texts[5] != tt.errorIs {
				t.Errorf("%+v", found)
			}
			if sums := d.sums(); sums["MessagesFailed"] != tt.failed || tt.kind != "" && sums[tt.kind] == 0 {
				t.Errorf("%v", sums)
			}
		})
	}
}

// The attempts that a shim reports one by one are one call, with the outcome of the last.
func TestAttemptsAreOneCall(t *testing.T) {
	const refused, taken = `,"error":"InternalError","ids":[]`, ``
	for name, tt := range map[string]struct {
		attempts     []string
		sent, failed float64 // on the service and the target
		open         int     // spans that come when the invocation is over
	}{
		"taken at once":      {[]string{taken + `,"attempt":1,"max":3`}, 2, 0, 0},
		"taken at last":      {[]string{refused + `,"attempt":1,"max":3`, refused + `,"attempt":2,"max":3`, taken + `,"attempt":3,"max":3`}, 2, 0, 0},
		"failed":             {[]string{refused + `,"attempt":1,"max":2`, refused + `,"attempt":2,"max":2`}, 0, 2, 1},
		"one more, failed":   {[]string{refused + `,"attempt":1,"max":1`, refused + `,"attempt":2,"max":1`}, 0, 2, 0},
		"one more, taken":    {[]string{refused + `,"attempt":1,"max":1`, taken + `,"attempt":2,"max":1`}, 2, 0, 0},
		"given up":           {[]string{refused + `,"attempt":1,"max":3`}, 0, 2, 1},
		"numbers not known":  {[]string{refused, refused}, 0, 2, 1},
		"not numbered, sent": {[]string{refused, taken}, 2, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d, l := newHopDesk(t, HopsJoin, nil)
			url := d.invoked(l)
			for _, more := range tt.attempts {
				post(t, url+"/throughline/v1/hops", sent(more+`,"invocation_id":"i-1"`), "Content-Type", "application/json")
			}
			until(t, "the reports", func() bool { return d.count() == 1-tt.open && len(d.sums()) >= 0 })
			d.hops.Close()
			if sums := d.sums(); d.count() != 1 || sums["MessagesSent"] != tt.sent || sums["MessagesFailed"] != tt.failed {
				t.Errorf("%d spans, %v", d.count(), sums)
			}
		})
	}
}

// However many calls are open, so many are held.
func TestOpenCallsAreBounded(t *testing.T) {
	d, l := newHopDesk(t, HopsJoin, nil)
	url := d.invoked(l)
	for i := range 100 {
		post(t, url+"/throughline/v1/hops", sent(fmt.Sprintf(`,"error":"InternalError","invocation_id":"i-%d"`, i)), "Content-Type", "application/json")
	}
	until(t, "the oldest", func() bool { return d.count() == 36 })
}

func TestHopReportsThatAreRefused(t *testing.T) {
	d, _ := newHopDesk(t, HopsJoin, nil)
	url := d.serve("runtime") + "/throughline/v1/hops"
	ids := `"x"` + strings.Repeat(`,"x"`, 500)
	for name, tt := range map[string]struct {
		body   string
		status int
	}{
		"nothing":          {``, 400},
		"no JSON":          {`[`, 400},
		"no hop":           {`{}`, 400},
		"another service":  {`{"service":"dynamodb","operation":"PutItem"}`, 400},
		"another's call":   {`{"service":"sqs","operation":"Publish"}`, 400},
		"many IDs":         {sent(`,"ids":[` + ids + `]`), 400},
		"a large batch":    {sent(`,"batch":501`), 400},
		"a negative batch": {sent(`,"batch":-1`), 400},
		"a negative size":  {sent(`,"size":-1`), 400},
		"a huge size":      {sent(`,"size":9007199254740993`), 400},
		"a long target":    {sent(`,"target":"` + strings.Repeat("a", 2049) + `"`), 400},
		"an odd target":    {sent(`,"target":"a\u001b[31m"`), 400},
		"more failures":    {sent(`,"batch":2,"failed":{"x":2,"y":1}`), 400},
		"no failure":       {sent(`,"batch":2,"failed":{"x":-1}`), 400},
		"too large":        {sent(`,"x":"` + strings.Repeat("a", 1<<16) + `"`), 413},
	} {
		if resp := post(t, url, tt.body, "Content-Type", "application/json"); resp.StatusCode != tt.status {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if resp := post(t, url, sent(""), "Content-Type", "text/plain"); resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("as text: %s", resp.Status)
	}
	if resp := post(t, url+"/other", sent(""), "Content-Type", "application/json"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %s", resp.Status)
	}
	if d.count() != 0 || d.sums()["MessagesFailed"] != 0 {
		t.Errorf("%d spans, %v", d.count(), d.sums())
	}
}

const (
	lambdas = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e701;Parent=9a9197af755a6301;Sampled=0"
	asked   = "?trace=Root%3D1-5bef4de7-ad49b0e87f6ef6c87fc2e701%3BParent%3D9a9197af755a6301%3BSampled%3D0"
)

// Under carry the report says which span the header named.
func TestHopsAreCarried(t *testing.T) {
	d, l := newHopDesk(t, HopsCarry, nil)
	d.readable()
	url := d.invoked(l)
	trace := d.current()[0].Traceparent[3:35]
	post(t, url+"/throughline/v1/hops"+asked, sent(`,"trace_id":"`+trace+`","span_id":"b7ad6b7169203331","flags":"01"`), "Content-Type", "application/json")
	post(t, url+runtimePath+"r-1/response", `{}`)
	until(t, "the spans", func() bool { return d.count() == 2 })
	span, process := otlp.Find(d.spans[0], "throughline.hop"), otlp.Find(d.spans[1], "faas.invocation_id")
	if len(span) != 1 || len(process) != 1 || span[0].TraceID.String() != trace || span[0].SpanID.String() != "b7ad6b7169203331" || span[0].ParentID != process[0].SpanID {
		t.Errorf("%+v %+v of %s", span, process, trace)
	}
}

// What calls carry is written beside the invocation, for the shims to read.
func TestCurrentTellsWhatIsCarried(t *testing.T) {
	for name, tt := range map[string]struct {
		mode    Hops
		change  func(*Config)
		carried bool
	}{
		"carry":            {HopsCarry, nil, true},
		"join":             {HopsJoin, nil, false},
		"default":          {"", nil, false},
		"off":              {HopsOff, nil, false},
		"spans go nowhere": {HopsCarry, func(c *Config) { c.Upstream = otlp.Config{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d, l := newHopDesk(t, tt.mode, tt.change)
			d.readable()
			d.invoked(l)
			view, want := d.current()[0], ""
			if id := view.Traceparent[3:35]; tt.carried {
				want = "Root=1-" + id[:8] + "-" + id[8:] + ";Parent={span};Sampled=0"
			}
			if view.Carry != want || view.Trace != lambdas {
				t.Errorf("%+v, want %q", view, want)
			}
		})
	}
}

// readable makes the file that the shims read, as the wrapper does.
func (d *desk) readable() {
	d.t.Helper()
	folder := filepath.Join(d.config.TempDir, "throughline")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, "current"), nil, 0o600)); err != nil {
		d.t.Fatal(err)
	}
}

// current is what stands in that file.
func (d *desk) current() (views []inflight.View) {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join(d.config.TempDir, "throughline", "current"))
	if err != nil {
		d.t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(data), "\n")
	if err := json.NewDecoder(strings.NewReader(list)).Decode(&views); err != nil || len(views) != 1 {
		d.t.Fatalf("%v: %s", err, data)
	}
	return views
}

// Switched off, reports are taken and lead to nothing.
func TestHopsOff(t *testing.T) {
	d, l := newHopDesk(t, HopsOff, nil)
	url := d.invoked(l)
	if resp := post(t, url+"/throughline/v1/hops", sent(""), "Content-Type", "application/json"); resp.StatusCode != http.StatusNoContent {
		t.Error(resp.Status)
	}
	post(t, url+runtimePath+"r-1/response", `{}`)
	until(t, "the span", func() bool { return d.count() == 1 })
	if sums := d.sums(); sums["MessagesSent"] != 0 {
		t.Errorf("%v", sums)
	}
}

// The time of a schedule is told where it is one, whatever its zone.
func TestScheduleTimes(t *testing.T) {
	for expression, tt := range map[string]struct{ zone, want string }{
		"at(2026-11-30T09:35:00)": {"America/New_York", "2026-11-30T14:35:00Z"},
		"at(2026-11-30T09:36:00)": {"", "2026-11-30T09:36:00Z"},
		"at(2026-11-30T09:37:00)": {"../../etc/passwd", ""},
		"at(2026-11-30T09:38:00)": {"Local", ""},
		"at(2026-13-30T09:35:00)": {"", ""},
		"rate(5 minutes)":         {"", ""},
	} {
		d, l := newHopDesk(t, HopsJoin, nil)
		url := d.invoked(l)
		report, err := json.Marshal(map[string]any{"service": "scheduler", "operation": "CreateSchedule", "target": "default/open", "outcome": "answered",
			"schedule_expression": expression, "schedule_timezone": tt.zone, "schedule_target": "arn:t", "ids": []string{"arn:s"}})
		if err != nil {
			t.Fatal(err)
		}
		post(t, url+"/throughline/v1/hops", string(report), "Content-Type", "application/json")
		until(t, "the span", func() bool { return d.count() == 1 })
		if found := otlp.Find(d.spans[0], "throughline.schedule.arn", "throughline.schedule.at"); len(found) != 1 || found[0].Texts[0] != "arn:s" || found[0].Texts[1] != tt.want {
			t.Errorf("%s %s: %+v", expression, tt.zone, found)
		}
	}
}

// No report makes a span that a backend would refuse, or more dimensions than there are places.
func FuzzHops(f *testing.F) {
	d := newDesk(f, func(c *Config) { c.Hops, c.Metrics.Profile = HopsCarry, metrics.Full })
	endpoint := d.endpoint("runtime")
	f.Add([]byte(sent("")), false)
	f.Add([]byte(sent(`,"operation":"SendMessageBatch","batch":3,"failed":{"InternalError":2},"ids":["a","\u0000",""],"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","flags":"01"`)), true)
	f.Add([]byte(`{"service":"scheduler","operation":"CreateSchedule","target":"a/b","schedule_expression":"at(2026-11-30T09:35:00)","schedule_timezone":"Europe/Berlin"}`), false)
	f.Add([]byte(`{"service":"lambda","operation":"Invoke","target":"arn:::::::","outcome":"\ud800","error":"x","start_unix_nano":-9223372036854775808,"end_unix_nano":9223372036854775807}`), false)
	f.Add([]byte(`{"service":"states","operation":"StartExecution","target":":::::"}`), false)
	f.Fuzz(func(t *testing.T, body []byte, piped bool) {
		if piped {
			d.shims.Line(append([]byte("hops"+asked+" "), body...))
		} else if status, answer := handed(endpoint, "/throughline/v1/hops", "application/json", "", body); !slices.Contains([]int{204, 400, 413}, status) {
			t.Errorf("%d: %s", status, answer)
		}
		d.mu.Lock()
		spans := d.spans
		d.spans = nil
		d.mu.Unlock()
		for _, request := range spans {
			found := otlp.Find(request, "throughline.hop")
			clean, dropped, err := otlp.Clean(request)
			if err != nil || dropped > 0 || !bytes.Equal(clean, request) || len(found) != 1 || found[0].End.Before(found[0].Start) {
				t.Errorf("%v, %d dropped of %q: %+v", err, dropped, request, found)
			}
		}
		d.writeMetrics()
		targets := map[string]bool{}
		for line := range strings.Lines(d.out.String()) {
			var doc struct{ Target string }
			if err := json.Unmarshal([]byte(line), &doc); err != nil {
				t.Errorf("%v: %s", err, line)
			}
			targets[doc.Target] = true
		}
		d.out.Reset()
		if len(targets) > 22 { // 20, other, and none
			t.Errorf("%d targets", len(targets))
		}
	})
}
