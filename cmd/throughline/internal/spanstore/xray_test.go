package spanstore

import (
	"context"
	"encoding/json"
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
	"github.com/aws/aws-sdk-go-v2/service/xray"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/internal/peertest"
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
	comparisons := comparison.FindAllStringSubmatch(filter, -1)
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
			for _, c := range comparisons {
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
