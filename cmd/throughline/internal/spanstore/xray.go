package spanstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/xray"
	"github.com/aws/aws-sdk-go-v2/service/xray/types"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/pause"
)

// XRay reads from X-Ray: GetTraceSummaries by annotation, then BatchGetTraces. It sees
// only the spans that X-Ray indexes, by default 1 % with Transaction Search. Client and
// Window are required. It needs xray:GetTraceSummaries and xray:BatchGetTraces. It is
// safe for concurrent use.
type XRay struct {
	Client *xray.Client
	Window Window
	Tell   Tell
}

// Spans implements [Store].
func (x XRay) Spans(ctx context.Context, correlationID string) ([]workflow.Span, error) {
	return x.Find(ctx, Query{Correlations: []string{correlationID}})
}

// Find implements [Store]. X-Ray indexes the first IDs of a span's hops in one text: see
// throughline.hop.ids.
func (x XRay) Find(ctx context.Context, q Query) ([]workflow.Span, error) {
	var traces []string
	seen := map[string]bool{}
	ask := func(filter string) error {
		return x.summaries(ctx, filter, func(s *types.TraceSummary) {
			if id := aws.ToString(s.Id); id != "" && !seen[id] {
				seen[id] = true
				traces = append(traces, id)
			}
		}, nil)
	}
	for _, id := range q.Correlations {
		filter, err := annotation(lineage.AttrCorrelationID, "=", id)
		if err != nil {
			return nil, err
		}
		if err := ask(filter); err != nil {
			return nil, err
		}
	}
	const inOneQuery, most = 5, 500
	if len(q.Ends) > most {
		x.Tell.note("%s are not searched: the spans at their other ends are missing here", phrase.Count(len(q.Ends)-most, "ID of a hop"))
	}
	for chunk := range slices.Chunk(q.Ends[:min(len(q.Ends), most)], inOneQuery) {
		var parts []string
		for _, end := range chunk {
			attribute, operator := lineage.AttrHopIDs, "CONTAINS"
			if slices.Contains(end.Attributes, lineage.AttrInvocationID) {
				attribute, operator = lineage.AttrInvocationID, "="
			}
			part, err := annotation(attribute, operator, end.ID)
			if err != nil {
				continue // IDs of services have no quotes
			}
			parts = append(parts, part)
		}
		if len(parts) == 0 {
			continue
		}
		if err := ask(strings.Join(parts, " OR ")); err != nil {
			return nil, err
		}
	}
	return x.traces(ctx, traces)
}

// annotation returns a filter on an annotation's value.
func annotation(attribute, operator, value string) (string, error) {
	keys := annotationKeys(attribute)
	return fmt.Sprintf(`annotation[%s] %s "%s" OR annotation.%s %[2]s "%[3]s"`, keys[0], operator, value, keys[1]), quotable(value)
}

// CorrelationOf implements [Store].
func (x XRay) CorrelationOf(ctx context.Context, eventID string) (string, error) {
	traces, err := x.annotated(ctx, lineage.AttrEventID, eventID)
	if err != nil {
		return "", err
	}
	spans, err := x.traces(ctx, traces[:min(len(traces), batchTraces)])
	for i := range spans {
		if spans[i].EventID() == eventID && spans[i].Correlation() != "" {
			return spans[i].Correlation(), nil
		}
	}
	return "", err
}

// Workflows implements [Store], from the annotations of summaries.
func (x XRay) Workflows(ctx context.Context, lastOnly bool) ([]workflow.Summary, error) {
	var index workflow.Index
	err := x.summaries(ctx, "", func(s *types.TraceSummary) {
		start := aws.ToTime(s.StartTime)
		if start.IsZero() {
			start = aws.ToTime(s.MatchedEventTime)
		}
		end := start.Add(time.Duration(aws.ToFloat64(s.Duration) * float64(time.Second)))
		for _, key := range annotationKeys(lineage.AttrCorrelationID) {
			for _, value := range s.Annotations[key] {
				if text, ok := value.AnnotationValue.(*types.AnnotationValueMemberStringValue); ok && text.Value != "" {
					index.Extend(workflow.Summary{CorrelationID: text.Value, Start: start, End: end})
				}
			}
		}
	}, func() bool { return lastOnly && len(index.Workflows()) > 0 })
	return index.Workflows(), err
}

// Complete implements [Store], from the annotations of summaries.
func (x XRay) Complete(ctx context.Context, prefix string, events bool) ([]string, error) {
	if err := quotable(prefix); err != nil {
		return nil, err
	}
	attribute := lineage.AttrCorrelationID
	if events {
		attribute = lineage.AttrEventID
	}
	keys := annotationKeys(attribute)
	filter := fmt.Sprintf(`annotation[%s] BEGINSWITH "%s" OR annotation.%s BEGINSWITH "%[2]s"`, keys[0], prefix, keys[1])
	c := completions{prefix: prefix, events: events}
	err := x.summaries(ctx, filter, func(s *types.TraceSummary) {
		for _, key := range keys {
			for _, value := range s.Annotations[key] {
				if text, ok := value.AnnotationValue.(*types.AnnotationValueMemberStringValue); ok {
					c.add(text.Value)
				}
			}
		}
	}, nil)
	return c.list(), err
}

