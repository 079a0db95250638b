package alarms

// Prices are CloudWatch's, in dollars a month. They are a value: change what
// differs in your Region. The zero value makes everything free.
type Prices struct {
	Date           string  `json:"date"`            // that they were read
	Metric         float64 `json:"metric"`          // that a standard alarm evaluates
	HighResolution float64 `json:"high_resolution"` // of an alarm with a period under a minute
	Composite      float64 `json:"composite"`
	Dashboard      float64 `json:"dashboard"`
	FreeMetrics    int     `json:"free_metrics"`    // of standard alarms, an account
	FreeDashboards int     `json:"free_dashboards"` // an account
}

// DefaultPrices are those of us-east-1.
func DefaultPrices() Prices {
	return Prices{Date: "2026-11", Metric: 0.10, HighResolution: 0.30, Composite: 0.50, Dashboard: 3, FreeMetrics: 10, FreeDashboards: 3}
}

// Bill is what a set costs, the free tier not taken off: the account may have
// used it up.
type Bill struct {
	Alarms         int     `json:"alarms"`
	Metrics        int     `json:"metrics"` // that standard alarms evaluate
	HighResolution int     `json:"high_resolution_metrics"`
	Composites     int     `json:"composites"`
	Dollars        float64 `json:"dollars_a_month"`
}

// Cost is what CloudWatch charges a month for the set: by the metric that is
// evaluated, not by the alarm.
func Cost(s Set, p Prices) Bill {
	b := Bill{Alarms: len(s.Alarms), Composites: len(s.Composites)}
	for _, a := range s.Alarms {
		if a.Period() < 60 {
			b.HighResolution += len(a.Stats())
		} else {
			b.Metrics += len(a.Stats())
		}
	}
	b.Dollars = float64(b.Metrics)*p.Metric + float64(b.HighResolution)*p.HighResolution + float64(b.Composites)*p.Composite
	return b
}

// AlarmCost is what one alarm costs a month.
func AlarmCost(a Alarm, p Prices) float64 { return Cost(Set{Alarms: []Alarm{a}}, p).Dollars }
