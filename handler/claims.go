package handler

import (
	"context"
	"encoding/json"

	"github.com/throughline/throughline/claimcheck"
)

// WithClaims gives the handler the details that a claim check put aside, whole
// and verified, in whatever shape of payload they came. Lineage is read from what
// was sent.
//
// A detail that is missing or was altered fails the invocation before the handler
// runs, and is retried as any failure. In a batch of SQS it fails its own record:
// the handler gets the others. If its answer is a partial batch response, the
// record is added to it; if not, the invocation fails after the handler, because
// Lambda would take the whole batch for handled.
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

// withFailures is the answer of a handler that was not given the records in
// failed: a partial batch response names them, any other answer becomes an error.
func withFailures(answer []byte, failed []claimcheck.Failure) ([]byte, error) {
	if len(failed) == 0 {
		return answer, nil
	}
	const member = "batchItemFailures"
	var response map[string]json.RawMessage
	var items []json.RawMessage
	_ = json.Unmarshal(answer, &response) // what is no object is no partial batch response
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