// annotationKeys returns an attribute's names as an annotation: with dots, and in the
// form from before keys could have dots.
func annotationKeys(attribute string) []string {
	for old, name := range annotated {
		if name == attribute && old != name {
			return []string{attribute, old}
		}
	}
	return []string{attribute}
}

// annotated returns the IDs of the traces with the annotation.
func (x XRay) annotated(ctx context.Context, attribute, value string) ([]string, error) {
	filter, err := annotation(attribute, "=", value)
	if err != nil {
		return nil, err
	}
	var ids []string
	seen := map[string]bool{}
	err = x.summaries(ctx, filter, func(s *types.TraceSummary) {
		if id := aws.ToString(s.Id); id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}, nil)
	return ids, err
}

// slice is the longest time range of GetTraceSummaries.
const slice = 6 * time.Hour

// summaries calls visit with every summary of the window, the latest hours first. It
// stops after a slice if enough returns true.
func (x XRay) summaries(ctx context.Context, filter string, visit func(*types.TraceSummary), enough func() bool) error {
	found := 0
	for to := x.Window.To; to.After(x.Window.From); to = to.Add(-slice) {
		from := to.Add(-slice)
		if from.Before(x.Window.From) {
			from = x.Window.From
		}
		in := &xray.GetTraceSummariesInput{
			StartTime: aws.Time(from.Truncate(time.Second)), EndTime: aws.Time(to),
			// A W3C trace ID has no time, but X-Ray reads one from it by default.
			TimeRangeType: types.TimeRangeTypeEvent,
		}
		if filter != "" {
			in.FilterExpression = &filter
		}
		pages := xray.NewGetTraceSummariesPaginator(x.Client, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("ask X-Ray for trace summaries: %w", err)
			}
			for i := range page.TraceSummaries {
				visit(&page.TraceSummaries[i])
			}
			found += len(page.TraceSummaries)
			x.Tell.say("asking X-Ray for trace summaries since %s: %d", from.Format(time.DateTime), found)
		}
		if enough != nil && enough() {
			return nil
		}
	}
	return nil
}

const (
	batchTraces = 5 // the limit of BatchGetTraces
	askers      = 4 // concurrent calls, well below X-Ray's rates
)

// traces reads whole traces.
func (x XRay) traces(ctx context.Context, ids []string) ([]workflow.Span, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu     sync.Mutex
		asking sync.WaitGroup
		found  collected
		done   int
	)
	batches := make(chan []string)
	for range askers {
		asking.Go(func() {
			for batch := range batches {
				part, err := x.batch(ctx, batch)
				mu.Lock()
				found.unread += part.unread
				for i := range part.spans {
					if err == nil {
						err = found.add(part.spans[i])
					}
				}
				done += len(batch)
				x.Tell.say("reading traces from X-Ray: %d of %d, %d spans", done, len(ids), len(found.spans))
				mu.Unlock()
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for batch := range slices.Chunk(ids, batchTraces) {
		if ctx.Err() != nil {
			break
		}
		batches <- batch
	}
	close(batches)
	asking.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return found.finish(x.Tell), nil
}

// batch reads up to five traces. It repeats the call for unprocessed traces, and skips
// those that stay unprocessed; the tree shows what is missing.
func (x XRay) batch(ctx context.Context, ids []string) (found collected, err error) {
	for attempt := range 3 {
		if attempt > 0 && pause.For(ctx, time.Duration(attempt)*200*time.Millisecond) != nil {
			return found, ctx.Err()
		}
		var again []string
		pages := xray.NewBatchGetTracesPaginator(x.Client, &xray.BatchGetTracesInput{TraceIds: ids})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return found, fmt.Errorf("read traces from X-Ray: %w", err)
			}
			again = append(again, page.UnprocessedTraceIds...)
			for _, trace := range page.Traces {
				more, unread := readTrace(trace)
				found.spans, found.unread = append(found.spans, more...), found.unread+unread
			}
		}
		if len(again) == 0 {
			return found, nil
		}
		ids = again
	}
	x.Tell.note("X-Ray did not return %d traces: their spans are missing here", len(ids))
	return found, nil
}

func readTrace(trace types.Trace) (spans []workflow.Span, unread int) {
	documents := make([]string, 0, len(trace.Segments))
	for _, s := range trace.Segments {
		if s.Document != nil {
			documents = append(documents, *s.Document)
		}
	}
	return readSegments(documents)
}
