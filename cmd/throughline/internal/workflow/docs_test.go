package workflow_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// TestDocsNameEveryMember holds docs/trace.md to what --json writes and to what
// the page can be asked.
func TestDocsNameEveryMember(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/trace.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`(?:nodes\\[\\])?\\.?([a-z_:]+)`").FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = true
	}
	for _, v := range []any{workflow.Document{}, workflow.NodeDoc{}, workflow.SpanDoc{}, workflow.LinkDoc{}, workflow.Repeat{}, workflow.Counts{}} {
		kind := reflect.TypeOf(v)
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if !named[name] {
				t.Errorf("docs/trace.md does not tell of %s.%s", kind.Name(), name)
			}
		}
	}
	for _, gap := range []workflow.Gap{workflow.PublisherNotSeen, workflow.PublisherNotSampled, workflow.PublisherNotTraced, workflow.HandlingNotSeen, workflow.CauseNotSeen, workflow.NotHandled} {
		if !named[string(gap)] || gap.Explain() == string(gap) {
			t.Errorf("docs/trace.md or Explain does not tell of the gap %s", gap)
		}
	}
	script, err := os.ReadFile("page/page.js")
	if err != nil {
		t.Fatal(err)
	}
	_, words, _ := strings.Cut(string(script), "const is = {")
	words, _, _ = strings.Cut(words, "};")
	for _, m := range regexp.MustCompile(`(\w+): `).FindAllStringSubmatch(words, -1) {
		if !named["is:"+m[1]] {
			t.Errorf("docs/trace.md does not tell of is:%s", m[1])
		}
	}
}
