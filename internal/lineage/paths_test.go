package lineage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// path is a way from a bus to a function: it makes of an entry what the
// function is handed.
type path struct {
	name    string
	deliver func(entry Entry) string
	alone   bool // the detail arrives alone: a stamp in the resources is gone, and what EventBridge carries beside it remains
	caused  bool // the function is handed the failure of another's: one hop on
	raw     bool // by PutRawEvents
}

// withMetadata is an event of a new custom bus, as a subscriber with the transformer
// WITH_METADATA gets it.
func withMetadata(data string, metadata map[string]string, delivery string) string {
	text, err := json.Marshal(metadata)
	if err != nil {
		panic(err)
	}
	return `{"Data":` + data + `,"Metadata":` + string(text) + `,"SystemMetadata":{"ContentType":"application/json","aws:DeliveryType":"` + delivery +
		`","aws:EventId":"stored-1","aws:IngestionTime":"2026-11-23T10:00:00.890Z","aws:SequenceNumber":"10000000000000011000"}}`
}

// members is what metadata says after a stamp.
func members(e Entry) map[string]string {
	metadata := map[string]string{"tenant": "t-1"}
	for _, line := range e.Resources {
		if key, value, ok := MetadataMember(line); ok {
			metadata[key] = value
		}
	}
	return metadata
}

// envelopeOf is entry as EventBridge delivers it.
func envelopeOf(entry Entry, id, more string) string {
	resources, err := json.Marshal(entry.Resources)
	if err != nil {
		panic(err)
	}
	if entry.Resources == nil {
		resources = []byte("[]")
	}
	return `{"version":"0","id":"` + id + `","detail-type":"T","source":"s","account":"111122223333","time":"2026-11-23T10:00:00Z","region":"us-east-1","resources":` +
		string(resources) + `,"detail":` + entry.Detail + more + `}`
}

// carried is the system attribute in which SQS carries an entry's TraceHeader.
func carried(entry Entry) []string {
	if entry.TraceHeader == "" {
		return nil
	}
	return []string{`"AWSTraceHeader":` + quoted(entry.TraceHeader)}
}

// deadLettered is a record of a dead-letter queue, as EventBridge sends it and
// somebody sends it on.
func deadLettered(body string, attributes []string) string {
	record := sqsRecord(body, attributes...)
	return strings.Replace(record, `"messageAttributes":{`, `"messageAttributes":{"ERROR_CODE":{"stringValue":"NO_PERMISSIONS","dataType":"String"},`+
		`"TARGET_ARN":{"stringValue":"arn:aws:lambda:us-east-1:1:function:f","dataType":"String"},`, 1)
}

