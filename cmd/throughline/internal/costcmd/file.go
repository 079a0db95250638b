package costcmd

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/distribution"
	"github.com/throughline/throughline/cmd/throughline/internal/emf"
	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/metrics"
)

// emfLine is a line of the embedded metric format, with the members that costs need.
type emfLine struct {
	EventType   string
	PayloadSize json.RawMessage
	AWS         *struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name string }
		}
	} `json:"_aws"`
}

// fromFile returns the usage in metric lines of r. over is the time that they cover; 0
// means that between the first and the last line.
func fromFile(r io.Reader, name string, over time.Duration) (usage, error) {
	u := usage{source: name, over: over}
	var types distribution.Types
	distinct, billed := map[string]bool{}, map[string]*[2]float64{}
	var first, last int64
	_, err := records.Read(r, func(d records.Document) error {
		var line emfLine
		if json.Unmarshal(d.JSON, &line) != nil || line.AWS == nil {
			return nil
		}
		u.logBytes += int64(len(d.JSON))
		if at := line.AWS.Timestamp; at > 0 {
			if first == 0 || at < first {
				first = at
			}
			last = max(last, at)
		}
		if line.EventType != "" && line.PayloadSize != nil {
			for _, size := range emf.Values(line.PayloadSize) {
				types.Of(line.EventType).Add(int(size))
				if billed[line.EventType] == nil {
					billed[line.EventType] = new([2]float64)
				}
				all, stamp := kilobytes(int(size))
				billed[line.EventType][0] += all
				billed[line.EventType][1] += stamp
			}
		}
		line.identify(d.JSON, distinct)
		return nil
	})
	for _, t := range types.Names() {
		d := types.Of(t)
		u.types = append(u.types, typeUsage{t, float64(d.Count()), float64(d.Sum()), float64(d.Chunks()), billed[t][0], billed[t][1]})
	}
	u.metrics = len(distinct)
	if over == 0 {
		u.over = time.Duration(last-first) * time.Millisecond
	}
	return u, err
}

// identify adds the metrics of the line, each with the values of its dimensions.
func (l *emfLine) identify(document []byte, distinct map[string]bool) {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(document, &fields) // the document was already parsed
	for _, directive := range l.AWS.CloudWatchMetrics {
		for _, set := range directive.Dimensions {
			values := []string{directive.Namespace}
			for _, dimension := range slices.Sorted(slices.Values(set)) {
				values = append(values, dimension+"="+string(fields[dimension]))
			}
			for _, m := range directive.Metrics {
				distinct[m.Name+" "+strings.Join(values, " ")] = true
			}
		}
	}
}

// sizeMetric is the metric with the number of events and their bytes.
const sizeMetric = string(metrics.PayloadSize)
