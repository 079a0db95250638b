package extension

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/lineage"
)

// A runtime answers with failed items: the span names their records, also those of the
// largest batch, whose payload and answer are longer than what is buffered else.
func TestFailedItems(t *testing.T) {
	for _, tt := range []struct{ records, failed int }{{1, 0}, {1, 1}, {10, 3}, {10_000, 900}, {10_000, 9_999}} {
		t.Run(fmt.Sprintf("%d of %d", tt.failed, tt.records), func(t *testing.T) {
			l := newLambdaAPI(t)
			d := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
			url := d.serve("runtime")
			var records, failed, items []string
			for n := range tt.records {
				id := fmt.Sprintf("2f1e3c1a-0d0c-4e8a-9b7f-%012d", n)
				records = append(records, fmt.Sprintf(`{"messageId":%q,"body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q"}`, id))
				if n < tt.failed {
					failed, items = append(failed, id), append(items, fmt.Sprintf(`{"itemIdentifier": %q}`, id))
				}
			}
			l.payloads <- []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
			get(t, url+runtimePath+"next")
			answer := `{"batchItemFailures": [` + strings.Join(items, ", ") + `]}`
			if post(t, url+runtimePath+"r-1/response", answer); l.answers[runtimePath+"r-1/response"] != answer {
				t.Error("the answer is not passed on")
			}
			o := d.outcome()
			if len(o.spans) != 1 {
				t.Fatalf("%d spans", len(o.spans))
			}
			a := o.spans[0].Attributes
			if tt.failed == 0 {
				if a["error.type"] != nil || d.sums()["SoftErrors"] != 0 {
					t.Errorf("%v", a["error.type"])
				}
				return
			}
			if fmt.Sprint(a["error.type"]) != "[batchItemFailures]" || fmt.Sprint(a[lineage.AttrFailedCount]) != fmt.Sprintf("[%d]", tt.failed) {
				t.Errorf("%v, %v", a["error.type"], a[lineage.AttrFailedCount])
			}
			if tt.failed == tt.records {
				failed = nil
			}
			if got, want := fmt.Sprint(a[lineage.AttrFailedIDs]), fmt.Sprint(failed[:min(len(failed), lineage.MaxLinks)]); got != want {
				t.Errorf("%d bytes of IDs, want %d", len(got), len(want))
			}
		})
	}
}

// A long answer that is not about a batch is not held.
func TestLongAnswersPass(t *testing.T) {
	l := newLambdaAPI(t)
	d := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
	url := d.serve("runtime")
	for n, answer := range []string{`"` + strings.Repeat("x", 6<<20) + `"`, `{"batchItemFailures":[],"more":"` + strings.Repeat("x", 6<<20) + `"}`} {
		l.payloads <- []byte(stampedEvent(1))
		get(t, url+runtimePath+"next")
		path := fmt.Sprint(runtimePath, "r-", n+1, "/response")
		if post(t, url+path, answer); l.answers[path] != answer {
			t.Error("the answer is not passed on")
		}
	}
	if sums := d.sums(); sums["SoftErrors"] != 0 || sums["EventsReceived"] != 2 {
		t.Errorf("%v", sums)
	}
}