var paths = []path{
	{name: "Lambda", deliver: func(e Entry) string { return envelopeOf(e, "env-1", "") }},
	{name: "Queue", deliver: func(e Entry) string { return records(sqsRecord(envelopeOf(e, "env-1", ""), carried(e)...)) }},
	{name: "QueueDetail", alone: true, deliver: func(e Entry) string { return records(sqsRecord(e.Detail, carried(e)...)) }},
	{name: "Topic", deliver: func(e Entry) string { return records(snsRecord(envelopeOf(e, "env-1", ""))) }},
	{name: "TopicDetail", alone: true, deliver: func(e Entry) string { return records(snsRecord(e.Detail)) }},
	{name: "TopicQueue", deliver: func(e Entry) string { return records(sqsRecord(snsBody(envelopeOf(e, "env-1", "")))) }},
	{name: "TopicQueueRaw", deliver: func(e Entry) string { return records(sqsRecord(envelopeOf(e, "env-1", ""), carried(e)...)) }},
	{name: "Redriven", deliver: func(e Entry) string { return records(deadLettered(envelopeOf(e, "env-1", ""), carried(e))) }},
	{name: "RedrivenTopicQueue", deliver: func(e Entry) string { return records(deadLettered(snsBody(envelopeOf(e, "env-1", "")), nil)) }},
	{name: "Replayed", deliver: func(e Entry) string { return envelopeOf(e, "env-1", `,"replay-name":"monday"`) }},
	{name: "ReplayedQueue", deliver: func(e Entry) string { return records(sqsRecord(envelopeOf(e, "env-1", `,"replay-name":"monday"`))) }},
	{name: "OtherBus", deliver: func(e Entry) string { return envelopeOf(e, "env-1", "") }},
	{name: "OtherRegion", deliver: func(e Entry) string { return envelopeOf(e, "env-2", "") }}, // a new id and time
	{name: "NewBusBatch", deliver: func(e Entry) string { return "[" + envelopeOf(e, "env-1", "") + "]" }},
	{name: "NewBusWithMetadata", deliver: func(e Entry) string { return withMetadata(envelopeOf(e, "env-1", ""), nil, "LIVE") }},
	{name: "NewBusBatchWithMetadata", deliver: func(e Entry) string { return "[" + withMetadata(envelopeOf(e, "env-1", ""), nil, "REPLAY") + "]" }},
	{name: "NewBusQueue", deliver: func(e Entry) string {
		return records(sqsRecord(withMetadata(envelopeOf(e, "env-1", ""), nil, "LIVE")))
	}},
	{name: "NewBusTopicQueue", deliver: func(e Entry) string {
		return records(sqsRecord(snsBody(withMetadata(envelopeOf(e, "env-1", ""), nil, "LIVE"))))
	}},
	{name: "RawEvent", raw: true, deliver: func(e Entry) string { return withMetadata(e.Detail, members(e), "LIVE") }},
	{name: "RawEventBatch", raw: true, deliver: func(e Entry) string { return "[" + withMetadata(e.Detail, members(e), "LIVE") + "]" }},
	{name: "RawEventQueue", raw: true, deliver: func(e Entry) string { return records(sqsRecord(withMetadata(e.Detail, members(e), "LIVE"))) }},
	{name: "RawEventAlone", raw: true, alone: true, deliver: func(e Entry) string { return e.Detail }},
	{name: "Direct", alone: true, deliver: func(e Entry) string { return e.Detail }},
	{name: "Destination", caused: true, deliver: func(e Entry) string {
		return `{"version":"1.0","timestamp":"2026-11-23T10:00:01Z","requestContext":{"requestId":"r-9","condition":"RetriesExhausted"},"requestPayload":` + envelopeOf(e, "env-1", "") + `}`
	}},
	{name: "DestinationOfQueue", caused: true, deliver: func(e Entry) string {
		return `{"version":"1.0","requestContext":{"requestId":"r-9"},"requestPayload":` + records(sqsRecord(envelopeOf(e, "env-1", ""))) + `}`
	}},
}

// checkPath stamps an entry, sends it down a path and reads it at its end.
func checkPath(t *testing.T, p path, mode StampMode, detail string, l Lineage) {
	t.Helper()
	cfg := Config{Stamp: mode, TraceHeader: true}
	unstamped := Entry{Detail: detail}
	if p.raw {
		unstamped.Operation = PutRawEvents
	}
	entry, done := NewStamper(cfg).Apply(unstamped, l, 1<<20)
	if done.Skipped != "" {
		t.Fatalf("left out: %s", done.Skipped)
	}
	d := NewReader(cfg).Read([]byte(p.deliver(entry)))
	if d.Shape == ShapeUnknown && p.alone && mode == StampResources {
		return // a detail that says nothing, handed over by itself: any invocation may look so
	}
	if len(d.Events) != 1 || d.Malformed != 0 {
		t.Fatalf("%s: read as %+v", p.name, d)
	}
	got := d.Events[0].Lineage
	if p.alone && mode == StampResources {
		// What EventBridge carries beside the event is left, where the path takes it.
		if got.Stamped || got.Publisher.IsValid() && !sameSpan(got.Publisher, l.Publisher) {
			t.Fatalf("%s: %+v", p.name, got)
		}
		return
	}
	want := l
	if p.caused {
		id := d.Events[0].Lineage.ParentID
		want.CausationID, want.ParentID, want.Hops = id, id, l.Hops+1
	} else if want.ParentID == "" && want.Hops > 0 {
		want.ParentID = want.CausationID // a line is left out when it would say the same
	}
	if !got.Stamped || got.CorrelationID != want.CorrelationID || got.CausationID != want.CausationID || got.ParentID != want.ParentID || got.Hops != want.Hops ||
		!sameSpan(got.Publisher, l.Publisher) || got.Publisher.IsSampled() != l.Publisher.IsSampled() || !sameSpan(got.Origin, l.Origin) {
		t.Fatalf("%s, mode %d:\n got %+v\nwant %+v", p.name, mode, got, want)
	}
}

