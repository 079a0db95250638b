package metrics

import (
	"fmt"
	"strings"
)

// PricePerMetric is what CloudWatch charges for a custom metric a month, per
// unique set of dimension values, in dollars: the first 10 000, US East, as of
// November 2026.
const PricePerMetric = 0.30

// Document is docs/metrics.md: the catalogue as tables, and what it costs.
func Document() string {
	var b strings.Builder
	b.WriteString(`# Metrics

Generated from the catalogue in package metrics; do not edit. Every metric is in the namespace ` + "`Throughline`" + ` (` + "`THROUGHLINE_NAMESPACE`" + `) and written as CloudWatch's embedded metric format. ` + "`Service`" + ` is ` + "`THROUGHLINE_SERVICE`" + `, by default the function's name.

` + "`THROUGHLINE_METRICS`" + ` chooses what is a metric: ` + "`basic`" + ` (the default) or ` + "`full`" + `. What ` + "`basic`" + ` leaves out stands in the same lines as a property, the sum of a counter and the largest value of a distribution, which Logs Insights finds and nobody bills. Kinds of cold start, repeat and error are properties too: ` + "`DuplicateEvents_replay`" + `.
`)
	family := ""
	for _, m := range catalogue {
		if m.Family != family {
			family = m.Family
			fmt.Fprintf(&b, "\n## %s%s\n\n| metric | unit | in basic, on | in full, on | what it is |\n|---|---|---|---|---|\n", strings.ToUpper(family[:1]), family[1:])
		}
		help := m.Help
		if m.ReportOnly {
			help += "; only from `platform.report`, which may be late"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Unit, sets(m, Basic), sets(m, Full), help)
	}
	b.WriteString(`
## What it costs

CloudWatch charges ` + fmt.Sprintf("$%.2f", PricePerMetric) + ` a month for each metric and each set of dimension values that has data, for the hours it has it. These are upper bounds, with data in every hour, for functions that each publish and handle so many event types, call one host and send to one target.

| functions | event types each | basic | full |
|---|---|---|---|
`)
	for _, size := range [][2]int{{1, 1}, {5, 3}, {13, 2}, {13, 12}} {
		fmt.Fprintf(&b, "| %d | %d | $%.0f | $%.0f |\n", size[0], size[1], cost(Basic, size[0], size[1]), cost(Full, size[0], size[1]))
	}
	return b.String()
}

func sets(m Metric, p Profile) string {
	var names []string
	for _, set := range m.DimensionSets(p) {
		names = append(names, strings.Join(set, " + "))
	}
	if len(names) == 0 {
		return "property"
	}
	return strings.Join(names, "; ")
}

func cost(p Profile, functions, types int) float64 {
	n := 0
	for _, m := range catalogue {
		for _, set := range m.DimensionSets(p) {
			if len(set) > 1 && set[1] == DimensionEventType {
				n += types
			} else {
				n++
			}
		}
	}
	return float64(n*functions) * PricePerMetric
}
