package lambdalocal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const tracedHeader = "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1;Lineage=1:e547cb94:0"

func TestRuntimeHeaders(t *testing.T) {
	w := newWorld(t)
	f := w.function("headers", nil)
	d := w.create(f)
	result, err := d.Invoke(t.Context(), []byte(`{"x":1}`), InvokeOptions{
		RequestID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", TraceHeader: tracedHeader, TenantID: "t1", ContentType: "application/cloudevents+json",
		ClientContext: `{"client":{"app_title":"a"}}`, CognitoIdentityID: "us-east-1:i", CognitoPoolID: "us-east-1:p",
	})
	if err != nil {
		t.Fatal(err)
	}
	w.settled()
	truth := d.Invocations()[0]
	got := w.saw("runtime", "invocation")[0]
	for name, want := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id":       "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
		"Lambda-Runtime-Deadline-Ms":          strconv.FormatInt(truth.Deadline.UnixMilli(), 10),
		"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:headers",
		"Lambda-Runtime-Trace-Id":             tracedHeader,
		"Lambda-Runtime-Client-Context":       `{"client":{"app_title":"a"}}`,
		"Lambda-Runtime-Cognito-Identity":     `{"cognitoIdentityId":"us-east-1:i","cognitoIdentityPoolId":"us-east-1:p"}`,
		"Lambda-Runtime-Aws-Tenant-Id":        "t1",
		"Content-Type":                        "application/cloudevents+json",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if result.RequestID != truth.RequestID || truth.TraceHeader != tracedHeader || truth.TenantID != "t1" || truth.RequestBytes != 7 || truth.ResponseBytes != 7 {
		t.Errorf("result %+v, truth %+v", result, truth)
	}

	w.invoke(d, `{}`)
	w.settled()
	plain := w.saw("runtime", "invocation")[1].Header
	if trace := plain.Get("Lambda-Runtime-Trace-Id"); !strings.HasPrefix(trace, "Root=1-") || !strings.HasSuffix(trace, ";Sampled=0") {
		t.Errorf("minted trace header %q", trace)
	}
	for _, name := range []string{"Lambda-Runtime-Client-Context", "Lambda-Runtime-Cognito-Identity", "Lambda-Runtime-Aws-Tenant-Id"} {
		if _, there := plain[name]; there {
			t.Errorf("%s was not asked for", name)
		}
	}
	if plain.Get("Content-Type") != "application/json" || !uuidForm.MatchString(plain.Get("Lambda-Runtime-Aws-Request-Id")) {
		t.Errorf("headers %v", plain)
	}
	if _, err := d.Invoke(t.Context(), []byte(`{}`), InvokeOptions{NoTrace: true}); err != nil {
		t.Fatal(err)
	}
	w.settled()
	if _, there := w.saw("runtime", "invocation")[2].Header["Lambda-Runtime-Trace-Id"]; there {
		t.Error("a trace header without one")
	}
}

