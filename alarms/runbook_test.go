package alarms

import (
	"os"
	"strings"
	"testing"
)

// TestRunbooks: docs/operations.md has a section for each row of each pack, and
// none for a row that there is not: the address that init writes leads to it. A section
// begins with the severity of the row.
func TestRunbooks(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		title, content, _ := strings.Cut(section, "\n\n")
		sections[strings.Trim(title, "`")] = content
	}
	essential := &compiler{spec: spec{resources: []resource{{kind: kind{name: "lambda"}, name: "n"}, {kind: kind{name: "queue"}, name: "q", of: "n"}}}}
	essential.group()
	everything := resource{
		name: "n", of: "n", timeout: 1, reserved: 1, stream: true, async: true, deadLetter: true, destination: true, dlq: "d", retention: 1, service: "s", function: "f",
		arn: "a", id: "i", indexes: []string{"i"}, operations: []string{"o"}, detailTypes: []string{"t"},
	}
	for _, k := range kinds() {
		rows, _ := k.rows(everything, context{namespace: "Throughline", limit: 1})
		known := map[string]bool{}
		for _, row := range rows {
			anchor := k.name + "-" + row.key
			known[anchor] = true
			severity, rare := row.severity, row
			everything.kind = k
			if essential.essentialRow(everything, &rare); !rare.off && rare.severity != severity {
				severity += "; " + rare.severity + " with `watch: essential`"
			}
			if want := "**" + strings.ToUpper(string(severity[:1])) + string(severity[1:]) + ".**"; !strings.HasPrefix(sections[anchor], want) {
				t.Errorf("docs/operations.md has no section ### %s that begins with %s: %s", anchor, want, row.help)
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
	set := compile(t, strings.Replace(trading, "watch:", "runbook: \"#{kind}-{key}\"\nwatch:", 1)+"composites: [{name: any, any: [execution-lost]}]\n")
	for i := range set.Alarms {
		set.Composites = append(set.Composites, Composite{Name: set.Alarms[i].Name, Description: set.Alarms[i].Description})
	}
	for _, a := range set.Composites {
		_, anchor, linked := strings.Cut(a.Description, ". Runbook: #")
		if _, has := sections[anchor]; !linked || !has && anchor != "composite-any" {
			t.Errorf("%s has no section: %s", a.Name, a.Description)
		}
	}
}
