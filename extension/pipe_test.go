package extension

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/throughline/throughline/tracing/otlp"
)

// piped writes a report into the pipe, as a shim does.
func (d *desk) piped(target, body string) {
	d.t.Helper()
	_, port, err := net.SplitHostPort(d.servers["runtime"].Address)
	if err != nil {
		d.t.Fatal(err)
	}
	w, err := os.OpenFile(filepath.Join(d.config.TempDir, "throughline", "reports."+port), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer w.Close()
	if _, err := fmt.Fprintf(w, "%s %s\n", target, strings.ReplaceAll(body, "\n", "")); err != nil {
		d.t.Fatal(err)
	}
}

// What is in the pipe when an invocation ends or begins belongs to the one that
// was in flight until then.
func TestReportsThroughThePipe(t *testing.T) {
	d, l := newHopDesk(t, HopsJoin, nil)
	url := d.serve("runtime")
	d.announce()
	next := func(n int) {
		l.payloads <- []byte(stampedEvent(n))
		if resp, _ := get(t, url+runtimePath+"next"); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	hop := func(ids string) { d.piped("hops", sent(`,"ids":["`+ids+`"]`)) }
	hop("before any")
	next(1)
	hop("m-1")
	d.piped("events/"+firstCall, `{"outcome":"answered","stamped":true,"status":200,"entries":[{"EventId":"e"}]}`)
	for _, wrong := range []string{"", "hops", "hops {", "nothing {}", "events/x {}", "current ", "sign {}", "?% {}"} {
		d.piped(wrong, "")
	}
	post(t, url+runtimePath+"r-1/response", `{}`)
	hop("between")
	next(2)
	hop("m-2")
	d.runtime.CutOff("timeout")

	workflows := map[string]string{}
	for _, request := range d.spans {
		for _, span := range otlp.Find(request, spanOfHop...) {
			if span.Texts[0] != "" {
				workflows[span.Texts[3]] = fmt.Sprint(span.Texts[1], " ", span.Texts[2], " ", span.ParentID.IsValid())
			}
		}
	}
	// After its invocation a thread goes on in it, until the next one begins.
	for id, want := range map[string]string{"before any": "  false", "m-1": "workflow-1 signal-1 true", "between": "workflow-1 signal-1 true", "m-2": "workflow-2 signal-2 true"} {
		if workflows[id] != want {
			t.Errorf("%s is of %q, want %q", id, workflows[id], want)
		}
	}
	if sums := d.sums(); sums["MessagesSent"] != 8 || sums["EventsPublished"] != 1 {
		t.Errorf("%v", sums)
	}
}

// A question comes after the reports before it, and the pipe of a process that
// died is read when the next invocation begins.
func TestThePipeIsReadInTime(t *testing.T) {
	d, _ := newHopDesk(t, HopsJoin, nil)
	url := d.serve("runtime")
	d.announce()
	d.piped("hops", sent(""))
	if get(t, url+"/throughline/v1/current"); d.count() != 1 {
		t.Errorf("%d spans before the answer to a question", d.count())
	}
	d.piped("hops", sent(""))
	d.invoking = true
	if d.callsEnded(); d.count() != 2 {
		t.Errorf("%d spans when the invocation is over", d.count())
	}
	d.piped("hops", sent(""))
	if d.shutdown(t.Context(), shutdown("spindown")); d.count() != 3 {
		t.Errorf("%d spans after the end", d.count())
	}
}

// A call that goes out as it is, because the shim asks nothing, has its span and is
// counted once, also where its question arrives afterwards.
func TestUnaskedCalls(t *testing.T) {
	report := func(reason string, status int) string {
		return fmt.Sprintf(`{"outcome":"answered","stamped":false,"reason":%q,"status":%d,"entries":[{"EventId":"event-1"}],"invocation_id":"i-1"}`, reason, status)
	}
	for name, lines := range map[string][][2]string{
		"a call":      {{"events?call=" + firstCall, unstamped}, {"events/" + firstCall, report("unreachable", 200)}},
		"an attempt":  {{"events?call=" + firstCall + "&invocation=i-1&attempts=attempt%3D1%3B%20max%3D3", unstamped}, {"events/" + firstCall, report("unreachable", 200)}},
		"two of them": {{"events?call=" + firstCall + "&invocation=i-1&attempts=attempt%3D1%3B%20max%3D3", unstamped}, {"events/" + firstCall, report("unreachable", 500)}, {"events?call=" + otherCall + "&invocation=i-1&attempts=attempt%3D2%3B%20max%3D3", unstamped}, {"events/" + otherCall, report("unreachable", 200)}},
	} {
		t.Run(name, func(t *testing.T) {
			d, l := newHopDesk(t, HopsJoin, nil)
			d.serve("runtime")
			d.announce()
			l.payloads <- []byte(stampedEvent(1))
			get(t, "http://"+d.servers["runtime"].Address+runtimePath+"next")
			for _, wrong := range []string{"", "x", "?call=x"} {
				d.piped("events"+wrong, unstamped)
			}
			for _, line := range lines {
				d.piped(line[0], line[1])
			}
			// The question comes when the shim waits for it no more.
			if resp, _ := ask(t, "http://"+d.servers["runtime"].Address+"/throughline/v1/events", "application/x-amz-json-1.1", firstCall, unstamped); resp.Header.Get("Throughline-Reason") != "late" {
				t.Errorf("the question afterwards: %s, %s", resp.Status, resp.Header)
			}
			d.calls.Close()
			if d.count() != 1 {
				t.Fatalf("%d spans", d.count())
			}
			if found := otlp.Find(d.spans[0], "messaging.message.id", "throughline.correlation.id", "throughline.event.type"); len(found) != 1 || found[0].Texts[0] != "event-1" || found[0].Texts[1] != "workflow-1" {
				t.Errorf("%+v", found)
			}
			if sums := d.sums(); sums["EventsPublished"] != 1 || sums["StampSkipped_unreachable"] != 1 || sums["EventsFailed"] != 0 {
				t.Errorf("%v", sums)
			}
		})
	}
}

// So has one whose question was answered too late.
func TestCallsThatAreAskedTwice(t *testing.T) {
	d, _ := newHopDesk(t, HopsJoin, nil)
	url := d.serve("runtime")
	d.announce()
	if resp, _ := ask(t, url+"/throughline/v1/events", "application/x-amz-json-1.1", firstCall, unstamped); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	d.piped("events?call="+firstCall, unstamped)
	d.piped("events/"+firstCall, `{"outcome":"answered","stamped":false,"reason":"late","status":200,"entries":[{"EventId":"event-1"}]}`)
	d.settle()
	d.calls.Close()
	if sums := d.sums(); d.count() != 1 || sums["EventsPublished"] != 1 || sums["StampSkipped_late"] != 1 || sums["EventsUnknown"] != 0 {
		t.Errorf("%d spans, %v", d.count(), sums)
	}
}

// A fault of ours costs the report that it is in.
func TestAFaultInTheReader(t *testing.T) {
	d, _ := newHopDesk(t, HopsJoin, nil)
	d.serve("runtime")
	d.announce()
	d.shims.Hops = nil // which Report does not take
	d.piped("hops", sent(""))
	d.piped("events/"+firstCall, `{"outcome":"answered","stamped":true,"status":200,"entries":[{"EventId":"e"}]}`)
	d.settle()
	until(t, "the count", func() bool { return d.sums()["EventsPublished"] == 1 })
	if d.sums()["TelemetryDropped"] != 1 {
		t.Errorf("%v", d.sums())
	}
}