func TestRuntimeAnswers(t *testing.T) {
	w := newWorld(t)
	f := w.function("answers", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
	d := w.create(f)
	run := func(payload string) (Result, Invocation) {
		result := w.invoke(d, payload)
		w.settled()
		all := d.Invocations()
		return result, all[len(all)-1]
	}
	last := func(kind string) seen {
		all := w.saw("runtime", kind)
		if len(all) == 0 {
			t.Fatalf("the runtime told no %s", kind)
		}
		return all[len(all)-1]
	}
	t.Run("Response", func(t *testing.T) {
		result, truth := run(`{"x":1}`)
		if string(result.Payload) != `{"x":1}` || result.FunctionError != "" || result.ExecutedVersion != "$LATEST" || truth.Status != Success {
			t.Errorf("got %+v", result)
		}
		checkShape(t, "response", sampleAccepted, last("response").Body)
		if last("response").Status != http.StatusAccepted {
			t.Errorf("answered %d", last("response").Status)
		}
	})
	t.Run("ErrorTypes", func(t *testing.T) {
		for sent, want := range map[string]string{
			"Function.TypeError": "Function.TypeError", "Runtime.BadThing": "Runtime.BadThing", "Function.type_error": "Function.Unknown",
			"Runtime.": "Runtime.Unknown", "TypeError": "Runtime.Unknown", "": "Runtime.Unknown", "Runtime.X": "Runtime.Unknown",
		} {
			result, truth := run(`{"fail":"` + sent + `"}`)
			if result.FunctionError != "Unhandled" || result.ErrorType != want || string(result.Payload) != `{"errorType":"Oops","errorMessage":"failed"}` {
				t.Errorf("%q: got %+v %s", sent, result, result.Payload)
			}
			if truth.Status != Error || truth.ErrorType != want {
				t.Errorf("%q: truth %+v", sent, truth)
			}
			if last("error").Status != http.StatusAccepted {
				t.Errorf("answered %d", last("error").Status)
			}
		}
	})
	t.Run("Largest", func(t *testing.T) {
		result, truth := run(`{"size":` + strconv.Itoa(maxResponse) + `}`)
		if len(result.Payload) != maxResponse || result.FunctionError != "" || truth.ResponseBytes != maxResponse {
			t.Errorf("%d bytes, %+v", len(result.Payload), truth)
		}
	})
	t.Run("TooLarge", func(t *testing.T) {
		result, truth := run(`{"size":` + strconv.Itoa(maxResponse+1) + `}`)
		if result.ErrorType != "Function.ResponseSizeTooLarge" || truth.Status != Error {
			t.Errorf("got %+v", result)
		}
		got := last("response")
		if got.Status != http.StatusRequestEntityTooLarge || decode[apiError](t, got.Body).ErrorType != "RequestEntityTooLarge" ||
			!strings.Contains(string(got.Body), "(6291556 bytes)") {
			t.Errorf("answered %d %s", got.Status, got.Body)
		}
	})
	t.Run("WrongID", func(t *testing.T) {
		run(`{"wrongID":true}`)
		if got := last("wrong id"); got.Status != http.StatusBadRequest || decode[apiError](t, got.Body) != (apiError{"InvalidRequestID", "Invalid request ID"}) {
			t.Errorf("answered %d %s", got.Status, got.Body)
		}
	})
	t.Run("Twice", func(t *testing.T) {
		run(`{"twice":true}`)
		if got := last("again"); got.Status != http.StatusForbidden || decode[apiError](t, got.Body).ErrorType != "InvalidStateTransition" {
			t.Errorf("answered %d %s", got.Status, got.Body)
		}
	})
	t.Run("NextTooSoon", func(t *testing.T) {
		run(`{"tooSoon":true}`)
		if got := last("too soon"); got.Status != http.StatusForbidden || decode[apiError](t, got.Body).ErrorType != "InvalidStateTransition" {
			t.Errorf("answered %d %s", got.Status, got.Body)
		}
	})
	t.Run("UnknownMode", func(t *testing.T) {
		result, _ := run(`{"mode":"bogus"}`)
		if got := last("response"); got.Status != http.StatusBadRequest || decode[apiError](t, got.Body).ErrorType != "InvalidFunctionResponseMode" {
			t.Errorf("answered %d %s", got.Status, got.Body)
		}
		if result.ErrorType != "Runtime.InvalidResponseModeHeader" {
			t.Errorf("got %+v", result)
		}
	})
	t.Run("Ping", func(t *testing.T) {
		closeIdle(t)
		if status, _, _ := call(t, d.Environments()[0], "GET", "/2018-06-01/ping", "", ""); status != http.StatusOK {
			t.Errorf("ping answered %d", status)
		}
	})
	if n := len(d.Environments()); n != 1 {
		t.Errorf("%d environments: an error of the function must not end one", n)
	}
	d.Environments()[0].Shutdown("")
	checkTruth(t, w, d, "ext-a")
}

// gathered is a writer that tells when it has been written to.
type gathered struct {
	mu   sync.Mutex
	got  bytes.Buffer
	more chan string
}

func (g *gathered) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.more <- string(p)
	return g.got.Write(p)
}

