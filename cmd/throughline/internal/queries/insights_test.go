package queries

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What follows runs queries over lines as "CloudWatch Logs Insights language query
// syntax" describes it, as far as our queries go: fields, filter, parse, stats,
// sort; members of JSON by dotted names; @message as it was written.

type record map[string]string

func lines(t *testing.T, name string) []record {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var out []record
	for line := range strings.Lines(string(text)) {
		var document map[string]any
		if err := json.Unmarshal([]byte(line), &document); err != nil {
			t.Fatal(err)
		}
		r := record{"@message": strings.TrimSpace(line)}
		r.flatten("", document)
		out = append(out, r)
	}
	return out
}

func (r record) flatten(at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			r.flatten(strings.TrimPrefix(at+"."+key, "."), member)
		}
	case []any:
		for i, item := range v {
			r.flatten(fmt.Sprint(at, ".", i), item)
		}
	default:
		r[at] = strings.Trim(fmt.Sprint(v), `"`)
	}
}

var call = regexp.MustCompile(`^(\w+)\((.*)\)$`)

// value is that of a field or of a function of fields; ok is false for nothing.
func (r record) value(expression string) (string, bool) {
	if m := call.FindStringSubmatch(expression); m != nil {
		switch arguments := strings.Split(m[2], ", "); m[1] {
		case "strlen":
			v, ok := r[arguments[0]]
			return strconv.Itoa(len(v)), ok
		case "coalesce":
			for _, a := range arguments {
				if v, ok := r[a]; ok {
					return v, true
				}
			}
			return "", false
		}
	}
	v, ok := r[expression]
	return v, ok
}

var term = regexp.MustCompile(`^(\S+) (=|>|like) (?:"(.*)"|/(.*)/|(\S+))$`)

func (r record) holds(t *testing.T, condition string) bool {
	for alternative := range strings.SplitSeq(condition, " or ") {
		if m := call.FindStringSubmatch(alternative); m != nil && m[1] == "ispresent" {
			if _, ok := r[m[2]]; ok {
				return true
			}
			continue
		}
		m := term.FindStringSubmatch(alternative)
		if m == nil {
			t.Fatalf("not read here: filter %s", alternative)
		}
		v, ok := r[m[1]]
		switch {
		case !ok:
		case m[2] == "=" && v == m[3]+m[5],
			m[2] == ">" && number(v) > number(m[5]),
			m[2] == "like" && m[4] == "" && strings.Contains(v, m[3]),
			m[2] == "like" && m[4] != "" && regexp.MustCompile(m[4]).MatchString(v):
			return true
		}
	}
	return false
}

func number(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// items splits at the commas that stand in no brackets.
func items(text string) []string {
	var out []string
	depth, begin := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(text[begin:i]))
			begin = i + 1
		}
	}
	return append(out, strings.TrimSpace(text[begin:]))
}

func ask(t *testing.T, text string, records []record) []record {
	t.Helper()
	for command := range strings.SplitSeq(text, "\n| ") {
		verb, rest, _ := strings.Cut(command, " ")
		switch verb {
		case "fields":
			for _, r := range records {
				for _, item := range items(rest) {
					expression, name, named := strings.Cut(item, " as ")
					if v, ok := r.value(expression); ok && named {
						r[name] = v
					}
				}
			}
		case "filter":
			records = slices.DeleteFunc(records, func(r record) bool { return !r.holds(t, rest) })
		case "parse":
			field, pattern, _ := strings.Cut(rest, " ")
			expression := regexp.MustCompile(strings.Trim(pattern, "/"))
			for _, r := range records {
				if m := expression.FindStringSubmatch(r[field]); m != nil {
					for i, name := range expression.SubexpNames()[1:] {
						r[name] = m[i+1]
					}
				}
			}
		case "stats":
			records = stats(t, rest, records)
		case "sort":
			key, order, _ := strings.Cut(rest, " ")
			slices.SortStableFunc(records, func(a, b record) int {
				if order == "desc" {
					a, b = b, a
				}
				return cmp.Compare(number(a[key]), number(b[key]))
			})
		default:
			t.Fatalf("not read here: %s", command)
		}
	}
	return records
}

func stats(t *testing.T, text string, records []record) []record {
	aggregations, by, _ := strings.Cut(text, " by ")
	keys := items(by)
	groups := map[string][]record{}
	var order []string
	for _, r := range records {
		id := ""
		for _, k := range keys {
			id += r[k] + "\x00"
		}
		if groups[id] == nil {
			order = append(order, id)
		}
		groups[id] = append(groups[id], r)
	}
	var out []record
	for _, id := range order {
		row := record{}
		for _, k := range keys {
			row[k] = groups[id][0][k]
		}
		for _, a := range items(aggregations) {
			expression, name, _ := strings.Cut(a, " as ")
			row[name] = aggregate(t, expression, groups[id])
		}
		out = append(out, row)
	}
	return out
}

