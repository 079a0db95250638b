package spanstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/pause"
)

// TransactionSearch reads from CloudWatch's Transaction Search, which keeps every span in
// the log group aws/spans, through Logs Insights. Client, LogGroup (a name or an ARN) and
// Window are required. It needs logs:StartQuery, logs:GetQueryResults and logs:StopQuery,
// and AWS bills the scanned data. It is safe for concurrent use.
type TransactionSearch struct {
	Client   *cloudwatchlogs.Client
	LogGroup string
	Window   Window
	Tell     Tell
	// Rows is the number of rows that one query requests. If there are more, the time is
	// searched in halves. 0 means 10 000, the limit of Logs Insights.
	Rows int
	// Poll is the time before the first read of a query's results. 0 means 250 ms.
	Poll time.Duration
}

// SpansLogGroup is the log group of Transaction Search.
const SpansLogGroup = "aws/spans"

func (t TransactionSearch) rows() int {
	const most = 10_000
	return cmp.Or(t.Rows, most)
}

// Spans implements [Store].
func (t TransactionSearch) Spans(ctx context.Context, correlationID string) ([]workflow.Span, error) {
	return t.Find(ctx, Query{Correlations: []string{correlationID}})
}

// Find implements [Store]. It reads the spans that mention an ID, in attributes or in a
// link, and then the rest of their traces.
func (t TransactionSearch) Find(ctx context.Context, q Query) ([]workflow.Span, error) {
	var found collected
	filters, err := q.filters()
	if err != nil {
		return nil, err
	}
	for _, filter := range filters {
		if err := t.spans(ctx, t.Window, filter, &found); err != nil {
			return nil, err
		}
	}
	var traces []string
	var around workflow.Summary
	m := q.matcher()
	for i := range found.spans {
		s := &found.spans[i]
		if !m.matches(s) || slices.Contains(traces[max(0, len(traces)-1):], s.ID.Trace) {
			continue
		}
		traces = append(traces, s.ID.Trace)
		if around.Start.IsZero() || s.Start.Before(around.Start) {
			around.Start = s.Start
		}
		if s.End.After(around.End) {
			around.End = s.End
		}
	}
	slices.Sort(traces)
	traces = slices.Compact(traces)
	// The rest of a trace is near in time, and scanning less costs less.
	const near = time.Hour
	window := Window{later(t.Window.From, around.Start.Add(-near)), earlier(t.Window.To, around.End.Add(near))}
	const inOneQuery = 200 // a query string can have 10 000 characters
	for chunk := range slices.Chunk(traces, inOneQuery) {
		filter := `filter traceId in ["` + strings.Join(chunk, `","`) + `"]`
		if err := t.spans(ctx, window, filter, &found); err != nil {
			return nil, err
		}
	}
	return found.finish(t.Tell), nil
}

