package spanstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/xray"
	"github.com/aws/aws-sdk-go-v2/service/xray/types"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/tracing"
)

// XRay reads from X-Ray: GetTraceSummaries by annotation, then BatchGetTraces.
// It sees what X-Ray indexes, with Transaction Search on by default 1 % of
// spans. Client and Window are required. It needs xray:GetTraceSummaries and
// xray:BatchGetTraces. Safe for concurrent use.
type XRay struct {
	Client *xray.Client
	Window Window
	Tell   Tell
}

// Spans implements [Store].
func (x XRay) Spans(ctx context.Context, correlationID string) ([]workflow.Span, error) {
	traces, err := x.annotated(ctx, tracing.AttrCorrelationID, correlationID)
	if err != nil {
		return nil, err
	}
	return x.traces(ctx, traces)
}

// CorrelationOf implements [Store].
func (x XRay) CorrelationOf(ctx context.Context, eventID string) (string, error) {
	traces, err := x.annotated(ctx, tracing.AttrEventID, eventID)
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
		for _, key := range annotationKeys(tracing.AttrCorrelationID) {
			for _, value := range s.Annotations[key] {
				if text, ok := value.AnnotationValue.(*types.AnnotationValueMemberStringValue); ok && text.Value != "" {
					index.Extend(workflow.Summary{CorrelationID: text.Value, Start: start, End: end})
				}
			}
		}
	}, func() bool { return lastOnly && len(index.Workflows()) > 0 })
	return index.Workflows(), err
}

// annotationKeys are an attribute's name as an annotation: with its dots, and
// as it was while keys could not hold any.
func annotationKeys(attribute string) []string {
	for old, name := range annotated {
		if name == attribute && old != name {
			return []string{attribute, old}
		}
	}
	return []string{attribute}
}

// annotated are the IDs of the traces with the annotation.
func (x XRay) annotated(ctx context.Context, attribute, value string) ([]string, error) {
	if err := quotable(value); err != nil {
		return nil, err
	}
	keys := annotationKeys(attribute)
	filter := fmt.Sprintf(`annotation[%s] = "%s" OR annotation.%s = "%s"`, keys[0], value, keys[1], value)
	var ids []string
	seen := map[string]bool{}
	err := x.summaries(ctx, filter, func(s *types.TraceSummary) {
		if id := aws.ToString(s.Id); id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}, nil)
	return ids, err
}

// slice is the longest time that GetTraceSummaries is asked about at once.
const slice = 6 * time.Hour

// summaries shows visit every summary of the window, its latest hours first. It
// stops after a slice where enough says so.
func (x XRay) summaries(ctx context.Context, filter string, visit func(*types.TraceSummary), enough func() bool) error {
	found := 0
	for to := x.Window.To; to.After(x.Window.From); to = to.Add(-slice) {
		from := to.Add(-slice)
		if from.Before(x.Window.From) {
			from = x.Window.From
		}
		in := &xray.GetTraceSummariesInput{
			StartTime: aws.Time(from.Truncate(time.Second)), EndTime: aws.Time(to),
			// A W3C trace ID tells no time, and X-Ray would read one out of it by default.
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
	batchTraces = 5 // BatchGetTraces takes no more
	askers      = 4 // at a time, well below X-Ray's rates
)

// traces reads whole traces.
func (x XRay) traces(ctx context.Context, ids []string) ([]workflow.Span, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu     sync.Mutex
		asking sync.WaitGroup
		found  = collected{seen: map[workflow.ID]bool{}}
		done   int
	)
	batches := make(chan []string)
	for range askers {
		asking.Go(func() {
			for batch := range batches {
				spans, err := x.batch(ctx, batch)
				mu.Lock()
				for i := range spans {
					if err == nil {
						err = found.add(spans[i])
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
	inferLinks(found.spans)
	return found.spans, nil
}

// batch reads up to five traces. What X-Ray leaves unprocessed is asked for
// again, and then left out: the tree says what is missing.
func (x XRay) batch(ctx context.Context, ids []string) ([]workflow.Span, error) {
	var spans []workflow.Span
	for attempt := range 3 {
		if attempt > 0 {
			select {
			case <-time.After(time.Duration(attempt) * 200 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		var again []string
		pages := xray.NewBatchGetTracesPaginator(x.Client, &xray.BatchGetTracesInput{TraceIds: ids})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("read traces from X-Ray: %w", err)
			}
			again = append(again, page.UnprocessedTraceIds...)
			for _, trace := range page.Traces {
				more, err := readTrace(trace)
				if err != nil {
					return nil, err
				}
				spans = append(spans, more...)
			}
		}
		if len(again) == 0 {
			return spans, nil
		}
		ids = again
	}
	x.Tell.note("X-Ray did not hand out %d traces: what they hold is missing here", len(ids))
	return spans, nil
}

func readTrace(trace types.Trace) ([]workflow.Span, error) {
	documents := make([]string, 0, len(trace.Segments))
	for _, s := range trace.Segments {
		if s.Document != nil {
			documents = append(documents, *s.Document)
		}
	}
	spans, err := readSegments(documents)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", aws.ToString(trace.Id), err)
	}
	return spans, nil
}
