package costcmd

import (
	"cmp"
	"slices"
	"time"
)

// usage is what was observed over a time.
type usage struct {
	source string
	over   time.Duration
	types  []typeUsage
	// metrics is the number of custom metrics with data; a metric is a name with its
	// dimensions.
	metrics  int
	logBytes int64 // the bytes of metric lines; 0 if unknown
	// estimated reports that chunks are estimated from averages.
	estimated bool
}

type typeUsage struct {
	eventType             string
	events, bytes, chunks float64
	kilobytes, stamp      float64 // as a new custom bus bills them, and how many a stamp adds
}

// projection is the projected cost of a month.
type projection struct {
	Source     string     `json:"source"`
	Hours      float64    `json:"observed_hours"`
	PricesAsOf string     `json:"prices_as_of"`
	Region     string     `json:"region"`
	Currency   string     `json:"currency"`
	Retention  int        `json:"archive_retention_days"`
	Estimated  bool       `json:"chunks_estimated"`
	Types      []typeCost `json:"types"`
	Total      typeCost   `json:"total"`
	Metrics    metricCost `json:"metrics"`
	// Monthly is the monthly cost of the bus, the archive, metrics and log lines.
	Monthly float64 `json:"monthly"`
	// NewBus is of --new-bus alone.
	NewBus *newBusCost `json:"new_bus,omitempty"`
}

// typeCost is the monthly cost of one event type, in the currency of the prices.
type typeCost struct {
	EventType      string  `json:"event_type"`
	Events         float64 `json:"events"`
	Bytes          float64 `json:"bytes"`
	Chunks         float64 `json:"billed_chunks"`
	Bus            float64 `json:"bus"`
	ArchiveIn      float64 `json:"archive_processing"`
	ArchiveStorage float64 `json:"archive_storage"`
	Replay         float64 `json:"replay"` // one replay of the whole month's events
}

type metricCost struct {
	Metrics int     `json:"metrics"`
	Custom  float64 `json:"custom_metrics"`
	Logs    float64 `json:"log_lines"`
}

const (
	month = 730 * time.Hour // AWS's pricing month
	day   = 24 * time.Hour
	gb    = 1 << 30
	mega  = 1e6
)

// project projects a month from u. Archived events are kept for retention days; the
// storage cost is that of a month in which the archive is full.
func project(u usage, p prices, retention int) projection {
	out := projection{Source: u.source, Hours: u.over.Hours(), PricesAsOf: p.AsOf, Region: p.Region, Currency: p.Currency, Retention: retention, Estimated: u.estimated,
		Total: typeCost{EventType: "all"}}
	scale := float64(month) / float64(u.over)
	months := float64(retention) * float64(day) / float64(month)
	for _, t := range u.types {
		c := typeCost{EventType: t.eventType, Events: t.events * scale, Bytes: t.bytes * scale, Chunks: t.chunks * scale}
		c.Bus = c.Chunks / mega * p.BusPerMillion
		c.ArchiveIn = c.Bytes / gb * p.ArchivePerGB
		c.ArchiveStorage = c.Bytes / gb * p.ArchivePerGBMonth * months
		c.Replay = c.Chunks / mega * p.ReplayPerMillion
		out.Types = append(out.Types, c)
		out.Total.add(c)
	}
	slices.SortFunc(out.Types, func(a, b typeCost) int {
		return cmp.Or(cmp.Compare(b.monthly(), a.monthly()), cmp.Compare(a.EventType, b.EventType))
	})
	out.Metrics = metricCost{u.metrics, p.metrics(u.metrics), float64(u.logBytes) * scale / gb * p.LogsPerGB}
	out.Monthly = out.Total.monthly() + out.Metrics.Custom + out.Metrics.Logs
	return out
}

// monthly returns the monthly cost without replays.
func (c typeCost) monthly() float64 { return c.Bus + c.ArchiveIn + c.ArchiveStorage }

func (c *typeCost) add(o typeCost) {
	c.Events, c.Bytes, c.Chunks = c.Events+o.Events, c.Bytes+o.Bytes, c.Chunks+o.Chunks
	c.Bus, c.ArchiveIn, c.ArchiveStorage, c.Replay = c.Bus+o.Bus, c.ArchiveIn+o.ArchiveIn, c.ArchiveStorage+o.ArchiveStorage, c.Replay+o.Replay
}
