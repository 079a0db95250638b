package spanstore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/internal/peertest"
	"github.com/throughline/throughline/tracing"
)

// logsServer stands in for Logs Insights with what moto does not serve: the
// filters and the stats of these queries. A query is Running when first asked
// about.
type logsServer struct {
	tb      testing.TB
	records []struct {
		text string
		span workflow.Span
	}
	mu      sync.Mutex
	queries []object
	asked   map[string]int
	fail    string
	failed  func() // called where fail was answered
}

func newLogsServer(tb testing.TB, spans []workflow.Span) (*logsServer, *cloudwatchlogs.Client) {
	s := &logsServer{tb: tb, asked: map[string]int{}}
	spans = slices.SortedStableFunc(slices.Values(spans), func(a, b workflow.Span) int { return b.Start.Compare(a.Start) }) // the latest first
	for _, span := range spans {
		s.records = append(s.records, struct {
			text string
			span workflow.Span
		}{spanRecord(tb, span), span})
	}
	server := httptest.NewServer(s)
	tb.Cleanup(server.Close)
	return s, cloudwatchlogs.NewFromConfig(awsAt(tb, server.URL, "eu-west-2"))
}

func (s *logsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		QueryString, QueryID string
		LogGroupNames        []string
		StartTime, EndTime   int64
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case operation == "StartQuery" && !slices.Contains(in.LogGroupNames, SpansLogGroup):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ResourceNotFoundException","message":"no such log group"}`)
	case operation == "StartQuery":
		if len(in.QueryString) > 10_000 {
			s.tb.Errorf("a query of %d characters", len(in.QueryString))
		}
		s.queries = append(s.queries, object{"status": "Complete", "results": s.results(in.QueryString, in.StartTime, in.EndTime)})
		_, _ = fmt.Fprintf(w, `{"queryId":"%d"}`, len(s.queries))
	case operation == "GetQueryResults" && s.fail != "":
		_, _ = w.Write(encode(s.tb, object{"status": s.fail, "results": []any{}}))
		if s.failed != nil {
			s.failed()
		}
	case operation == "GetQueryResults":
		s.asked[in.QueryID]++
		n, _ := strconv.Atoi(in.QueryID)
		if s.asked[in.QueryID] == 1 {
			_, _ = io.WriteString(w, `{"status":"Running","results":[]}`)
			return
		}
		_, _ = w.Write(encode(s.tb, s.queries[n-1]))
	default:
		s.asked[operation]++
		_, _ = io.WriteString(w, `{"success":true}`)
	}
}

var (
	likeMessage = regexp.MustCompile(`filter @message like "([^"]+)"`)
	equalsEvent = regexp.MustCompile(`filter attributes\.throughline\.event\.id = "([^"]+)"`)
	inTraces    = regexp.MustCompile(`filter traceId in \[(.+?)\]`)
	limitRows   = regexp.MustCompile(`limit (\d+)$`)
)

func (s *logsServer) results(query string, from, to int64) [][]object {
	type row = []object
	var rows []row
	passes := func(string, *workflow.Span) bool { return true }
	if m := likeMessage.FindStringSubmatch(query); m != nil {
		passes = func(text string, _ *workflow.Span) bool { return strings.Contains(text, m[1]) }
	} else if m := equalsEvent.FindStringSubmatch(query); m != nil {
		passes = func(_ string, span *workflow.Span) bool { return span.Text(tracing.AttrEventID) == m[1] }
	} else if m := inTraces.FindStringSubmatch(query); m != nil {
		passes = func(_ string, span *workflow.Span) bool { return strings.Contains(m[1], `"`+span.ID.Trace+`"`) }
	} else if strings.Contains(query, "ispresent(attributes.throughline.correlation.id)") {
		passes = func(_ string, span *workflow.Span) bool { return span.Correlation() != "" }
	} else {
		s.tb.Errorf("a query that the stand-in does not know: %s", query)
	}
	var index workflow.Index
	for i := range s.records {
		span := &s.records[i].span
		if span.Start.Unix() < from || span.Start.Unix() > to || !passes(s.records[i].text, span) {
			continue
		}
		index.Add(span)
		rows = append(rows, row{{"field": "@message", "value": s.records[i].text}, {"field": "@ptr", "value": "x"}})
	}
	if strings.Contains(query, "| stats ") {
		rows = nil
		for _, w := range index.Workflows() {
			rows = append(rows, row{{"field": "workflow", "value": w.CorrelationID}, {"field": "began", "value": strconv.FormatFloat(float64(w.Start.UnixNano()), 'E', -1, 64)}, {"field": "ended", "value": fmt.Sprint(w.End.UnixNano())}})
		}
	}
	limit, _ := strconv.Atoi(limitRows.FindStringSubmatch(query)[1])
	return rows[:min(limit, len(rows))]
}