// filters returns the filters of the queries that find each ID, with several IDs in one.
func (q Query) filters() (filters []string, err error) {
	ids := slices.Clone(q.Correlations)
	for _, e := range q.Ends {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	const inOneQuery = 100 // a query string can have 10 000 characters
	for chunk := range slices.Chunk(slices.Compact(ids), inOneQuery) {
		parts, size := make([]string, 0, len(chunk)), 0
		for _, id := range chunk {
			if err := quotable(id); err != nil {
				return nil, err
			}
			const longest = 9000
			if part := fmt.Sprintf(`@message like "%s"`, id); size+len(part) < longest || len(parts) == 0 {
				parts, size = append(parts, part), size+len(part)+len(" or ")
			} else {
				filters = append(filters, "filter "+strings.Join(parts, " or "))
				parts, size = []string{part}, len(part)
			}
		}
		filters = append(filters, "filter "+strings.Join(parts, " or "))
	}
	return filters, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// CorrelationOf implements [Store].
func (t TransactionSearch) CorrelationOf(ctx context.Context, eventID string) (string, error) {
	if err := quotable(eventID); err != nil {
		return "", err
	}
	var found collected
	err := t.spans(ctx, t.Window, fmt.Sprintf(`filter attributes.%s = "%s"`, lineage.AttrEventID, eventID), &found)
	for i := range found.spans {
		if s := &found.spans[i]; s.EventID() == eventID && s.Correlation() != "" {
			return s.Correlation(), nil
		}
	}
	return "", err
}

// Workflows implements [Store].
func (t TransactionSearch) Workflows(ctx context.Context, lastOnly bool) ([]workflow.Summary, error) {
	var index workflow.Index
	if lastOnly {
		rows, err := t.query(ctx, t.Window, "fields @message | filter ispresent(attributes."+lineage.AttrCorrelationID+") | sort @timestamp desc | limit 1")
		for _, row := range rows {
			if span, err := readRecord([]byte(row["@message"])); err == nil {
				index.Add(&span)
			}
		}
		return index.Workflows(), err
	}
	rows, err := t.query(ctx, t.Window, "filter ispresent(attributes."+lineage.AttrCorrelationID+
		") | stats min(startTimeUnixNano) as began, max(endTimeUnixNano) as ended by attributes."+lineage.AttrCorrelationID+" as workflow | limit "+strconv.Itoa(t.rows()))
	for _, row := range rows {
		if row["workflow"] != "" {
			index.Extend(workflow.Summary{CorrelationID: row["workflow"], Start: nanoseconds(row["began"]), End: nanoseconds(row["ended"])})
		}
	}
	return index.Workflows(), err
}

// Complete implements [Store].
func (t TransactionSearch) Complete(ctx context.Context, prefix string, events bool) ([]string, error) {
	if err := quotable(prefix); err != nil {
		return nil, err
	}
	var found collected
	err := t.spans(ctx, t.Window, fmt.Sprintf(`filter @message like "%s"`, prefix), &found)
	c := completions{prefix: prefix, events: events}
	for i := range found.spans {
		c.span(&found.spans[i])
	}
	return c.list(), err
}

func nanoseconds(text string) time.Time {
	n, err := integer(text)
	if err != nil { // Logs Insights can write a large number as 1.7E18
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// spans reads the spans of a window that match a filter. If there are more than a query
// returns, it reads the window in halves.
func (t TransactionSearch) spans(ctx context.Context, w Window, filter string, found *collected) error {
	rows, err := t.query(ctx, w, "fields @message | "+filter+" | limit "+strconv.Itoa(t.rows()))
	if err != nil {
		return err
	}
	if len(rows) >= t.rows() && w.To.Sub(w.From) > time.Second {
		middle := w.middle().Truncate(time.Second)
		if err := t.spans(ctx, Window{w.From, middle}, filter, found); err != nil {
			return err
		}
		return t.spans(ctx, Window{later(middle, w.From.Add(time.Second)), w.To}, filter, found)
	}
	if len(rows) >= t.rows() {
		t.Tell.note("%s has more than %d spans in the second after %s: the rest is missing here", t.LogGroup, t.rows(), w.From.UTC().Format(time.DateTime))
	}
	for _, row := range rows {
		span, err := readRecord([]byte(row["@message"]))
		if err != nil {
			found.unread++
			continue
		}
		if err := found.add(span); err != nil {
			return err
		}
	}
	t.Tell.say("asking %s: %d spans", t.LogGroup, len(found.spans))
	return nil
}

// query runs one query of Logs Insights to its end.
func (t TransactionSearch) query(ctx context.Context, w Window, text string) ([]map[string]string, error) {
	in := &cloudwatchlogs.StartQueryInput{
		QueryString: &text, StartTime: aws.Int64(w.From.Unix()), EndTime: aws.Int64(w.To.Unix() + 1),
	}
	if strings.HasPrefix(t.LogGroup, "arn:") {
		in.LogGroupIdentifiers = []string{t.LogGroup}
	} else {
		in.LogGroupNames = []string{t.LogGroup}
	}
	started, err := t.Client.StartQuery(ctx, in)
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("this Region has no log group %s: `aws xray get-trace-segment-destination` shows whether Transaction Search is on, "+
			"`aws xray update-trace-segment-destination --destination CloudWatchLogs` turns it on", t.LogGroup)
	}
	if err != nil {
		return nil, fmt.Errorf("start a query of %s: %w", t.LogGroup, err)
	}
	wait := t.Poll
	if wait == 0 {
		wait = 250 * time.Millisecond
	}
	for {
		if pause.For(ctx, wait) != nil {
			t.stop(ctx, started.QueryId)
			return nil, ctx.Err()
		}
		wait = min(2*wait, 2*time.Second)
		out, err := t.Client.GetQueryResults(ctx, &cloudwatchlogs.GetQueryResultsInput{QueryId: started.QueryId})
		if err != nil {
			t.stop(ctx, started.QueryId)
			return nil, fmt.Errorf("read a query of %s: %w", t.LogGroup, err)
		}
		switch out.Status {
		case types.QueryStatusComplete:
			return rows(out.Results), nil
		case types.QueryStatusScheduled, types.QueryStatusRunning, types.QueryStatusUnknown:
			t.Tell.say("asking %s: the query is %s", t.LogGroup, strings.ToLower(string(out.Status)))
		default:
			return nil, fmt.Errorf("a query of %s ended with the status %s: narrow the time with --since", t.LogGroup, strings.ToLower(string(out.Status)))
		}
	}
}

// stop stops a query whose result is not needed any more, because it would continue and
// be billed.
func (t TransactionSearch) stop(ctx context.Context, id *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, _ = t.Client.StopQuery(ctx, &cloudwatchlogs.StopQueryInput{QueryId: id})
}

func rows(results [][]types.ResultField) []map[string]string {
	list := make([]map[string]string, len(results))
	for i, result := range results {
		list[i] = make(map[string]string, len(result))
		for _, f := range result {
			list[i][aws.ToString(f.Field)] = aws.ToString(f.Value)
		}
	}
	return list
}
