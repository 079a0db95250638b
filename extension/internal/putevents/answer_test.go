package putevents

import (
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
)

// FuzzAnswerCBOR: whatever answers, what is read of it is bounded, and is no more
// than smithy's decoder finds.
func FuzzAnswerCBOR(f *testing.F) {
	f.Add(cbor.Encode(cbor.Map{"FailedEntryCount": cbor.Uint(1), "Entries": cbor.List{
		cbor.Map{"EventId": cbor.String("e"), "SuccessCode": cbor.String(deduplicated)}, cbor.Map{"ErrorCode": cbor.String("VALIDATION_ERROR")}}}))
	f.Add(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.eventbridgev2#ThrottlingException"), "Message": cbor.String("m")}))
	f.Add([]byte("\xbfgEntries\x9f\xbfgEventId\x7faeaf\xff\xff\xff\xff"))
	f.Add([]byte("\xa1gEntries\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		results, code := ResultsCBOR(answer), ErrorCodeCBOR(answer)
		size := len(code)
		for _, r := range results {
			size += len(r.EventID) + len(r.Sequence) + len(r.SuccessCode) + len(r.ErrorCode)
		}
		if len(results) > MaxEntries || size > len(answer)+len("RequestFailed") {
			t.Errorf("%d results of %d bytes", len(results), size)
		}
		value, err := cbor.Decode(answer)
		if err != nil {
			return
		}
		m, _ := value.(cbor.Map)
		if _, there := m["Entries"]; !there && len(results) > 0 {
			t.Errorf("%d results, smithy finds no entries", len(results))
		}
	})
}

const deduplicated = "DEDUPLICATED"
