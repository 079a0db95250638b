package metrics

import (
	"fmt"
	"strings"
)

// PricePerMetric is CloudWatch's price of a custom metric per month, per
// unique set of dimension values, in dollars: the first 10 000, US East, as of
// November 2026.
const PricePerMetric = 0.30

// Document returns docs/metrics.md: the catalogue as tables, and its cost.
func Document() string {
	var b strings.Builder
	b.WriteString(`# Metrics

Generated from the catalogue in package metrics; do not edit. Every metric is in the namespace ` + "`Throughline`" + ` (` + "`THROUGHLINE_NAMESPACE`" + `) and is emitted in CloudWatch's embedded metric format (EMF). The dimension ` + "`Service`" + ` is ` + "`THROUGHLINE_SERVICE`" + `, by default the function's name.

` + "`THROUGHLINE_METRICS`" + ` selects the metrics: ` + "`basic`" + ` (the default) or ` + "`full`" + `. With ` + "`basic`" + `, the other metrics are properties of the same log lines: the sum of a counter, and the maximum of a distribution. Logs Insights can query properties, and they cost nothing in CloudWatch metrics. Kinds of cold start, repeat and error are also properties, such as ` + "`DuplicateEvents_replay`" + `.
`)
	family := ""
	for _, m := range catalogue {
		if m.Family != family {
			family = m.Family
			fmt.Fprintf(&b, "\n## %s%s\n\n| metric | unit | dimensions in basic | dimensions in full | description |\n|---|---|---|---|---|\n", strings.ToUpper(family[:1]), family[1:])
		}
		help := m.Help
		if m.ReportOnly {
			help += "; only from `platform.report`, which may arrive late"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Unit, sets(m, Basic), sets(m, Full), help)
	}
	b.WriteString(`
## Cost

CloudWatch charges ` + fmt.Sprintf("$%.2f", PricePerMetric) + ` a month for each metric with each set of dimension values, for the hours that have data. The table shows upper bounds, with data in every hour. Each function publishes and handles the given number of event types, calls one host and sends to one target.

| functions | event types per function | basic | full |
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
