package expectcmd

import (
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
)

// The batch of a queue is below each of its events, and fails for those that its handler
// returned.
func TestFailedRecords(t *testing.T) {
	first, second := span(1, 1, producer, "shop", 0, time.Millisecond, "o-1", "OrderPlaced"), span(2, 2, producer, "shop", time.Millisecond, time.Millisecond, "o-2", "OrderPlaced")
	batch := span(3, 3, consumer, "fulfil", 100*time.Millisecond, time.Millisecond, "", "OrderPlaced", first.ID, second.ID)
	batch.Links[0].Attributes["messaging.message.id"], batch.Links[1].Attributes["messaging.message.id"] = "m-1", "m-2"
	batch.Attributes["messaging.batch.message_count"], batch.Attributes["throughline.repeat.kind"] = int64(2), "retry"
	batch.Error, batch.Message = true, "1 of 2 records returned in batchItemFailures"
	batch.Attributes["error.type"], batch.Attributes["throughline.failed.count"], batch.Attributes["throughline.failed.ids"] = "batchItemFailures", int64(1), []any{"m-2"}
	file := spanstoretest.File(t, first, second, batch)
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"--event o-1 --no-error":   {0, "ok    no error"},
		"--event o-2 --no-error":   {1, "FAIL  no error: error at fulfil with OrderPlaced o-2 returned in batchItemFailures"},
		"workflow-1 --no-error":    {1, "FAIL  no error: error at fulfil with OrderPlaced o-2"},
		"--event o-2 --no-repeat":  {1, "FAIL  no repeat: retry at fulfil with OrderPlaced o-2"}, // at its second place
		"workflow-1 --no-repeat":   {1, "FAIL  no repeat: retry at fulfil with OrderPlaced o-1\n"},
		"workflow-1 --max-hops 16": {0, ""},
	} {
		out, code := run(t, append([]string{"--file", file, "--wait", "0"}, strings.Fields(args)...)...)
		if code != want.code || !strings.Contains(out, want.says) {
			t.Errorf("%s: %d\n%s", args, code, out)
		}
	}
}