func aggregate(t *testing.T, expression string, group []record) string {
	m := call.FindStringSubmatch(expression)
	if m == nil {
		t.Fatalf("stats takes aggregations: %s", expression)
	}
	arguments := strings.Split(m[2], ", ")
	var seen []string
	for _, r := range group {
		if v, ok := r[arguments[0]]; ok {
			seen = append(seen, v)
		}
	}
	if m[1] == "count" && m[2] == "*" {
		return strconv.Itoa(len(group))
	}
	sum, most := 0.0, 0.0
	for _, v := range seen {
		sum, most = sum+number(v), max(most, number(v))
	}
	switch m[1] {
	case "count":
		return strconv.Itoa(len(seen))
	case "sum":
		return strconv.FormatFloat(sum, 'f', -1, 64)
	case "avg":
		return strconv.FormatFloat(sum/max(1, float64(len(seen))), 'f', -1, 64)
	case "max":
		return strconv.FormatFloat(most, 'f', -1, 64)
	case "latest":
		return append([]string{""}, seen...)[len(seen)]
	case "pct":
		slices.SortFunc(seen, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
		return append([]string{""}, seen...)[len(seen)]
	default:
		t.Fatalf("%s is no aggregation", m[1])
		return ""
	}
}

// results are the fields to show of a query's results, a text a row.
func results(t *testing.T, text, file string, show ...string) []string {
	t.Helper()
	var out []string
	for _, r := range ask(t, text, lines(t, file)) {
		var cells []string
		for _, name := range show {
			cells = append(cells, r[name])
		}
		out = append(out, strings.Join(cells, " "))
	}
	return out
}

// ours is the text of one of the package's queries.
func ours(t *testing.T, name string) string {
	t.Helper()
	q, ok := Find(name)
	if !ok {
		t.Fatalf("no query %s", name)
	}
	return q.Text
}

// example is the text of one of the example's queries, its comment left out.
func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../../examples/alarms/queries/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(query)
}

// TestOnOurLines: the queries find what a played trading day wrote.
func TestOnOurLines(t *testing.T) {
	for _, tt := range []struct {
		query string
		show  []string
		want  string // the first row
		least int
	}{
		{"large-events", []string{"EventType", "largest_bytes"}, "SignalGenerated 222406", 4},
		{"slow-handlers", []string{"EventType", "Service"}, "RebalancePlanned execution", 2},
		{"repeats", []string{"event_type", "kind"}, "", 3},
		{"cold-starts", []string{"@log", "invocations", "cold_starts", "longest_ms"}, "123456789012:/aws/lambda/orders 3 1 300", 2},
		{"telemetry-given-up", []string{"Service", "TelemetryDropped"}, "orders 3", 1},
	} {
		got := results(t, ours(t, tt.query), "ours.jsonl", tt.show...)
		if len(got) < tt.least || tt.want != "" && got[0] != tt.want {
			t.Errorf("%s: %q, not first %q", tt.query, got, tt.want)
		}
		for _, row := range got {
			if strings.HasPrefix(row, " ") || strings.HasSuffix(row, " ") {
				t.Errorf("%s: a row without a value: %q", tt.query, row)
			}
		}
	}
	kinds := strings.Join(results(t, ours(t, "repeats"), "ours.jsonl", "kind"), " ")
	for _, kind := range []string{"retry", "redelivery", "republish", "replay"} {
		if !strings.Contains(kinds, kind) {
			t.Errorf("no %s among the repeats: %s", kind, kinds)
		}
	}
	workflow, _ := Find("workflow")
	if found := ask(t, strings.Replace(workflow.Text, "CORRELATION_ID", "workflow-6513270e-269e-4d37-b2a7-4de452e6b438", 1), lines(t, "ours.jsonl")); len(found) < 20 {
		t.Errorf("%d lines of the workflow", len(found))
	}
}

// TestDeliveries finds the outcomes in the delivery logs of a new bus.
func TestDeliveries(t *testing.T) {
	got := results(t, ours(t, Deliveries), "deliveries.jsonl", "outcome", "error_code", "delivery_type", "attempts", "most_attempts")
	want := []string{"SUCCESS  LIVE 3 2", "FAILURE THROTTLING LIVE 2 2", "SUCCESS  REPLAY 1 1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

// TestExampleQueries: the queries of examples/alarms find what such log lines
// hold.
func TestExampleQueries(t *testing.T) {
	for query, want := range map[string][]string{
		"large-events":   {"TradeExecuted true 2", "AllTradesCompleted false 1"},
		"slow-functions": {"123456789012:/aws/lambda/execution 9000 6000 3100 2", "123456789012:/aws/lambda/data 700 700 0 1"},
		"duplicates":     {"Aggregation already claimed by another invocation trade-2 2", "Duplicate trade detected (idempotency_key: 0123) - skipping trade-1 1", "Trade already completed (duplicate) trade-1 1"},
		"errors":         {"workflow-6513270e-269e-4d37-b2a7-4de452e6b438 1 Order rejected"},
	} {
		show := map[string][]string{
			"large-events":   {"event_type", "longest_line_bytes", "lines"},
			"slow-functions": {"@log", "longest_ms", "average_ms", "longest_init_ms", "invocations"},
			"duplicates":     {"event", "extra.event_id", "times"},
			"errors":         {"extra.correlation_id", "errors", "last_error"},
		}[query]
		got := results(t, example(t, query), "example.jsonl", show...)
		if query == "large-events" { // that the debug line with the detail is the longest, not its very length
			for i, row := range got {
				cells := strings.Fields(row)
				got[i] = fmt.Sprint(cells[0], " ", number(cells[1]) > 900, " ", cells[2])
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n%q\nnot\n%q", query, got, want)
		}
	}
}
