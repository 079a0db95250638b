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
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/xray"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/internal/peertest"
	"github.com/throughline/throughline/tracing"
)

// awsAt is the configuration of an AWS at url. Each test has a Region of its
// own, for moto keeps one state a Region. Its connections end with the test.
func awsAt(tb testing.TB, url, region string) aws.Config {
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return aws.Config{
		Region: region, BaseEndpoint: &url, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
	}
}

// xrayServer stands in for X-Ray with what moto does not serve: filter
// expressions over annotations, annotations in summaries, pages, traces left
// unprocessed, subsegments inside their segments. If behind is a URL, it
// answers only for summaries and hands everything else on to it.
type xrayServer struct {
	tb     testing.TB
	behind string
	mu     sync.Mutex
	ids    []string
	traces map[string][]object
	left   map[string]bool // was left unprocessed once
}

func newXRayServer(tb testing.TB, behind string) (*xrayServer, *xray.Client) {
	s := &xrayServer{tb: tb, behind: behind, traces: map[string][]object{}, left: map[string]bool{}}
	server := httptest.NewServer(s)
	tb.Cleanup(server.Close)
	return s, xray.NewFromConfig(awsAt(tb, server.URL, "eu-west-2"))
}

func (s *xrayServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in struct {
		FilterExpression, NextToken     string
		StartTime, EndTime              float64
		TraceIds, TraceSegmentDocuments []string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		s.tb.Errorf("%s: %v", r.URL.Path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range in.TraceSegmentDocuments {
		var document object
		_ = json.Unmarshal([]byte(text), &document)
		id, _ := document["trace_id"].(string)
		if s.traces[id] == nil {
			s.ids = append(s.ids, id)
		}
		s.traces[id] = append(s.traces[id], document)
	}
	switch {
	case r.URL.Path == "/TraceSummaries":
		s.summaries(w, in.FilterExpression, in.NextToken, in.StartTime, in.EndTime)
	case s.behind != "":
		s.forward(w, r, body)
	case r.URL.Path == "/Traces":
		s.batch(w, in.TraceIds)
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

func (s *xrayServer) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	req, _ := http.NewRequestWithContext(r.Context(), r.Method, s.behind+r.URL.Path, strings.NewReader(string(body)))
	req.Header = r.Header.Clone()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

var comparison = regexp.MustCompile(`annotation(?:\[([^\]]+)\]|\.(\w+)) = "([^"]*)"`)

func (s *xrayServer) summaries(w http.ResponseWriter, filter, token string, from, to float64) {
	if to-from > (6*time.Hour).Seconds()+1 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"InvalidRequestException","Message":"Time range cannot be longer than 6 hours"}`)
		return
	}
	list := []object{}
	for _, id := range s.ids {
		annotations := map[string][]object{}
		matches, began, ended := filter == "", 0.0, 0.0
		for _, d := range s.traces[id] {
			known, _ := d["annotations"].(object)
			for key, value := range known {
				if text, ok := value.(string); ok {
					annotations[key] = append(annotations[key], object{"AnnotationValue": object{"StringValue": text}})
				}
			}
			for _, c := range comparison.FindAllStringSubmatch(filter, -1) {
				matches = matches || known[c[1]+c[2]] == c[3]
			}
			if start := d["start_time"].(float64); began == 0 || start < began {
				began = start
			}
			ended = max(ended, d["end_time"].(float64))
		}
		if matches && began >= from && began < to {
			list = append(list, object{"Id": id, "StartTime": began, "Duration": ended - began, "Annotations": annotations})
		}
	}
	const page = 300
	first, _ := strconv.Atoi(token)
	out := object{"TraceSummaries": list[first:min(len(list), first+page)]}
	if first+page < len(list) {
		out["NextToken"] = strconv.Itoa(first + page)
	}
	_, _ = w.Write(encode(s.tb, out))
}

// batch answers with subsegments inside their segments, and a guessed one.
func (s *xrayServer) batch(w http.ResponseWriter, ids []string) {
	if len(ids) > 5 {
		s.tb.Errorf("%d traces at once", len(ids))
	}
	traces, unprocessed := []object{}, []string{}
	for i, id := range ids {
		if i == 3 && len(s.left) < 5 && !s.left[id] {
			s.left[id] = true
			unprocessed = append(unprocessed, id)
			continue
		}
		byID, segments := map[string]object{}, []object{}
		for _, d := range s.traces[id] {
			byID[d["id"].(string)] = d
		}
		for _, d := range s.traces[id] {
			parent := ""
			if text, ok := d["parent_id"].(string); ok {
				parent = text
			}
			if p := byID[parent]; p != nil {
				inner := object{}
				for k, v := range d {
					if k != "trace_id" && k != "parent_id" {
						inner[k] = v
					}
				}
				list, _ := p["subsegments"].([]object)
				if !slices.ContainsFunc(list, func(o object) bool { return o["id"] == d["id"] }) {
					p["subsegments"] = append(list, inner)
				}
				continue
			}
			segments = append(segments, d)
		}
		documents := []object{{"Id": "00000000000000ee", "Document": `{"id":"00000000000000ee","trace_id":"` + id + `","name":"paper-api.alpaca.markets","inferred":true,"start_time":1,"end_time":2}`}}
		for _, d := range segments {
			documents = append(documents, object{"Id": d["id"], "Document": string(encode(s.tb, d))})
		}
		traces = append(traces, object{"Id": id, "Segments": documents})
	}
	_, _ = w.Write(encode(s.tb, object{"Traces": traces, "UnprocessedTraceIds": unprocessed}))
}

func putSegments(t *testing.T, client *xray.Client, spans []workflow.Span, dots bool) {
	t.Helper()
	documents := make([]string, len(spans))
	for i, s := range spans {
		documents[i] = segmentDocument(t, s, dots)
	}
	for chunk := range slices.Chunk(documents, 50) {
		out, err := client.PutTraceSegments(t.Context(), &xray.PutTraceSegmentsInput{TraceSegmentDocuments: chunk})
		if err != nil || len(out.UnprocessedTraceSegments) > 0 {
			t.Fatalf("put segments: %v %+v", err, out)
		}
	}
}

func TestXRay(t *testing.T) {
	for name, dots := range map[string]bool{"DotsInAnnotations": true, "NoDots": false} {
		t.Run(name, func(t *testing.T) {
			spans, truth := generated()
			_, client := newXRayServer(t, "")
			putSegments(t, client, spans, dots)
			var l told
			store := XRay{Client: client, Window: lastHours(24), Tell: l.tell()}
			checkStore(t, store, truth, false)
			checkWorkflows(t, store, truth)
			if len(l.lines) == 0 {
				t.Error("it says nothing of how far it is")
			}
		})
	}
}

// TestXRayOfMoto puts the segments into moto and has it hand out the traces;
// summaries are the stand-in's, for moto knows no filter expressions.
func TestXRayOfMoto(t *testing.T) {
	t.Parallel()
	spans, truth := workflowtest.Workflow(150, time.Now().Add(-time.Hour))
	_, client := newXRayServer(t, peertest.Moto(t))
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	putSegments(t, client, spans, true)
	found, err := XRay{Client: client, Window: lastHours(24)}.Spans(t.Context(), truth.CorrelationID)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := truth.Check(workflow.Build(found, truth.CorrelationID), false); len(wrong) > 0 {
		t.Errorf("wrong tree:\n%s", strings.Join(wrong, "\n"))
	}
}

func TestXRayEndsWithItsContext(t *testing.T) {
	spans, truth := workflowtest.Workflow(200, time.Now().Add(-time.Hour))
	_, client := newXRayServer(t, "")
	putSegments(t, client, spans, true)
	ctx, cancel := context.WithCancel(t.Context())
	store := XRay{Client: client, Window: lastHours(1), Tell: Tell{Progress: func(format string, _ ...any) {
		if strings.HasPrefix(format, "reading") {
			cancel()
		}
	}}}
	if _, err := store.Spans(ctx, truth.CorrelationID); err == nil {
		t.Error("an ended context does not end the reading")
	}
}

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
}

func newLogsServer(tb testing.TB, spans []workflow.Span) (*logsServer, *cloudwatchlogs.Client) {
	s := &logsServer{tb: tb, asked: map[string]int{}}
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
	records := slices.Clone(s.records)
	slices.SortStableFunc(records, func(a, b struct {
		text string
		span workflow.Span
	}) int {
		return b.span.Start.Compare(a.span.Start)
	})
	for i := range records {
		span := &records[i].span
		if span.Start.Unix() < from || span.Start.Unix() > to || !passes(records[i].text, span) {
			continue
		}
		index.Add(span)
		rows = append(rows, row{{"field": "@message", "value": records[i].text}, {"field": "@ptr", "value": "x"}})
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
	server.fail = "Running"
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
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