func TestTransactionSearch(t *testing.T) {
	spans, truth := generated()
	server, client := newLogsServer(t, spans)
	store := TransactionSearch{Client: client, LogGroup: SpansLogGroup, Window: lastHours(24), Rows: 1000, Poll: time.Millisecond}
	checkStore(t, store, truth, false)
	checkWorkflows(t, store, truth)
	server.fail = "Timeout"
	if _, err := store.Spans(t.Context(), truth.CorrelationID); err == nil || !strings.Contains(err.Error(), "--since") {
		t.Errorf("a query that timed out gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server.fail, server.failed = "Running", cancel
	if _, err := store.Spans(ctx, truth.CorrelationID); err == nil || server.asked["StopQuery"] != 1 {
		t.Errorf("an ended context gives %v and stops %d queries", err, server.asked["StopQuery"])
	}
	store.LogGroup = "aws/other"
	if _, err := store.Spans(t.Context(), truth.CorrelationID); err == nil || !strings.Contains(err.Error(), "update-trace-segment-destination") {
		t.Errorf("a log group that is not there gives %v", err)
	}
}

// TestTransactionSearchOfMoto asks moto's Logs Insights, which passes filters
// by: what it hands out too much must not change the tree.
func TestTransactionSearchOfMoto(t *testing.T) {
	t.Parallel()
	spans, truth := workflowtest.Workflow(150, time.Now().Add(-time.Hour))
	client := cloudwatchlogs.NewFromConfig(awsAt(t, peertest.Moto(t), "ap-south-1"))
	stream := "default"
	if _, err := client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(SpansLogGroup)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(SpansLogGroup), LogStreamName: &stream}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(spans, func(a, b workflow.Span) int { return a.Start.Compare(b.Start) })
	for chunk := range slices.Chunk(spans, 300) {
		events := []logtypes.InputLogEvent{}
		for _, s := range chunk {
			events = append(events, logtypes.InputLogEvent{Timestamp: aws.Int64(s.Start.UnixMilli()), Message: aws.String(spanRecord(t, s))})
		}
		if _, err := client.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String(SpansLogGroup), LogStreamName: &stream, LogEvents: events}); err != nil {
			t.Fatal(err)
		}
	}
	store := TransactionSearch{Client: client, LogGroup: SpansLogGroup, Window: lastHours(24), Poll: time.Millisecond}
	found, err := store.Spans(t.Context(), truth.CorrelationID)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := truth.Check(workflow.Build(found, truth.CorrelationID), false); len(wrong) > 0 {
		t.Errorf("wrong tree:\n%s", strings.Join(wrong, "\n"))
	}
	if last, err := store.Workflows(t.Context(), true); err != nil || len(last) != 1 || last[0].CorrelationID != truth.CorrelationID {
		t.Errorf("the last is %v, %v", last, err)
	}
	store.LogGroup = "aws/none"
	if _, err := store.Spans(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "Transaction Search") {
		t.Errorf("a log group that is not there gives %v", err)
	}
}
