package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/peertest"
)

// attacks is a page's script that tries all ways a page has on one address. It
// resolves to what it got: answers that it can read, and elements that loaded.
const attacks = `(async (base, paths) => {
	const got = [];
	const note = (what) => got.push(what + ' ' + base);
	const span = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"planted","kind":1}]}]}]}';
	const entry = '{"Entries":[{"Source":"page","DetailType":"Planted","Detail":"{}"}]}';
	const target = { 'X-Amz-Target': 'AWSEvents.PutEvents', 'Content-Type': 'application/x-amz-json-1.1', 'Authorization': 'AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/events/aws4_request, SignedHeaders=host, Signature=00', 'X-Amz-Date': '20260101T000000Z' };
	const within = (promise) => Promise.race([promise, new Promise((r) => setTimeout(r, 3000))]);
	const element = (what, tag, set) => within(new Promise((done) => {
		const e = document.createElement(tag);
		e.onload = e.onopen = () => { note(what); done(); };
		e.onerror = () => done();
		set(e);
		document.body.append(e);
	}));
	const read = async (what, request) => {
		try {
			const answer = await request;
			if (answer && answer.type !== 'opaque' && (answer.status !== 403 || answer.headers.get('content-type') === null)) note(what + ' ' + answer.status);
		} catch {}
	};
	const tries = [];
	for (const path of paths) {
		const url = base + path;
		for (const mode of ['cors', 'no-cors']) {
			tries.push(read('get ' + mode + path, within(fetch(url, { mode }))));
			for (const body of [span, entry, new Blob([span], { type: 'application/json' }), new URLSearchParams({ a: '1' })])
				tries.push(read('post ' + mode + path, within(fetch(url, { mode, method: 'POST', body }))));
			tries.push(read('kept ' + mode + path, within(fetch(url, { mode, method: 'POST', body: entry, keepalive: true, headers: { 'Content-Type': 'text/plain' } }))));
		}
		tries.push(read('headers' + path, within(fetch(url, { method: 'POST', body: entry, headers: target }))));
		tries.push(read('json' + path, within(fetch(url, { method: 'POST', body: span, headers: { 'Content-Type': 'application/json' } }))));
		tries.push(read('delete' + path, within(fetch(url, { method: 'DELETE' }))));
		navigator.sendBeacon(url, span);
		tries.push(element('image' + path, 'img', (e) => { e.src = url; }));
		tries.push(element('script' + path, 'script', (e) => { e.src = url; }));
		tries.push(element('style' + path, 'link', (e) => { e.rel = 'stylesheet'; e.href = url; }));
		tries.push(element('prefetch' + path, 'link', (e) => { e.rel = 'prefetch'; e.href = url; }));
		for (const method of ['get', 'post']) for (const enctype of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
			const frame = document.createElement('iframe');
			frame.name = 'f' + Math.random();
			const form = document.createElement('form');
			Object.assign(form, { method, enctype, action: url, target: frame.name });
			form.innerHTML = '<input name="{&quot;Entries&quot;:[],&quot;x" value="&quot;:1}">';
			document.body.append(frame, form);
			form.submit();
		}
		tries.push(within(new Promise((done) => { const s = new EventSource(url); s.onopen = () => { note('EventSource' + path); done(); }; s.onerror = () => { s.close(); done(); }; })));
		tries.push(within(new Promise((done) => { const s = new WebSocket(url.replace('http', 'ws')); s.onopen = () => { note('WebSocket' + path); done(); }; s.onerror = () => done(); })));
	}
	await Promise.all(tries);
	await new Promise((r) => setTimeout(r, 300)); // forms and beacons are on their way
	return got;
})`

// attacked are the paths of each endpoint that a page is after.
var attacked = map[string][]string{
	"otlp":    {"/healthz", "/v1/traces", "/v1/metrics"},
	"events":  {"/", "/healthz"},
	"alpaca":  {"/paper/v2/account", "/live/v2/orders"},
	"runtime": {"/2018-06-01/runtime/invocation/next", "/throughline/v1/current", "/throughline/v1/events", "/throughline/v1/outbound"},
}

// A page in a browser gets nothing from any endpoint of the sidecar and changes
// nothing behind it: from another port, another name, and a name that leads to
// the endpoint itself (DNS rebinding).
func TestPagesGetNothingFromTheSidecar(t *testing.T) {
	var mu sync.Mutex
	var passed []string
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodHead { // a connection that is opened ahead
			passed = append(passed, r.Method+" "+r.URL.Path)
		}
	}))
	defer behind.Close()
	control := map[string]int{}
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		control[r.Method]++
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "*")
		w.Header().Set("Access-Control-Allow-Methods", "*")
	}))
	defer open.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>a page</title><body></body>")
	}))
	defer page.Close()

	var out, said text
	const free = "127.0.0.1:0"
	cmd := exec.Command(os.Args[0], "sidecar", "--endpoints", "otlp,events,alpaca,runtime", "--otlp-addr", free, "--events-addr", free, "--alpaca-addr", free, "--runtime-addr", free,
		"--events-upstream", behind.URL, "--alpaca-upstream", behind.URL, "--http-hosts", "*")
	cmd.Env = []string{
		"THROUGHLINE_TEST_MAIN=1", "OTEL_EXPORTER_OTLP_ENDPOINT=" + behind.URL, "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(behind.URL, "http://"),
		"AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=0", "HOME=" + t.TempDir(),
	}
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	endpoints := map[string]string{}
	for deadline := time.Now().Add(time.Minute); len(endpoints) < 4; time.Sleep(5 * time.Millisecond) {
		for _, found := range answersAt.FindAllStringSubmatch(said.String(), -1) {
			endpoints[found[1]] = found[2]
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not answer: %s", said.String())
		}
	}
	b := peertest.Chromium(t, "--host-resolver-rules=MAP *.example 127.0.0.1", "--disable-features=LocalNetworkAccessChecks")
	attack := func(from, what, base string, paths []string) []string {
		t.Helper()
		b.Open(from, "document.body")
		list, err := json.Marshal(paths)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		b.Eval(fmt.Sprintf("%s(%q, %s)", attacks, base, list), &got)
		if what != "the control" && len(got) > 0 {
			t.Errorf("%s from %s: a page got %q", what, from, got)
		}
		return got
	}
	_, port, err := net.SplitHostPort(page.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := "http://page.example:" + port + "/"
	if got := attack(elsewhere, "the control", open.URL, attacked["otlp"]); len(got) < 10 || control["POST"] < 30 || control["DELETE"] != 3 || control["GET"] < 20 {
		t.Fatalf("the attacks do not reach a server that answers pages: %v %q", control, got)
	}
	for name, address := range endpoints {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		attack(elsewhere, name, "http://"+address, attacked[name])
		rebound := "http://rebound.example:" + port
		attack(rebound, name+" by another name", rebound, attacked[name])
	}
	attack(page.URL, "events", "http://localhost:"+strings.Split(endpoints["events"], ":")[1], attacked["events"])
	mu.Lock()
	defer mu.Unlock()
	if len(passed) > 0 {
		t.Errorf("pages reached what is behind: %q", passed)
	}
	if out.String() != "" {
		t.Errorf("pages made metrics: %s", out.String())
	}
}
