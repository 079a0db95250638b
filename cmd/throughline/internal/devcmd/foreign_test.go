package devcmd

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// tries is what a page of another origin tries with a URL. It returns what it got.
const tries = `(async (url, body) => {
	const got = [], note = (how) => (what) => { if (what) got.push(how + ' of ' + url + ': ' + String(what).slice(0, 80)); };
	const soon = (p) => Promise.race([p, new Promise((done) => setTimeout(done, 3000))]).catch(() => {});
	for (const options of [{}, { mode: 'no-cors' }, { credentials: 'include' }, { method: 'POST', body }, { method: 'POST', mode: 'no-cors', body },
		{ method: 'POST', body, headers: { 'Content-Type': 'application/json' } }, { method: 'POST', body, headers: { 'Throughline-Token': 'x' } }, { method: 'DELETE' }, { method: 'HEAD' }])
		await soon(fetch(url, options).then((a) => a.text()).then(note('fetch ' + JSON.stringify(options))));
	for (const tag of ['script', 'img', 'link', 'video', 'object']) await soon(new Promise((done) => {
		const e = document.createElement(tag);
		e.onload = () => { got.push(tag + ' of ' + url); done(); };
		e.onerror = () => done();
		if (tag === 'link') e.rel = 'stylesheet';
		e[tag === 'link' ? 'href' : tag === 'object' ? 'data' : 'src'] = url;
		document.body.append(e);
		if (tag === 'video' || tag === 'object') setTimeout(done, 300);
	}));
	await soon(new Promise((done) => {
		const frame = document.createElement('iframe');
		frame.onload = () => { let inside; try { inside = frame.contentDocument && frame.contentDocument.body.textContent; } catch { } note('iframe')(inside); if (frame.contentWindow.length) got.push('frames inside ' + url); done(); };
		frame.src = url;
		document.body.append(frame);
	}));
	navigator.sendBeacon(url, body);
	navigator.sendBeacon(url, new Blob([body], { type: 'text/plain' }));
	for (const kind of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) await soon(new Promise((done) => {
		const frame = document.createElement('iframe'), form = document.createElement('form'), field = document.createElement('input');
		frame.name = 'f' + Math.random();
		document.body.append(frame);
		frame.onload = () => { let inside; try { inside = frame.contentDocument && frame.contentDocument.body.textContent; } catch { } note('form')(inside); done(); };
		Object.assign(form, { method: 'POST', action: url, enctype: kind, target: frame.name });
		field.name = body.slice(0, -1) + ',"x":"';
		field.value = '"}';
		form.append(field);
		document.body.append(form);
		form.submit();
	}));
	return got;
})`

// TestAForeignPageGetsNothing has a page of another port, and one of another name for
// this machine, try each endpoint with all that a browser gives it.
func TestAForeignPageGetsNothing(t *testing.T) {
	b := peertest.Chromium(t, "--disable-popup-blocking")
	s, _ := begin(t, "--dir", t.TempDir())
	post(t, s, request("secret-workflow", 1))
	before := workflows(t, s.Page+"/api/workflows")
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, "<!doctype html><title>evil</title><body>")
	}))
	t.Cleanup(foreign.Close)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(foreign.URL, "http://"))
	localhost := strings.Replace(s.Page, "127.0.0.1", "localhost", 1)
	b.View(800, 600, false)
	for _, origin := range []string{foreign.URL, "http://localhost:" + port} {
		b.Open(origin+"/", "document.title === 'evil'")
		urls := []string{s.OTLP + "/v1/traces", s.OTLP + "/v1/metrics", s.OTLP + "/v1/logs"}
		for _, path := range []string{"/", "/api/workflows", "/api/workflow?id=secret-workflow", "/workflow?id=secret-workflow", "/map", "/api/clear"} {
			urls = append(urls, s.Page+path, localhost+path)
		}
		for _, url := range urls {
			var got []string
			if b.Eval(fmt.Sprintf("%s(%q, %q)", tries, url, request("planted", 2)), &got); len(got) > 0 {
				t.Errorf("a page of %s got %q", origin, got)
			}
		}
	}
	after := workflows(t, s.Page+"/api/workflows")
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("it changed %+v to %+v", before, after)
	}
	// The same tries do get what a server leaves open.
	b.Open(foreign.URL+"/", "document.title === 'evil'")
	var got []string
	if b.Eval(fmt.Sprintf("%s(%q, 'x')", tries, foreign.URL+"/open"), &got); len(got) < 8 {
		t.Errorf("of an open server it got only %q", got)
	}
}

// TestAForeignPageGetsNothingOfAnApplication: neither by the control routes of what is
// played, nor by the local services that stand for AWS's.
func TestAForeignPageGetsNothingOfAnApplication(t *testing.T) {
	b := peertest.Chromium(t, "--disable-popup-blocking")
	s, _ := begin(t, playable(t, "testdata/foreign/template.yaml", "--dir", t.TempDir(), "--moto", "none")...)
	var answer struct{ Payload map[string]string }
	ask(t, s, http.MethodPost, "invoke?function=Where", "{}", &answer)
	if len(answer.Payload) < 4 {
		t.Fatalf("%+v", answer)
	}
	read := func() string {
		var at state
		ask(t, s, http.MethodGet, "state", "", &at)
		return fmt.Sprintf("%+v", at)
	}
	before := read()
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, "<!doctype html><title>evil</title><body>")
	}))
	t.Cleanup(foreign.Close)
	b.View(800, 600, false)
	b.Open(foreign.URL+"/", "document.title === 'evil'")
	bodies := map[string]string{
		s.Page + "/app/": "{}", s.Page + "/app/state": "{}", s.Page + "/app/invoke?function=Where": "{}", s.Page + "/app/fire?schedule=Hourly": "{}",
		s.Page + "/app/send": `{"type":"Asked"}`, s.Page + "/app/faults": `["kill"]`, s.Page + "/app/replay": `{"events":"{}"}`,
		answer.Payload["LAMBDA"] + "/2015-03-31/functions/Where/invocations":                                        "{}",
		answer.Payload["SQS"] + "/?Action=SendMessage&QueueUrl=" + answer.Payload["QUEUE"] + "&MessageBody=planted": "Action=SendMessage&MessageBody=planted&QueueUrl=" + answer.Payload["QUEUE"],
		answer.Payload["EVENTBRIDGE"] + "/":                                                                         "{}",
	}
	for url, body := range bodies {
		var got []string
		if b.Eval(fmt.Sprintf("%s(%q, %q)", tries, url, body), &got); len(got) > 0 {
			t.Errorf("a page of %s got %q", foreign.URL, got)
		}
	}
	if after := read(); after != before {
		t.Errorf("it changed %s to %s", before, after)
	}
}
