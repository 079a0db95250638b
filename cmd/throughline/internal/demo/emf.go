package demo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// document is an EMF document (CloudWatch, "Embedded metric format specification") in a
// log.
type document struct {
	fields  map[string]any
	metrics []string // the names in all directives
}

// readEMF reads one log line. ok is false if it is not an EMF document.
func readEMF(line string) (doc document, ok bool) {
	if !strings.HasPrefix(line, "{") || !strings.Contains(line, `"_aws"`) {
		return doc, false
	}
	var head struct {
		AWS *struct {
			CloudWatchMetrics []struct {
				Metrics []struct{ Name string }
			}
		} `json:"_aws"`
	}
	if json.Unmarshal([]byte(line), &head) != nil || head.AWS == nil || json.Unmarshal([]byte(line), &doc.fields) != nil {
		return doc, false
	}
	for _, directive := range head.AWS.CloudWatchMetrics {
		for _, metric := range directive.Metrics {
			if !slices.Contains(doc.metrics, metric.Name) {
				doc.metrics = append(doc.metrics, metric.Name)
			}
		}
	}
	return doc, true
}

func (d document) text(name string) string {
	s, _ := d.fields[name].(string)
	return s
}

// values returns the observations of a metric in the document, or none if it does not
// have the metric.
func (d document) values(name string) []float64 {
	if !slices.Contains(d.metrics, name) {
		return nil
	}
	switch v := d.fields[name].(type) {
	case float64:
		return []float64{v}
	case []any:
		list := make([]float64, 0, len(v))
		for _, item := range v {
			if n, ok := item.(float64); ok {
				list = append(list, n)
			}
		}
		return list
	default:
		return nil
	}
}

// observations returns the values of a metric over all documents, by the values of the
// given properties joined with a slash.
func observations(docs []document, metric string, by ...string) map[string][]float64 {
	all := map[string][]float64{}
	for _, d := range docs {
		values := d.values(metric)
		if len(values) == 0 {
			continue
		}
		key := make([]string, len(by))
		for i, property := range by {
			key[i] = d.text(property)
		}
		name := strings.Join(key, "/")
		all[name] = append(all[name], values...)
	}
	return all
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

// quantile returns the nearest-rank quantile, or 0 without values. values need not be
// sorted.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// repeatLine is a log line of Throughline that flags a repeat or another rare condition.
type repeatLine struct {
	Line           string `json:"throughline"`
	Message        string `json:"message"`
	Kind           string `json:"kind"`
	EventID        string `json:"event_id"`
	EventType      string `json:"event_type"`
	FirstRequestID string `json:"first_request_id"`
	function       string
}

func readRare(line string) (r repeatLine, ok bool) {
	if !strings.HasPrefix(line, "{") || !strings.Contains(line, `"throughline"`) {
		return r, false
	}
	if json.Unmarshal([]byte(line), &r) != nil || r.Line == "" {
		return r, false
	}
	return r, true
}

func (r repeatLine) String() string { return fmt.Sprintf("%s %s %s", r.function, r.Kind, r.EventID) }