func TestStreaming(t *testing.T) {
	w := newWorld(t)
	d := w.create(w.function("stream", nil))
	t.Run("AsItIsWritten", func(t *testing.T) {
		g := &gathered{more: make(chan string, 10)}
		done := make(chan Result, 1)
		go func() {
			result, _ := d.Invoke(t.Context(), []byte(`{"stream":["one,","two"]}`), InvokeOptions{Stream: g})
			done <- result
		}()
		w.open("part0")
		if first := <-g.more; first != "one," {
			t.Errorf("first %q", first)
		}
		select {
		case <-done:
			t.Error("the answer was complete before its second part")
		default:
		}
		w.open("part1")
		result := <-done
		if string(result.Payload) != "one,two" || g.got.String() != "one,two" || result.FunctionError != "" {
			t.Errorf("got %+v, streamed %q", result, g.got.String())
		}
		w.settled()
		if truth := d.Invocations()[0]; truth.ResponseBytes != 7 || truth.Status != Success {
			t.Errorf("truth %+v", truth)
		}
	})
	t.Run("Trailers", func(t *testing.T) {
		result := w.invoke(d, `{"stream":["half"],"trailer":{"type":"Function.Broke","body":"{\"errorMessage\":\"mid-way\"}"}}`)
		if result.FunctionError != "Unhandled" || result.ErrorType != "Function.Broke" || string(result.Payload) != "half" {
			t.Errorf("got %+v %s", result, result.Payload)
		}
		w.settled()
		result = w.invoke(d, `{"stream":[],"trailer":{"type":"Function.Broke","body":"{\"errorMessage\":\"at once\"}"}}`)
		if string(result.Payload) != `{"errorMessage":"at once"}` {
			t.Errorf("got %s", result.Payload)
		}
		w.settled()
	})
}

