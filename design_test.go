package throughline

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDesignListsEveryPackage holds the table of packages in docs/design.md to
// what the packages say of themselves: the first sentence of their comments.
// With THROUGHLINE_UPDATE=1 it writes the table.
func TestDesignListsEveryPackage(t *testing.T) {
	const begin, end, file = "<!-- packages: written by make docs -->\n", "<!-- end of packages -->\n", "docs/design.md"
	var table strings.Builder
	table.WriteString("| package | what it does |\n|---|---|\n")
	packages := goList(t, everyPackage(t)...)
	slices.SortFunc(packages, func(a, b listed) int { return strings.Compare(a.name(), b.name()) })
	for _, p := range packages {
		if p.name() == "" || within([]string{"test/...", "layer/conformance/...", "examples"}, p.name()) && p.Doc == "" {
			continue // folders that hold only tests
		}
		words := strings.Fields(p.Doc)
		if len(words) < 3 || words[0] != "Package" && words[0] != "Command" {
			t.Errorf("%s has no comment that says what it is", p.name())
			continue
		}
		fmt.Fprintf(&table, "| [%s](../%s) | %s |\n", p.name(), p.name(), strings.TrimSuffix(strings.Join(words[2:], " "), "."))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	listed, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %q and %q", file, begin, end)
	}
	if listed == table.String() {
		return
	}
	if os.Getenv("THROUGHLINE_UPDATE") == "" {
		t.Fatalf("%s does not list the packages as they are: run make docs, or THROUGHLINE_UPDATE=1 go test -run Design .", file)
	}
	if err := os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
