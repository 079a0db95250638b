package alarms

import (
	"os"
	"slices"
	"testing"
)

// TestEveryRowIsTested: the specs of the tests that make each alarm fire and keep it quiet,
// and of those on bursts, have every kind of resource, and the first every row of its pack.
func TestEveryRowIsTested(t *testing.T) {
	for _, file := range []string{"testdata/every.yaml", "eval/testdata/burst.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		spec, _, err := read(text)
		if err != nil {
			t.Fatal(err)
		}
		set := compile(t, string(text))
		for _, kind := range kinds() {
			at := slices.IndexFunc(spec.resources, func(r resource) bool { return r.kind.name == kind.name })
			if at < 0 {
				t.Errorf("%s has no %s", file, kind.name)
				continue
			}
			rows, _ := kind.rows(spec.resources[at], context{spec.namespace, spec.profile, spec.limit})
			for _, row := range rows {
				made := slices.ContainsFunc(set.Alarms, func(a Alarm) bool { return a.Meta.Kind == kind.name && a.Meta.Key == row.key })
				if !made && file == "testdata/every.yaml" {
					t.Errorf("%s makes no alarm of %s %s", file, kind.name, row.key)
				}
			}
		}
	}
}
