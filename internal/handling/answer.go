package handling

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/throughline/throughline/internal/jsonwalk"
	"github.com/throughline/throughline/internal/lineage"
)

// MaxAnswer is the size of the longest answer that is read for the failed items of a
// batch, in bytes. The 10 000 items of the largest batch fit.
const MaxAnswer = 1 << 20

// NamesFailures reports whether an answer, or its beginning, has failed items.
func NamesFailures(answer []byte) bool { return bytes.Contains(answer, []byte(`"batchItemFailures"`)) }

// answer is the part of a handler's answer that is a success to AWS and a failure to the
// caller. The zero value is no failure.
type answer struct {
	status int64    // statusCode, if it is 500 or more
	items  []string // the item identifiers in batchItemFailures; "" for an item without one
}

func (a *answer) soft() bool { return a.status > 0 || len(a.items) > 0 }

// mostItems is the number of item identifiers that are read: the records of the largest
// batch (Lambda developer guide, "BatchSize").
const mostItems = 10_000

// readAnswer reads an answer in place: the runtime waits for it, and a function can return
// anything. A malformed answer is no failure.
func readAnswer(raw []byte) (a answer) {
	if len(raw) > MaxAnswer || !NamesFailures(raw) && !bytes.Contains(raw, []byte(`"statusCode"`)) {
		return a
	}
	m := jsonwalk.MembersOf(raw, 0)
	for m.Next() {
		switch string(m.Key) {
		case "statusCode":
			a.status = 0
			if code, err := strconv.ParseInt(jsonwalk.Scalar(m.Value), 10, 64); err == nil && code >= 500 {
				a.status = code
			}
		case "batchItemFailures":
			a.items = readItems(m.Value)
		}
	}
	if m.After == 0 || jsonwalk.SkipSpace(raw, m.After) != len(raw) {
		return answer{}
	}
	return a
}

// readItems returns the item identifiers. Of more items than a batch has records, one is
// not in the batch: then the last identifier is "".
func readItems(list []byte) (items []string) {
	for e := jsonwalk.ElementsOf(list, 0); e.Next(); {
		if len(items) == mostItems {
			return append(items, "")
		}
		id := ""
		for m := jsonwalk.MembersOf(e.Value, 0); m.Next(); {
			if string(m.Key) == "itemIdentifier" {
				id = jsonwalk.Text(m.Value)
			}
		}
		items = append(items, id)
	}
	return items
}

// failures are the events that a partial batch response names (Lambda developer guide,
// "Reporting batch item failures").
type failures struct {
	again map[int]bool // indexes of the events that are delivered again
	count int          // the number of events that failed
	ids   []string     // of the records that failed, at most lineage.MaxLinks; nil if all did
	wrong bool         // the identifiers are not those of the batch: it failed as a whole
}

// failuresOf returns the events that item identifiers name.
func (i *Invocation) failuresOf(items []string) failures {
	if len(items) == 0 || i.Delivery.Len() == 0 {
		return failures{}
	}
	named := make(map[string]bool, len(items)) // and whether a record has the identifier
	for _, id := range items {
		named[id] = false
	}
	f := failures{again: map[int]bool{}}
	stream := i.Delivery.Shape == lineage.ShapeKinesis || i.Delivery.Shape == lineage.ShapeDynamoDB
	n := 0
	i.Delivery.Each(func(e *lineage.Event) {
		failed := false
		for _, id := range e.ItemIDs(i.Delivery.Shape) {
			if _, is := named[id]; is && id != "" {
				named[id], failed = true, true
			}
		}
		if failed {
			if f.count++; len(f.ids) < lineage.MaxLinks {
				f.ids = append(f.ids, cmp.Or(e.Arrival.RecordID, e.ID))
			}
		}
		// Of a stream, Lambda delivers all records from the first one that failed.
		if failed || stream && f.count > 0 {
			f.again[n] = true
		}
		n++
	})
	_, nameless := named[""]
	strange := slices.Contains(slices.Collect(maps.Values(named)), false)
	switch sqs := i.Delivery.Shape == lineage.ShapeSQS; {
	case f.count == 0, sqs && strange, stream && nameless:
		f.count, f.ids, f.wrong = n, nil, true
		for k := range n {
			if sqs || stream { // of a new bus it is not documented
				f.again[k] = true
			}
		}
	case f.count == n:
		f.ids = nil
	}
	return f
}

// markSoft gives the process span an error status if the answer is a failure.
func (i *Invocation) markSoft(a *answer, f *failures) {
	if !a.soft() || !i.Span.IsRecording() {
		return
	}
	if len(a.items) == 0 {
		status := strconv.FormatInt(a.status, 10)
		lineage.Fail(i.Span, status, "answered with the status code "+status)
		return
	}
	description := "returned in batchItemFailures"
	switch n := i.Delivery.Len(); {
	case f.wrong:
		description = "batchItemFailures has identifiers that are not in the batch: all of it failed"
	case n > 1:
		description = fmt.Sprintf("%d of %d records %s", f.count, n, description)
	}
	lineage.FailItems(i.Span, description, f.count, f.ids)
}
