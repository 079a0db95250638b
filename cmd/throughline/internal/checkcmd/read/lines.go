package read

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/metrics"
)

// eachLine calls f with each line of r that is not empty, and its number.
func eachLine(r io.Reader, f func(number int, line []byte)) error {
	reader := bufio.NewReaderSize(r, 1<<16)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			f(number, line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
}

// Take reads one line of a log: a metric document or a log line of Throughline. It skips
// other lines.
func Take(o *system.Observed, line []byte) {
	i := bytes.IndexByte(line, '{') // a time or a request ID can stand before it
	if i < 0 {
		return
	}
	line = line[i:]
	switch {
	case bytes.Contains(line, []byte(`"throughline"`)):
		takeRare(o, line)
	case bytes.Contains(line, []byte(`"_aws"`)):
		takeMetrics(o, line)
	}
}

func takeRare(o *system.Observed, line []byte) {
	var l struct {
		Throughline   string    `json:"throughline"`
		Kind          string    `json:"kind"`
		Service       string    `json:"service"`
		EventID       string    `json:"event_id"`
		EventType     string    `json:"event_type"`
		CorrelationID string    `json:"correlation_id"`
		Hops          float64   `json:"hops"`
		Bytes         float64   `json:"size_bytes"`
		Timestamp     time.Time `json:"timestamp"`
	}
	if json.Unmarshal(line, &l) != nil || l.Throughline == "" {
		return
	}
	o.Lines = append(o.Lines, system.Line{
		Kind: l.Throughline, Repeat: l.Kind, Service: l.Service, EventID: l.EventID, EventType: l.EventType,
		CorrelationID: l.CorrelationID, Hops: l.Hops, Bytes: l.Bytes, At: l.Timestamp,
	})
	if l.CorrelationID != "" && l.Service != "" {
		o.Of(l.Service).Correlations[l.CorrelationID] = true
	}
}

// takeMetrics adds an EMF document. Values that the profile does not emit as metrics are
// properties of the document, and count as well.
func takeMetrics(o *system.Observed, line []byte) {
	var head struct {
		Service, EventType, Host         string
		LargestEventID, SlowestRequestID string
		CorrelationIDs                   []string
		AWS                              *struct {
			Timestamp         int64
			CloudWatchMetrics []struct{ Metrics []struct{ Name string } }
		} `json:"_aws"`
	}
	var fields map[string]any
	if json.Unmarshal(line, &head) != nil || head.AWS == nil || head.Service == "" || json.Unmarshal(line, &fields) != nil {
		return
	}
	t := o.Of(head.Service)
	for _, id := range head.CorrelationIDs {
		t.Correlations[id] = true
	}
	for _, d := range head.AWS.CloudWatchMetrics {
		for _, m := range d.Metrics {
			t.Metrics[m.Name] = true
		}
	}
	if at := time.UnixMilli(head.AWS.Timestamp); at.After(t.Last) {
		t.Last = at
	}
	switch {
	case head.EventType != "":
		takeSize(t, head.EventType, head.LargestEventID, fields)
		_, t.Hops = largest(fields[string(metrics.HopCount)], t.Hops)
	case head.Host != "":
		_, t.Hosts[head.Host] = largest(fields[string(metrics.RequestDuration)], t.Hosts[head.Host])
	default:
		takeService(t, head.SlowestRequestID, fields)
	}
}

func takeSize(t *system.Traffic, eventType, id string, fields map[string]any) {
	n, top := largest(fields[string(metrics.PayloadSize)], 0)
	if n == 0 {
		return
	}
	z := t.Sizes[eventType]
	z.Count += float64(n)
	if top > z.Max {
		z.Max, z.EventID = top, id
	}
	t.Sizes[eventType] = z
}

func takeService(t *system.Traffic, slowest string, fields map[string]any) {
	if n, top := largest(fields[string(metrics.Duration)], 0); n > 0 {
		t.Invocations += float64(n)
		if d := milliseconds(top); d > t.Duration {
			t.Duration, t.SlowestID = d, slowest
		}
	}
	for name, value := range fields {
		n, ok := value.(float64)
		if !ok {
			continue
		}
		if m, known := metrics.Lookup(metrics.Name(name)); known && m.Kind == metrics.Counter {
			t.Sum[name] += n
			continue
		}
		if of, _, kind := strings.Cut(name, "_"); kind {
			if _, known := metrics.Lookup(metrics.Name(of)); known {
				t.Codes[name] += n
			}
		}
	}
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// largest returns the number of values, and the largest of them and of least.
func largest(value any, least float64) (n int, top float64) {
	top = least
	switch v := value.(type) {
	case float64:
		return 1, max(top, v)
	case []any:
		for _, item := range v {
			if f, ok := item.(float64); ok {
				n, top = n+1, max(top, f)
			}
		}
	}
	return n, top
}