func TestHandledErrorsAsSuccess(t *testing.T) {
	w := newWorld(t)
	f := w.function("handled", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
	f.Telemetry.HandledAsSuccess = true
	d := w.create(f)
	w.invoke(d, `{"fail":"Function.X1"}`)
	w.settled()
	d.Environments()[0].Shutdown("")
	for _, kind := range []string{"platform.runtimeDone", "platform.report"} {
		if got := decode[report](t, w.records("ext-a", kind)[0].Record); got.Status != Success || got.ErrorType != "" {
			t.Errorf("%s %+v", kind, got)
		}
	}
	if truth := d.Invocations()[0]; truth.Status != Error {
		t.Errorf("truth %+v", truth)
	}
}

func TestLambdaGo(t *testing.T) {
	w := newWorld(t)
	d := w.create(w.function("go", map[string]string{"TEST_LAMBDA_GO": "1"}))
	result, err := d.Invoke(t.Context(), []byte(`{}`), InvokeOptions{
		TraceHeader: tracedHeader, TenantID: "t1", CognitoIdentityID: "i", CognitoPoolID: "p", ClientContext: `{"client":{"app_title":"desk"}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.settled()
	truth := d.Invocations()[0]
	want := map[string]any{
		"id": truth.RequestID, "arn": "arn:aws:lambda:us-east-1:123456789012:function:go", "tenant": "t1", "trace": tracedHeader,
		"identity": "i", "client": "desk", "deadline": float64(truth.Deadline.UnixMilli()),
	}
	if got := decode[map[string]any](t, result.Payload); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	failed := w.invoke(d, `{"fail":"no luck"}`)
	if failed.FunctionError != "Unhandled" || decode[apiError](t, failed.Payload) != (apiError{"errorString", "no luck"}) {
		t.Errorf("got %s", failed.Payload)
	}
	w.settled()
}

func TestInitErrorAnswers(t *testing.T) {
	closeIdle(t)
	w := newWorld(t)
	f := w.function("init", map[string]string{"TEST_INIT": "hang"})
	const path = "/2018-06-01/runtime/init/error"
	f.Hook = func(e Event) {
		if e.Point == RuntimeStarted {
			if status, _, _ := call(t, e.Environment, "POST", path, "", `{"errorMessage":"no"}`, functionErrorHeader, "not a type"); status != http.StatusAccepted {
				t.Errorf("answered %d", status)
			}
		}
	}
	d := w.create(f)
	if got := w.invoke(d, `{}`); got.ErrorType != "Runtime.Unknown" || string(got.Payload) != `{"errorMessage":"no"}` {
		t.Errorf("got %+v %s", got, got.Payload)
	}
	w.settled()
	f = w.function("ready", nil)
	d = w.create(f)
	w.invoke(d, `{}`)
	w.settled()
	if status, refusal, _ := call(t, d.Environments()[0], "POST", path, "", "{}"); status != 403 || refusal.ErrorType != "InvalidStateTransition" {
		t.Errorf("after init: %d %+v", status, refusal)
	}
}

func TestPayloadLimits(t *testing.T) {
	w := newWorld(t)
	d := w.create(w.function("limits", nil))
	if _, err := d.Invoke(t.Context(), make([]byte, maxRequest+1), InvokeOptions{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if _, err := d.InvokeAsync(make([]byte, maxAsyncRequest+1), InvokeOptions{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	payload, _ := json.Marshal(strings.Repeat("x", maxRequest-2))
	if result, err := d.Invoke(t.Context(), payload, InvokeOptions{}); err != nil || len(result.Payload) != maxRequest {
		t.Errorf("got %d bytes, %v", len(result.Payload), err)
	}
	w.settled()
}

// TestSQSBatch invokes with a batch of records, as an event source mapping
// does, and reads which of them stay in the queue.
func TestSQSBatch(t *testing.T) {
	const batch = `{"Records":[
		{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"A","body":"Test message.","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1545082649183","SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082649185"},"messageAttributes":{},"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:my-queue","awsRegion":"us-east-2"},
		{"messageId":"2e1424d4-f796-459a-8184-9c92662be6da","receiptHandle":"B","body":"Test message.","attributes":{"ApproximateReceiveCount":"2"},"messageAttributes":{},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:my-queue","awsRegion":"us-east-2"}],
		"batchItemFailures":[{"itemIdentifier":"2e1424d4-f796-459a-8184-9c92662be6da"}]}`
	ids := []string{"059f36b4-87a3-44ab-83d2-661975830a7d", "2e1424d4-f796-459a-8184-9c92662be6da"}
	w := newWorld(t)
	d := w.create(w.function("queue", nil))
	result := w.invoke(d, batch) // echoed, so that it answers with its batchItemFailures
	if got := w.saw("runtime", "invocation")[0].Body; len(decode[struct{ Records []any }](t, got).Records) != 2 {
		t.Errorf("the function got %s", got)
	}
	if got := result.FailedMessages(ids); !slices.Equal(got, ids[1:]) {
		t.Errorf("got %q", got)
	}
	w.settled()
	if got := w.invoke(d, `{"fail":"Function.Bad"}`).FailedMessages(ids); !slices.Equal(got, ids) {
		t.Errorf("got %q", got)
	}
	w.settled()
	for answer, want := range map[string][]string{
		``: nil, `null`: nil, `{}`: nil, `"text"`: nil, `{"batchItemFailures":[]}`: nil, `{"batchItemFailures":null}`: nil,
		`{"batchItemFailures":[{"itemIdentifier":""}]}`: {"a", "b"}, `{"batchItemFailures":[{"itemIdentifier":null}]}`: {"a", "b"},
		`{"batchItemFailures":[{"id":"a"}]}`: {"a", "b"}, `{"batchItemFailures":{}}`: {"a", "b"}, `{"batchItemFailures":[{"itemIdentifier":"c"}]}`: {"a", "b"},
		`{"batchItemFailures":[{"itemIdentifier":"b"}]}`: {"b"},
	} {
		if got := (Result{Payload: []byte(answer)}).FailedMessages([]string{"a", "b"}); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", answer, got, want)
		}
	}
}

func FuzzFailedMessages(f *testing.F) {
	f.Add([]byte(`{"batchItemFailures":[{"itemIdentifier":"a"}]}`))
	f.Add([]byte(`{"batchItemFailures":[{"itemIdentifier":null}]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		batch := []string{"a", "b", "c"}
		for _, id := range (Result{Payload: answer}).FailedMessages(batch) {
			if !slices.Contains(batch, id) {
				t.Errorf("%s: %q is not of the batch", answer, id)
			}
		}
	})
}
