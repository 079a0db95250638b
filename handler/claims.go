package handler

import (
	"context"
	"encoding/json"

	"github.com/throughline/throughline/claimcheck"
)

// WithClaims restores claimed details in the payload before the handler runs, and
// verifies them. Lineage is read from the payload as it was sent.
//
// If a detail is missing or altered, the invocation fails before the handler
// runs, and is retried as any failed invocation. In an SQS batch only its own
// record fails, and the handler gets the others. If the handler returns a partial
// batch response, the record is added to it. If not, the invocation fails after
// the handler, because Lambda would otherwise delete the whole batch.
func WithClaims(store claimcheck.Store) Option {
	return optionFunc(func(w *wrapped) { w.claims = store })
}

// restore is payload with its claims redeemed, without the records that failed.
func (w *wrapped) restore(ctx context.Context, payload []byte) ([]byte, []claimcheck.Failure, error) {
	if w.claims == nil {
		return payload, nil, nil
	}
	return claimcheck.Restore(ctx, w.claims, payload)
}

// withFailures is the response of a handler that did not get the records in
// failed: they are added to a partial batch response; any other response becomes
// an error.
func withFailures(answer []byte, failed []claimcheck.Failure) ([]byte, error) {
	if len(failed) == 0 {
		return answer, nil
	}
	const member = "batchItemFailures"
	var response map[string]json.RawMessage
	var items []json.RawMessage
	_ = json.Unmarshal(answer, &response) // a response that is not an object is not a partial batch response
	if list, ok := response[member]; !ok || json.Unmarshal(list, &items) != nil {
		return nil, failed[0].Err
	}
	for _, f := range failed {
		item, err := json.Marshal(map[string]string{"itemIdentifier": f.ItemIdentifier})
		if err != nil {
			return nil, f.Err
		}
		items = append(items, item)
	}
	list, err := json.Marshal(items)
	if err != nil {
		return nil, failed[0].Err
	}
	response[member] = list
	return json.Marshal(response)
}
