package stands

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/internal/cborwalk"
)

const newBusPath = "/service/AWSEventsV2/operation/"

// NewBus returns whether a request goes to EventBridge's new custom buses.
func (r *Request) NewBus() bool { return strings.HasPrefix(r.URI, newBusPath) }

// isCBOR returns whether a body is a CBOR map.
func isCBOR(body []byte) bool { return len(body) > 0 && cborwalk.Major(body[0]>>5) == cborwalk.Map }

// packedMark is the member of an entry that is this emulation's stamp in CBOR.
var packedMark = cborwalk.AppendText(cborwalk.AppendText(nil, "StampedBy"), "the stand-in")

// firstEntry returns an iterator over the members of a body's first entry.
func firstEntry(body []byte) (entry cborwalk.Members, ok bool) {
	for m := cborwalk.MembersOf(body, 0); m.Next(); {
		if string(m.Key) != "Entries" {
			continue
		}
		if e := cborwalk.ElementsOf(body, m.At); e.NextAt() {
			entry = cborwalk.MembersOf(body, e.At)
			return entry, entry.Head.Major == cborwalk.Map
		}
	}
	return entry, false
}

func stampCBOR(body []byte) (at, removed int, text []byte) {
	m, ok := firstEntry(body)
	if !ok {
		return 0, 0, nil
	}
	return m.Begin, m.Head.Size, slices.Concat(m.Grown(1), packedMark)
}

func unstampCBOR(body []byte) ([]byte, bool) {
	m, ok := firstEntry(body)
	if !ok || !bytes.HasPrefix(body[m.Begin+m.Head.Size:], packedMark) {
		return body, false
	}
	return slices.Concat(body[:m.Begin], m.Grown(-1), body[m.Begin+m.Head.Size+len(packedMark):]), true
}

// pack returns the body of a new bus's response.
func (b Bus) pack(status int, v any) []byte {
	if b.Answer != nil && status == http.StatusOK {
		return b.Answer
	}
	switch v := v.(type) {
	case map[string]string: // an error
		return encode(cbor.Map{"__type": cbor.String("com.amazonaws.eventbridgev2#" + v["__type"]), "Message": cbor.String(v["message"])})
	case cbor.Map:
		return encode(v)
	}
	return nil
}

// encode returns a value in deterministic CBOR: maps are in the order of their
// keys.
func encode(v cbor.Value) (b []byte) {
	switch v := v.(type) {
	case cbor.Map:
		b = cborwalk.AppendHead(b, cborwalk.Map, uint64(len(v)), 0)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = append(cborwalk.AppendText(b, key), encode(v[key])...)
		}
		return b
	case cbor.List:
		b = cborwalk.AppendHead(b, cborwalk.List, uint64(len(v)), 0)
		for _, item := range v {
			b = append(b, encode(item)...)
		}
		return b
	}
	return cbor.Encode(v)
}

// put returns a new bus's response to the request with this number. An entry is
// deduplicated if an earlier entry of the request has its deduplication ID. Without
// failures, the response has no FailedEntryCount.
func (b Bus) put(body []byte, number int) (status int, answer any) {
	value, err := cbor.Decode(body)
	request, _ := value.(cbor.Map)
	entries, ok := request["Entries"].(cbor.List)
	if err != nil || !ok {
		return http.StatusBadRequest, map[string]string{"__type": "SerializationException", "message": fmt.Sprint(err)}
	}
	failed, out, seen := cbor.Uint(0), cbor.List{}, map[cbor.Value]bool{}
	for i, e := range entries {
		entry, _ := e.(cbor.Map)
		system, _ := entry["SystemMetadata"].(cbor.Map)
		id, code := system["DeduplicationId"], "PUBLISHED"
		if id != nil && seen[id] {
			code = "DEDUPLICATED"
		}
		seen[id] = true
		if b.Partly && i%2 == 1 {
			failed++
			out = append(out, cbor.Map{"ErrorCode": cbor.String("VALIDATION_ERROR"), "ErrorMessage": cbor.String("as told")})
			continue
		}
		out = append(out, cbor.Map{"EventId": cbor.String(fmt.Sprintf("event-%d-%d", number, i)), "SequenceNumber": cbor.String(fmt.Sprintf("%020d", i)), "SuccessCode": cbor.String(code)})
	}
	result := cbor.Map{"Entries": out}
	if failed > 0 {
		result["FailedEntryCount"] = failed
	}
	return http.StatusOK, result
}
