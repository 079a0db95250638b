package alarms

import (
	"fmt"

	"github.com/throughline/throughline/internal/yamltree"
)

// applyMetric applies the changes to the metric: period, statistic, low samples, hours.
func (c *compiler) applyMetric(p *pending, ch change, source string) {
	byDefault := ch.at == c.defaults.at && source == fmt.Sprintf("defaults, line %d", c.defaults.at)
	if ch.period != nil && (!byDefault || p.row.period == 0) { // rows with hourly datapoints keep their period
		seconds := int(c.r.duration(ch.period, "period").Seconds())
		for _, q := range p.alarm.Queries {
			if q.Stat != nil {
				q.Stat.Period = seconds
			}
		}
		p.origin("period", source)
	}
	if ch.statistic != nil {
		c.statistic(p, ch.statistic, source)
	}
	if ch.lowSample != nil {
		p.alarm.LowSample = c.r.choice(ch.lowSample, "lowSample", "evaluate", "ignore")
		if lowSample(p.alarm) == "" || len(p.alarm.Queries) != 1 {
			if !byDefault {
				c.r.fail(ch.lowSample.Line, "lowSample: %s does not watch a percentile of a single metric", p.alarm.Name)
			}
			p.alarm.LowSample = ""
		} else {
			p.origin("lowSample", source)
		}
	}
	if ch.hours != nil {
		p.hours = ch.hours.Value()
		if _, err := parseHours(p.hours); p.hours == "always" {
			p.hours = ""
		} else if err != nil {
			c.r.fail(ch.hours.Line, "hours: %v; or always", err)
		}
		p.origin("hours", source)
	}
}

// statistic sets the statistic of an alarm on a single metric.
func (c *compiler) statistic(p *pending, n *yamltree.Node, source string) {
	statistic := c.r.text(n, "statistic")
	if len(p.alarm.Queries) != 1 || p.alarm.Queries[0].Stat == nil {
		c.r.fail(n.Line, "statistic: %s has several metrics, each with its own statistic: exclude its key from the match, or write the alarm under alarms", p.alarm.Name)
		return
	}
	p.alarm.Queries[0].Stat.Statistic = statistic
	p.origin("metric", source)
}

func (c *compiler) minSamples(p *pending, ch change, source string) {
	least := c.r.number(ch.minSamples, "minSamples")
	if p.row.minSamples == 0 {
		if source == fmt.Sprintf("defaults, line %d", c.defaults.at) {
			return // defaults do not apply to alarms on several metrics
		}
		c.r.fail(ch.minSamples.Line, "minSamples: %s is not a rate with a minimum number of samples", p.alarm.Name)
		return
	}
	p.row.guard(least)
	p.alarm.Queries = p.row.queries
	p.origin("minSamples", source)
}
