package workflow

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// returning makes a handling of a batch return records as failed.
func returning(s Span, message string, count int, ids ...string) Span {
	s.Error, s.Message = true, message
	s.Attributes["error.type"], s.Attributes[lineage.AttrFailedCount] = lineage.ErrorTypeItems, int64(count)
	if len(ids) > 0 {
		list := make([]any, len(ids))
		for i, id := range ids {
			list[i] = id
		}
		s.Attributes[lineage.AttrFailedIDs] = list
	}
	return s
}

func ofRecord(l Link, id string) Link {
	l.Attributes = maps.Clone(l.Attributes)
	l.Attributes[attrMessageID] = id
	return l
}

// A record that the handler returned as failed fails at the place of its event, and not
// at those of the others in the batch.
func TestFailedRecords(t *testing.T) {
	published := []Span{publication("aa", "a1", "", "strategy", "A", "a", 0), publication("aa", "a2", "", "strategy", "A", "b", time.Millisecond)}
	toA, toB := causedBy("aa", "a1", "a", true), causedBy("aa", "a2", "b", true)
	batch := func(links ...Link) Span {
		s := process("bb", "b1", "execution", "A", "", time.Second, links...)
		s.Attributes[attrBatchCount] = int64(len(links))
		return s
	}
	for _, tt := range []struct {
		name    string
		handled Span
		a, b    string // of the handling below each event; "" if it did not fail
		says    string
	}{
		{"Second", returning(batch(ofRecord(toA, "m-1"), ofRecord(toB, "m-2")), "1 of 2 records returned in batchItemFailures", 1, "m-2"), "", "returned in batchItemFailures", "batch of 2, 1 failed  FAILED, returned in batchItemFailures"},
		{"NewBus", returning(batch(toA, toB), "1 of 2 records returned in batchItemFailures", 1, "a"), "returned in batchItemFailures", "", "batch of 2, 1 failed  FAILED, returned in batchItemFailures"},
		{"All", returning(batch(toA, toB), "2 of 2 records returned in batchItemFailures", 2), "2 of 2 records returned in batchItemFailures", "2 of 2 records returned in batchItemFailures", "FAILED, 2 of 2 records returned"},
		{"OtherWorkflows", returning(batch(ofRecord(toA, "m-1"), ofRecord(toB, "m-2")), "1 of 9 records returned in batchItemFailures", 1, "m-9"), "", "", "batch of 2, 1 failed  ["},
		{"MoreThanNamed", returning(batch(ofRecord(toA, "m-1"), ofRecord(toB, "m-2")), "7 of 9 records returned in batchItemFailures", 7, "m-2"), "7 of 9 records returned in batchItemFailures", "returned in batchItemFailures", ""},
		{"OneTwice", returning(batch(ofRecord(toA, "m-1"), ofRecord(toA, "m-2")), "1 of 2 records returned in batchItemFailures", 1, "m-2"), "returned in batchItemFailures", "-", ""},
		{"Alone", returning(process("bb", "b1", "execution", "A", "a", time.Second, ofRecord(toA, "m-1")), "returned in batchItemFailures", 1), "returned in batchItemFailures", "-", "cold start  hop 1  FAILED, returned in batchItemFailures"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := Build(append([]Span{tt.handled}, published...), correlation)
			below := map[string]string{"a": "-", "b": "-"}
			errors := 0
			for _, n := range w.Document().Nodes {
				if n.Kind != KindHandling {
					continue
				}
				below[n.EventID] = n.Span.Error
				if n.Span.Failed != (n.Span.Error != "") {
					t.Errorf("failed: %v, error %q", n.Span.Failed, n.Span.Error)
				}
				if n.Span.Failed {
					errors = 1
				}
			}
			if below["a"] != tt.a || below["b"] != tt.b || w.Counts.Errors != errors {
				t.Errorf("%v, %d errors", below, w.Counts.Errors)
			}
			if !strings.Contains(text(t, w), tt.says) {
				t.Errorf("no %q in:\n%s", tt.says, text(t, w))
			}
		})
	}
}

// A message that a call sent fails as one that the bus delivered.
func TestFailedMessages(t *testing.T) {
	root := invocation("a", "planner", correlation, 0, nil)
	for via, key := range map[Via]string{ViaSQS: lineage.AttrMessageIDs, ViaSNS: lineage.AttrNotificationIDs} {
		sends := sentBy("a", "s", via, attrs{lineage.AttrMessageIDs: listOf("x-1", "x-2")})
		for id, failed := range map[string]bool{"m-2": true, "m-3": false} {
			received := attrs{lineage.AttrMessageIDs: listOf("m-1", "m-2", "m-3"), attrBatchCount: int64(3)}
			received[key] = listOf("x-1", "x-2", "x-9")
			if via == ViaSQS {
				id = strings.Replace(strings.Replace(id, "m-2", "x-2", 1), "m-3", "x-9", 1)
			}
			h := returning(invocation("h", "execution", correlation, time.Second, received), "1 of 3 records returned in batchItemFailures", 1, id)
			w := Build([]Span{root, sends, h}, correlation)
			if !strings.Contains(text(t, w), "joined by") || strings.Contains(text(t, w), "FAILED") != failed || (w.Counts.Errors > 0) != failed {
				t.Errorf("%s:\n%s", id, text(t, w))
			}
		}
	}
}
