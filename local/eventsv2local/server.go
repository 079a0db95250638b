package eventsv2local

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/local/internal/wire"
)

const (
	prefix  = "/service/AWSEventsV2/operation/"
	maxBody = 16 << 20
)

// ServeHTTP implements http.Handler: it serves the API EventBridgeV2 over Smithy's
// protocol rpc-v2-cbor. It supports the operations of buses, subscribers and events.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, ok := strings.CutPrefix(r.URL.Path, prefix)
	if !ok || r.Method != http.MethodPost || r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		http.Error(w, "the requests of EventBridgeV2 are POST "+prefix+"…, with Smithy-Protocol: rpc-v2-cbor", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, &Error{http.StatusRequestEntityTooLarge, "InvalidInputException", "the body is too large"})
		return
	}
	in, err := decode(body)
	if err != nil {
		refuse(w, &Error{http.StatusBadRequest, "SerializationException", err.Error()})
		return
	}
	cut := false
	var out any
	switch operation {
	case "PutEvents", "PutRawEvents":
		out, cut, err = s.put(in, operation == "PutRawEvents")
	default:
		out, err = s.control(operation, in)
	}
	if cut {
		panic(http.ErrAbortHandler) // closes the connection without a response
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, out)
}

func refuse(w http.ResponseWriter, err error) {
	problem, ok := errors.AsType[*Error](err)
	if !ok {
		problem = &Error{http.StatusInternalServerError, "InternalException", err.Error()}
	}
	answer(w, problem.Status, map[string]any{"__type": "com.amazonaws.eventbridgev2#" + problem.Code, "Message": problem.Message})
}

func answer(w http.ResponseWriter, status int, out any) {
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	wire.Write(w, status, "application/cbor", cbor.Encode(encode(out)))
}

// put handles PutEvents and PutRawEvents.
func (s *Service) put(in node, raw bool) (out any, cut bool, err error) {
	s.mu.Lock()
	throttled := s.throttle > 0
	if throttled {
		s.throttle--
	} else if s.cut > 0 {
		s.cut--
		cut = true
	}
	s.mu.Unlock()
	if throttled {
		return nil, false, &Error{http.StatusTooManyRequests, "ThrottlingException", "Rate exceeded"}
	}
	entries := make([]Entry, 0, len(in.list("Entries")))
	for _, e := range in.list("Entries") {
		entry := Entry{
			Source: e.text("Source"), DetailType: e.text("DetailType"), Detail: e.text("Detail"), Time: e.time("Time"), Data: e.bytes("Data"), Metadata: e.texts("Metadata"),
			ContentType: e.member("SystemMetadata").text("ContentType"), Group: e.member("SystemMetadata").text("EventGroupId"), DeduplicationID: e.member("SystemMetadata").text("DeduplicationId"),
		}
		for _, r := range e.list("Resources") {
			text, _ := r.value.(cbor.String)
			entry.Resources = append(entry.Resources, string(text))
		}
		entries = append(entries, entry)
	}
	results, err := s.Put(in.text("EventBusArn"), entries, raw, in.member("DeduplicationConfiguration").text("DeduplicationType") == "CONTENT_BASED")
	if err != nil {
		return nil, cut, err
	}
	failed, list := 0, []any{}
	for _, r := range results {
		if r.ErrorCode != "" {
			failed++
		}
		list = append(list, withoutEmpty(map[string]any{
			"EventId": r.EventID, "SequenceNumber": r.Sequence, "SuccessCode": r.SuccessCode, "ErrorCode": r.ErrorCode, "ErrorMessage": r.ErrorMessage,
		}))
	}
	answer := map[string]any{"Entries": list}
	if failed > 0 || s.options.AlwaysCount {
		answer["FailedEntryCount"] = failed
	}
	return answer, cut, nil
}
