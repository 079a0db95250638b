package spanstoretest

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
	"github.com/aws/aws-sdk-go-v2/service/xray"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// AWS returns a configuration for an AWS endpoint at url. Each test should have a Region
// of its own, because moto keeps one state for each Region. Its connections end with the
// test.
func AWS(tb testing.TB, url, region string) aws.Config {
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return aws.Config{
		Region: region, BaseEndpoint: &url, HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "secret"}, nil
		}),
	}
}

// standIn emulates the parts of X-Ray that moto does not have: filter expressions on
// annotations, annotations in summaries, pages, unprocessed traces, and subsegments
// within their segments. If behind is a URL, it serves only summaries and forwards
// everything else.
type standIn struct {
	tb     testing.TB
	behind string
	mu     sync.Mutex
	ids    []string
	traces map[string][]Object
	left   map[string]bool // traces that were once left unprocessed
}

// NewXRay starts it until the test ends, and returns its URL and a client.
func NewXRay(tb testing.TB, behind string) (url string, client *xray.Client) {
	server := httptest.NewServer(&standIn{tb: tb, behind: behind, traces: map[string][]Object{}, left: map[string]bool{}})
	tb.Cleanup(server.Close)
	return server.URL, xray.NewFromConfig(AWS(tb, server.URL, "eu-west-2"))
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
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
		var document Object
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

func (s *standIn) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	req, _ := http.NewRequestWithContext(r.Context(), r.Method, s.behind+r.URL.Path, strings.NewReader(string(body)))
	req.Header = r.Header.Clone()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= http.StatusInternalServerError {
		s.tb.Logf("%s answers %s", r.URL.Path, answer)
	}
	_, _ = w.Write(answer)
}

var comparison = regexp.MustCompile(`annotation(?:\[([^\]]+)\]|\.(\w+)) (=|BEGINSWITH|CONTAINS) "([^"]*)"`)

func (s *standIn) summaries(w http.ResponseWriter, filter, token string, from, to float64) {
	if to-from > (6*time.Hour).Seconds()+1 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"InvalidRequestException","Message":"Time range cannot be longer than 6 hours"}`)
		return
	}
	list := []Object{}
	comparisons := comparison.FindAllStringSubmatch(filter, -1)
	for _, id := range s.ids {
		annotations := map[string][]Object{}
		matches, began, ended := filter == "", 0.0, 0.0
		for _, d := range s.traces[id] {
			known, _ := d["annotations"].(Object)
			for key, value := range known {
				if text, ok := value.(string); ok {
					annotations[key] = append(annotations[key], Object{"AnnotationValue": Object{"StringValue": text}})
				}
			}
			for _, c := range comparisons {
				text, _ := known[c[1]+c[2]].(string)
				matches = matches || text == c[4] || c[3] == "BEGINSWITH" && strings.HasPrefix(text, c[4]) || c[3] == "CONTAINS" && strings.Contains(text, c[4])
			}
			if start := d["start_time"].(float64); began == 0 || start < began {
				began = start
			}
			ended = max(ended, d["end_time"].(float64))
		}
		if matches && began >= from && began < to {
			list = append(list, Object{"Id": id, "StartTime": began, "Duration": ended - began, "Annotations": annotations})
		}
	}
	const page = 300
	first, _ := strconv.Atoi(token)
	out := Object{"TraceSummaries": list[first:min(len(list), first+page)]}
	if first+page < len(list) {
		out["NextToken"] = strconv.Itoa(first + page)
	}
	_, _ = w.Write(Encode(s.tb, out))
}

// batch returns segments with their subsegments, and an inferred one.
func (s *standIn) batch(w http.ResponseWriter, ids []string) {
	if len(ids) > 5 {
		s.tb.Errorf("%d traces at once", len(ids))
	}
	traces, unprocessed := []Object{}, []string{}
	for i, id := range ids {
		if i == 3 && len(s.left) < 5 && !s.left[id] {
			s.left[id] = true
			unprocessed = append(unprocessed, id)
			continue
		}
		byID, segments := map[string]Object{}, []Object{}
		for _, d := range s.traces[id] {
			byID[d["id"].(string)] = d
		}
		for _, d := range s.traces[id] {
			parent := ""
			if text, ok := d["parent_id"].(string); ok {
				parent = text
			}
			if p := byID[parent]; p != nil {
				inner := Object{}
				for k, v := range d {
					if k != "trace_id" && k != "parent_id" {
						inner[k] = v
					}
				}
				list, _ := p["subsegments"].([]Object)
				if !slices.ContainsFunc(list, func(o Object) bool { return o["id"] == d["id"] }) {
					p["subsegments"] = append(list, inner)
				}
				continue
			}
			segments = append(segments, d)
		}
		documents := []Object{{"Id": "00000000000000ee", "Document": `{"id":"00000000000000ee","trace_id":"` + id + `","name":"paper-api.alpaca.markets","inferred":true,"start_time":1,"end_time":2}`}}
		for _, d := range segments {
			documents = append(documents, Object{"Id": d["id"], "Document": string(Encode(s.tb, d))})
		}
		traces = append(traces, Object{"Id": id, "Segments": documents})
	}
	_, _ = w.Write(Encode(s.tb, Object{"Traces": traces, "UnprocessedTraceIds": unprocessed}))
}

// PutSegments puts spans into an X-Ray.
func PutSegments(t testing.TB, client *xray.Client, spans []workflow.Span, dots bool) {
	t.Helper()
	documents := make([]string, len(spans))
	for i, s := range spans {
		documents[i] = SegmentDocument(t, s, dots)
	}
	for chunk := range slices.Chunk(documents, 50) {
		out, err := client.PutTraceSegments(t.Context(), &xray.PutTraceSegmentsInput{TraceSegmentDocuments: chunk})
		if err != nil || len(out.UnprocessedTraceSegments) > 0 {
			t.Fatalf("put segments: %v %+v", err, out)
		}
	}
}
