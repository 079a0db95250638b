// Package pause waits for a time or for the end of a context.
package pause

import (
	"context"
	"time"
)

// For returns nil after d, or ctx's error if ctx is done before that.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
