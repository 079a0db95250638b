package putevents

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/throughline/throughline/internal/cborwalk"
	"github.com/throughline/throughline/internal/lineage"
)

// Results reads the response of PutEvents. Fields that cannot be read are empty.
func Results(answer []byte) []lineage.Result {
	var a struct {
		Entries []struct {
			EventID   string `json:"EventId"`
			ErrorCode string
		}
	}
	_ = json.Unmarshal(answer, &a) // fields that cannot be read stay empty
	results := make([]lineage.Result, len(a.Entries))
	for i, e := range a.Entries {
		results[i] = lineage.Result{EventID: e.EventID, ErrorCode: e.ErrorCode}
	}
	return results
}

// ResultsCBOR reads the response of PutEvents or PutRawEvents of a new bus. Fields
// that cannot be read are empty. If the response is truncated, ResultsCBOR returns
// the entries before that point.
func ResultsCBOR(answer []byte) (results []lineage.Result) {
	for m := cborwalk.MembersOf(answer, 0); m.NextKey(); {
		if string(m.Key) != "Entries" {
			if !m.Skip() {
				break
			}
			continue
		}
		e := cborwalk.ElementsOf(answer, m.At)
		for len(results) < MaxEntries && e.Next() {
			results = append(results, resultOf(e.Value))
		}
		break
	}
	return results
}

func resultOf(entry []byte) (r lineage.Result) {
	for f := cborwalk.MembersOf(entry, 0); f.Next(); {
		switch string(f.Key) {
		case "EventId":
			readText(f.Value, &r.EventID)
		case "SequenceNumber":
			readText(f.Value, &r.Sequence)
		case "SuccessCode":
			readText(f.Value, &r.SuccessCode)
		case "ErrorCode":
			readText(f.Value, &r.ErrorCode)
		}
	}
	return r
}

// ErrorCode returns the error code of a response in AWS's JSON protocol. header is its
// X-Amzn-Errortype. The code is RequestFailed if the response contains none.
func ErrorCode(header string, answer []byte) string {
	var a struct {
		Type string `json:"__type"`
		Code string `json:"code"`
	}
	_ = json.Unmarshal(answer, &a) // fields that cannot be read stay empty
	return plainCode(cmp.Or(header, a.Type, a.Code))
}

// ErrorCodeCBOR returns the error code of a response of a new bus, RequestFailed if
// the response contains none.
func ErrorCodeCBOR(answer []byte) string {
	code := ""
	for m := cborwalk.MembersOf(answer, 0); m.Next(); {
		if string(m.Key) == "__type" {
			readText(m.Value, &code)
		}
	}
	return plainCode(code)
}

// plainCode returns a code without its namespace and without the part after a colon.
func plainCode(code string) string {
	code = cmp.Or(code, "RequestFailed")
	code, _, _ = strings.Cut(code, ":")
	return code[strings.LastIndexByte(code, '#')+1:]
}
