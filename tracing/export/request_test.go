package export

import (
	"encoding/json"

	"github.com/throughline/throughline/tracing/otlp"
)

// request is what of an OTLP request the tests look at, as OTLP/JSON names it.
// test/otlp holds the encoding itself to OpenTelemetry's types.
type request struct{ ResourceSpans []resourceSpans }

type resourceSpans struct {
	Resource   struct{ Attributes []keyValue }
	ScopeSpans []struct{ Spans []span }
}

type span struct {
	SpanID, Name string
	Kind         int
	Flags        uint32
	Links        []struct {
		SpanID     string
		Attributes []keyValue
	}
	Events            []json.RawMessage
	Attributes        []keyValue
	DroppedLinksCount int
}

type keyValue struct {
	Key   string
	Value struct{ StringValue, IntValue string }
}

func decode(body []byte) (r request, err error) {
	text, err := otlp.AppendJSON(nil, body)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}