func lineageFor(correlation, causation, parent string, hops uint16, id uint64, sampled bool) Lineage {
	return Lineage{CorrelationID: correlation, CausationID: causation, ParentID: parent, Hops: int(hops), Publisher: contextOf(7, id|1, id|2, sampled), Origin: contextOf(8, id|4, id|8, sampled)}
}

func TestEveryPath(t *testing.T) {
	for _, p := range paths {
		for _, mode := range []StampMode{StampResources, StampDetail, StampBoth} {
			t.Run(fmt.Sprint(p.name, mode), func(t *testing.T) {
				for _, detail := range []string{`{}`, `{ }`, "{\n}\n", `{"n":12345678901234567890,"é":"ü\u00fc"}`} {
					checkPath(t, p, mode, detail, lineageFor("workflow-1", "cause-1", "parent-1", 3, 99, true))
					checkPath(t, p, mode, detail, lineageFor("workflow-1", "", "", 0, 99, false))
				}
			})
		}
	}
}

// FuzzPaths is the round trip of every carrier over every path that an event
// can take: what was stamped is read at its end.
func FuzzPaths(f *testing.F) {
	for i := range paths {
		f.Add(uint8(i), uint8(i%3), `{"a":[1,{"b":"\ud83d\ude00"}]}`, "workflow-1", "cause-1", "parent-1", uint16(2), uint64(i), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, which, mode uint8, detail, correlation, causation, parent string, hops uint16, id uint64, sampled bool) {
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(detail), &members) != nil || members == nil || strings.Count(detail, "{")+strings.Count(detail, "[") > 500 {
			t.Skip("no JSON object, or nested too deep")
		}
		for name := range members { // those that say something about the lineage have tests of their own
			lower := strings.ToLower(name)
			for _, known := range []string{"id", "trace", "data", "_throughline", "spec", "source", "detail", "request", "records", "alarm", "message", "topic", "type"} {
				if strings.Contains(lower, known) {
					t.Skip("a member that may say something of the lineage, which other tests hold")
				}
			}
		}
		if !ValidID(correlation) || causation != "" && !ValidID(causation) || parent != "" && !ValidID(parent) || hops == 0 && parent+causation != "" || hops > 0 && causation == "" {
			t.Skip("a lineage that no publisher has")
		}
		checkPath(t, paths[int(which)%len(paths)], StampMode(mode%3), detail, lineageFor(correlation, causation, parent, hops, id, sampled))
	})
}

// FuzzLineageHeaders is the round trip of the carrier of outbound HTTP: what is
// written is a header, and says what was given.
func FuzzLineageHeaders(f *testing.F) {
	f.Add("workflow-1", "signal-1", uint64(1), true)
	f.Add("line\r\nbreak: x", "ünï", uint64(0), false)
	f.Fuzz(func(t *testing.T, correlation, causation string, id uint64, sampled bool) {
		sc := contextOf(7, id, id, sampled)
		ctx := ContextWithIDs(trace.ContextWithSpanContext(t.Context(), sc), correlation, causation)
		header := http.Header{}
		SetHeaders(ctx, trace.SpanContextFromContext(ctx), header)
		var wire strings.Builder
		if err := header.Write(&wire); err != nil || strings.Count(wire.String(), "\r\n") != len(header) {
			t.Fatalf("%q: %v", wire.String(), err)
		}
		got, ok := ParseTraceparent(header.Get(HeaderTraceparent))
		if ok != sc.IsValid() || ok && (!sameSpan(got, sc) || got.IsSampled() != sampled) {
			t.Fatalf("%v came back as %v", sc, got)
		}
		for name, want := range map[string]string{HeaderCorrelationID: correlation, HeaderCausationID: causation} {
			if !ValidID(want) {
				want = ""
			}
			if header.Get(name) != want {
				t.Fatalf("%s is %q, want %q", name, header.Get(name), want)
			}
		}
		before := fmt.Sprint(header)
		if SetHeaders(ctx, trace.SpanContextFromContext(ctx), header); fmt.Sprint(header) != before {
			t.Fatalf("written twice: %v", header)
		}
	})
}
