package handler

import (
	"context"

	"github.com/throughline/throughline/claimcheck"
)

// WithClaims gives the handler the details that a claim check put aside, whole
// and verified, in whatever shape of payload they came. One that is missing or
// was altered fails the invocation before the handler runs, and is retried as
// any failure. Lineage is read from what was sent.
func WithClaims(store claimcheck.Store) Option {
	return optionFunc(func(w *wrapped) { w.claims = store })
}

// restore is payload with its claims redeemed.
func (w *wrapped) restore(ctx context.Context, payload []byte) ([]byte, error) {
	if w.claims == nil {
		return payload, nil
	}
	return claimcheck.Restore(ctx, w.claims, payload) //nolint:wrapcheck // the handler's user reads it as the invocation's error
}
