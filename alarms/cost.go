package alarms

// Prices are CloudWatch's prices in US dollars a month. It is a value: change the fields
// that differ in your Region. With the zero value everything is free.
type Prices struct {
	Date           string  `json:"date"`            // when the prices were read
	Metric         float64 `json:"metric"`          // a metric of a standard alarm
	HighResolution float64 `json:"high_resolution"` // a metric of an alarm with a period under a minute
	Composite      float64 `json:"composite"`
	Dashboard      float64 `json:"dashboard"`
	FreeMetrics    int     `json:"free_metrics"`    // free metrics of standard alarms in an account
	FreeDashboards int     `json:"free_dashboards"` // free dashboards in an account
}

// DefaultPrices returns the prices of us-east-1.
func DefaultPrices() Prices {
	return Prices{Date: "2026-11", Metric: 0.10, HighResolution: 0.30, Composite: 0.50, Dashboard: 3, FreeMetrics: 10, FreeDashboards: 3}
}

// Bill is the monthly cost of a set. It does not subtract the free tier, which the
// account may have used up.
type Bill struct {
	Alarms         int     `json:"alarms"`
	Metrics        int     `json:"metrics"` // metrics of standard alarms
	HighResolution int     `json:"high_resolution_metrics"`
	Composites     int     `json:"composites"`
	Dollars        float64 `json:"dollars_a_month"`
}

// Cost returns the monthly cost of the set. CloudWatch charges for each metric that an
// alarm evaluates, not for each alarm.
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

// AlarmCost returns the monthly cost of one alarm in US dollars.
func AlarmCost(a Alarm, p Prices) float64 { return Cost(Set{Alarms: []Alarm{a}}, p).Dollars }
