package lineage

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// Lambda's own header has a time near the message's in its root; a tracer's has not.
func TestHeaderOfAMessageByItsEpoch(t *testing.T) {
	sent := time.UnixMilli(1764237600000)
	for _, c := range []struct {
		name  string
		begun time.Time
		ours  bool
	}{
		{"AsItWasSent", sent, false},
		{"ADayBefore", sent.Add(-24 * time.Hour), false},
		{"ADayAfter", sent.Add(24 * time.Hour), false},
		{"TwoDaysBefore", sent.Add(-48 * time.Hour), true},
		{"BeforeXRay", time.Unix(0x4bf92f35, 0), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := TraceHeader{Context: contextOf(uint64(c.begun.Unix())<<32|7, 8, 9, false)}
			m := message{traceHeader: header.String(), sent: sent}
			var l, inXRay Lineage
			if n := m.sender(&Reader{}, &l) + m.sender(&Reader{xray: true}, &inXRay); n != 0 {
				t.Fatalf("%d malformed", n)
			}
			if l.Publisher.IsValid() != c.ours || l.segment.IsValid() {
				t.Errorf("publisher %v, segment %v", l.Publisher, l.segment)
			}
			if inXRay.Publisher.IsValid() != c.ours || inXRay.segment.IsValid() == c.ours {
				t.Errorf("in X-Ray: publisher %v, segment %v", inXRay.Publisher, inXRay.segment)
			}
		})
	}
}

// Where spans go to X-Ray the segment that sent a message is linked, as what it is:
// no cause, and of no workflow.
func TestSegmentOfAMessageInXRay(t *testing.T) {
	r := newRecorder(t)
	cfg := Config{TracerProvider: r.provider, XRay: true}
	sender := `"AWSTraceHeader":"Root=1-5c1814d8-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"` // a minute before SentTimestamp
	d := NewReader(cfg).Read([]byte(records(sqsRecord("a", sender), sqsRecord("b"))))
	_, span := StartProcess(t.Context(), cfg, d, Invocation{RequestID: "request-1"})
	FinishProcess(span, nil)
	s := r.spans.GetSpans()[0]
	if len(s.Links) != 1 || s.Links[0].SpanContext.SpanID().String() != "53995c3f42cd8ad8" {
		t.Fatalf("links %v", s.Links)
	}
	of := attribute.NewSet(s.Links[0].Attributes...)
	why, _ := of.Value(AttrLink)
	id, _ := of.Value("messaging.message.id")
	if why.AsString() != LinkTrace || id.AsString() != d.Events[0].Arrival.RecordID {
		t.Errorf("link %s of %s", why.AsString(), id.AsString())
	}
	set := attribute.NewSet(s.Attributes...)
	ids, _ := set.Value(AttrHopIDs)
	annotated, _ := set.Value(AttrXRayAnnotations)
	if want := strings.Repeat(d.Events[0].Arrival.RecordID+" ", 2); ids.AsString()+" " != want || !strings.Contains(annotated.String(), AttrHopIDs) {
		t.Errorf("annotation %q of %s", ids.AsString(), annotated.String())
	}
}

// IDs are the senders' words: they are bounded.
func TestIDsOfHopsAreBounded(t *testing.T) {
	var batch []string
	for range MaxLinks + 10 {
		batch = append(batch, sqsRecord("a"))
	}
	batch[0] = strings.Replace(batch[0], "059f36b4", strings.Repeat("x", maxID), 1)
	d := NewReader(Config{}).Read([]byte(records(batch...)))
	set := attribute.NewSet(AnnotateHop(d.hopAttributes(nil))...)
	ids, _ := set.Value(AttrMessageIDs)
	text, _ := set.Value(AttrHopIDs)
	if n := len(ids.AsStringSlice()); n != MaxLinks || len(text.AsString()) > 1000 || text.AsString() == "" {
		t.Errorf("%d IDs, annotation of %d bytes", n, len(text.AsString()))
	}
	large := `{"x":"` + strings.Repeat("x", maxContext) + `","executionArn":"arn:aws:states:us-east-1:1:execution:m:e"}`
	if d := NewReader(Config{}).Read([]byte(large)); d.Context.Execution != "" {
		t.Errorf("a payload of %d bytes is looked through", len(large))
	}
}

func TestTokensAreNotWritten(t *testing.T) {
	if hash := TokenHash("token"); hash != "3c469e9d6c5875d37a43f353d4f88e61" || TokenHash("") != "" {
		t.Errorf("%s", hash)
	}
	for _, payload := range []string{`{"token":"a-secret-of-somebody"}`, `{"token":""}`, `{"TaskToken":7}`, `{"Task":{"Token":null}}`, `{"executionArn":"arn:aws:states:us-east-1:1:stateMachine:m"}`} {
		if d := NewReader(Config{}).Read([]byte(payload)); d.Context != (InvocationContext{}) {
			t.Errorf("%s: %+v", payload, d.Context)
		}
	}
}

// The stream, the time and the event of records that come through a consumer of a
// stream, or through EventBridge Pipes.
func TestStreamsAndPipes(t *testing.T) {
	const (
		arrived = `"approximateArrivalTimestamp":1764500000.123`
		message = `"eventSource":"aws:sqs","messageId":"m-1","eventSourceARN":"arn:aws:sqs:us-east-1:123456789012:q","attributes":{"SentTimestamp":"1764500000123"}`
		stream  = `"eventSource":"aws:kinesis","eventID":"shardId-0:1","eventSourceARN":"arn:aws:kinesis:us-east-1:123456789012:stream/q`
	)
	at := time.UnixMilli(1764500000123).UTC()
	for name, tt := range map[string]struct{ payload, id string }{
		"a consumer's":            {`{"Records":[{` + stream + `/consumer/c:1521000000","kinesis":{"data":"e30=",` + arrived + `}}]}`, "shardId-0:1"},
		"a pipe's":                {`[{` + stream + `","data":"e30=",` + arrived + `}]`, "shardId-0:1"},
		"a pipe's, parsed":        {`[{` + stream + `","data":` + detailOfTrade + `,` + arrived + `}]`, "trade-1"},
		"a pipe's message":        {`[{` + message + `,"body":"{}"}]`, "m-1"},
		"a pipe's message parsed": {`[{` + message + `,"body":` + detailOfTrade + `}]`, "trade-1"},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewReader(Config{}).Read([]byte(tt.payload))
			if len(d.Events) != 1 || d.Events[0].Queue != "q" || !d.Events[0].Time.Equal(at) || d.Events[0].ID != tt.id {
				t.Errorf("%+v", d)
			}
		})
	}
}

// X-Ray finds executions with names outside ASCII, too.
func TestIDsOutsideASCIIAreIndexed(t *testing.T) {
	const arn = "arn:aws:states:eu-west-3:123456789012:execution:commande-été:n-é"
	set := attribute.NewSet(AnnotateHop([]attribute.KeyValue{keyExecution.String(arn), keyMessageIDs.StringSlice([]string{"a\x07", "m-1"})})...)
	if text, _ := set.Value(AttrHopIDs); text.AsString() != arn+" m-1" {
		t.Errorf("%q", text.AsString())
	}
}
