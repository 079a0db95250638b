package alarms

import (
	"os"
	"strings"
	"testing"
)

// TestRunbooks: docs/operations.md has a section for each row of each pack, and
// none for a row that there is not: the address that init writes leads to it.
func TestRunbooks(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "### "); ok {
			sections[strings.Trim(strings.TrimSpace(title), "`")] = true
		}
	}
	everything := resource{
		name: "n", timeout: 1, reserved: 1, stream: true, async: true, deadLetter: true, destination: true, dlq: "d", retention: 1, service: "s", function: "f",
		arn: "a", id: "i", indexes: []string{"i"}, operations: []string{"o"}, detailTypes: []string{"t"},
	}
	for _, k := range kinds() {
		rows, _ := k.rows(everything, context{namespace: "Throughline", limit: 1})
		known := map[string]bool{}
		for _, row := range rows {
			anchor := k.name + "-" + row.key
			if known[anchor] = true; !sections[anchor] {
				t.Errorf("docs/operations.md has no section ### %s: %s", anchor, row.help)
			}
		}
		for section := range sections {
			kind := ""
			for _, other := range kinds() { // the longest: event-rule is not event
				if strings.HasPrefix(section, other.name+"-") && len(other.name) > len(kind) {
					kind = other.name
				}
			}
			if kind == k.name && !known[section] {
				t.Errorf("docs/operations.md has a section %s, and no pack such a row", section)
			}
		}
	}
}
