package costcmd

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// prices are AWS's prices in one Region on one day.
type prices struct {
	AsOf     string `json:"as_of"`
	Region   string `json:"region"`
	Currency string `json:"currency"`
	// A chunk is 64 KB of an event, or the whole of a smaller one.
	BusPerMillion     float64 `json:"bus_per_million_chunks"`
	ReplayPerMillion  float64 `json:"replay_per_million_chunks"`
	ArchivePerGB      float64 `json:"archive_per_gb"`
	ArchivePerGBMonth float64 `json:"archive_per_gb_month"`
	// MetricMonths are the price tiers of custom metrics, ascending. The last tier has no
	// end.
	MetricMonths []tier  `json:"metric_months"`
	LogsPerGB    float64 `json:"logs_per_gb"`
	// NewBus are the prices of new custom buses.
	NewBus newBusPrices `json:"new_bus"`
}

// newBusPrices are per GB, of what each event's size rounds up to in KB. KeptPerGBMonth is
// of what a bus keeps beyond one day.
type newBusPrices struct {
	AsOf           string  `json:"as_of"`
	Source         string  `json:"source"` // who says so
	InPerGB        float64 `json:"in_per_gb"`
	OutPerGB       float64 `json:"out_per_gb"` // each delivery
	KeptPerGBMonth float64 `json:"kept_per_gb_month"`
}

type tier struct {
	UpTo int     `json:"up_to"` // the last metric of the tier; 0 means no end
	Each float64 `json:"each"`  // per month
}

//go:embed prices.json
var table []byte

// readPrices returns the built-in prices with the overrides. overrides can be nil, or
// have only some of the members.
func readPrices(overrides io.Reader) (prices, error) {
	var p prices
	if err := json.Unmarshal(table, &p); err != nil {
		return p, fmt.Errorf("read the built-in prices: %w", err)
	}
	if overrides == nil {
		return p, nil
	}
	data, err := io.ReadAll(overrides)
	if err != nil {
		return p, err
	}
	p.AsOf, p.NewBus.AsOf, p.NewBus.Source = "unknown", "unknown", "--prices" // unless the overriding file has a date
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, fmt.Errorf("%w (`throughline cost --show-prices` prints a valid file)", err)
	}
	for _, price := range []float64{p.BusPerMillion, p.ReplayPerMillion, p.ArchivePerGB, p.ArchivePerGBMonth, p.LogsPerGB, p.NewBus.InPerGB, p.NewBus.OutPerGB, p.NewBus.KeptPerGBMonth} {
		if price < 0 {
			return p, errors.New("a price is below zero")
		}
	}
	for i, t := range p.MetricMonths {
		last := i == len(p.MetricMonths)-1
		if t.Each < 0 || last != (t.UpTo == 0) || i > 0 && !last && t.UpTo <= p.MetricMonths[i-1].UpTo {
			return p, errors.New("metric_months must ascend, and its last tier have up_to 0")
		}
	}
	return p, nil
}

// metrics returns the monthly cost of n custom metrics.
func (p prices) metrics(n int) float64 {
	cost, counted := 0.0, 0
	for _, t := range p.MetricMonths {
		upTo := n
		if t.UpTo > 0 {
			upTo = min(n, t.UpTo)
		}
		if upTo > counted {
			cost += float64(upTo-counted) * t.Each
			counted = upTo
		}
	}
	return cost
}
