package queries

import (
	"fmt"
	"strings"
	"testing"
)

// TestQueriesAreWellFormed within the limits of PutQueryDefinition, and use the
// language's own commands.
func TestQueriesAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, q := range All() {
		if seen[q.Name] || q.Title == "" || len(q.Text) > 10_000 || len(q.Name) > 200 {
			t.Errorf("%+v", q)
		}
		seen[q.Name] = true
		for line := range strings.SplitSeq(q.Text, "\n") {
			verb, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " ")
			switch verb {
			case "fields", "filter", "parse", "stats", "sort":
			default:
				t.Errorf("%s: %q is no command", q.Name, verb)
			}
		}
		if strings.Count(q.Text, "(") != strings.Count(q.Text, ")") {
			t.Errorf("%s: brackets", q.Name)
		}
		// stats takes aggregations alone: strlen(@message) there is refused.
		for line := range strings.SplitSeq(q.Text, "\n") {
			if strings.HasPrefix(line, "| stats") && strings.Contains(line, "strlen(") {
				t.Errorf("%s: %s", q.Name, line)
			}
		}
		if found, ok := Find(q.Name); !ok || found != q {
			t.Errorf("%s is not found", q.Name)
		}
	}
	if _, ok := Find("none"); ok {
		t.Error("found what is not there")
	}
}

func ExampleQuery_Fields() {
	q, _ := Find("repeats")
	fmt.Println(q.Fields())
	// Output: [event_id kind event_type correlation_id first_request_id throughline]
}
