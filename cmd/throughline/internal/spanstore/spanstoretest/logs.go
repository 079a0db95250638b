package spanstoretest

import (
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

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// spansLogGroup is the log group of Transaction Search.
const spansLogGroup = "aws/spans"

// Logs emulates the parts of Logs Insights that moto does not have: the filters and the
// stats of these queries. The first read of a query returns the status Running.
type Logs struct {
	URL     string
	tb      testing.TB
	records []struct {
		text string
		span workflow.Span
	}
	mu      sync.Mutex
	queries []Object
	Asked   map[string]int // the number of calls, by query and by operation
	Fail    string         // the status of every query, if not empty
	Failed  func()         // called after Fail was returned
}

// NewLogs starts it with the spans until the test ends, and returns a client.
func NewLogs(tb testing.TB, spans []workflow.Span) (*Logs, *cloudwatchlogs.Client) {
	s := &Logs{tb: tb, Asked: map[string]int{}}
	spans = slices.SortedStableFunc(slices.Values(spans), func(a, b workflow.Span) int { return b.Start.Compare(a.Start) }) // the latest first
	for _, span := range spans {
		s.records = append(s.records, struct {
			text string
			span workflow.Span
		}{SpanRecord(tb, span), span})
	}
	server := httptest.NewServer(s)
	tb.Cleanup(server.Close)
	s.URL = server.URL
	return s, cloudwatchlogs.NewFromConfig(AWS(tb, server.URL, "eu-west-2"))
}

func (s *Logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	case operation == "StartQuery" && !slices.Contains(in.LogGroupNames, spansLogGroup):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ResourceNotFoundException","message":"no such log group"}`)
	case operation == "StartQuery":
		if len(in.QueryString) > 10_000 {
			s.tb.Errorf("a query of %d characters", len(in.QueryString))
		}
		s.queries = append(s.queries, Object{"status": "Complete", "results": s.results(in.QueryString, in.StartTime, in.EndTime)})
		_, _ = fmt.Fprintf(w, `{"queryId":"%d"}`, len(s.queries))
	case operation == "GetQueryResults" && s.Fail != "":
		_, _ = w.Write(Encode(s.tb, Object{"status": s.Fail, "results": []any{}}))
		if s.Failed != nil {
			s.Failed()
		}
	case operation == "GetQueryResults":
		s.Asked[in.QueryID]++
		n, _ := strconv.Atoi(in.QueryID)
		if s.Asked[in.QueryID] == 1 {
			_, _ = io.WriteString(w, `{"status":"Running","results":[]}`)
			return
		}
		_, _ = w.Write(Encode(s.tb, s.queries[n-1]))
	default:
		s.Asked[operation]++
		_, _ = io.WriteString(w, `{"success":true}`)
	}
}

var (
	likeMessage = regexp.MustCompile(`(?:filter|or) @message like "([^"]+)"`)
	equalsEvent = regexp.MustCompile(`filter attributes\.throughline\.event\.id = "([^"]+)"`)
	inTraces    = regexp.MustCompile(`filter traceId in \[(.+?)\]`)
	limitRows   = regexp.MustCompile(`limit (\d+)$`)
)

func (s *Logs) results(query string, from, to int64) [][]Object {
	type row = []Object
	var rows []row
	passes := func(string, *workflow.Span) bool { return true }
	if all := likeMessage.FindAllStringSubmatch(query, -1); all != nil {
		passes = func(text string, _ *workflow.Span) bool {
			return slices.ContainsFunc(all, func(m []string) bool { return strings.Contains(text, m[1]) })
		}
	} else if m := equalsEvent.FindStringSubmatch(query); m != nil {
		passes = func(_ string, span *workflow.Span) bool { return span.Text(lineage.AttrEventID) == m[1] }
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
