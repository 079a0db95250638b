package stands

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// waits match the lines of the shims' code that define how long they wait for the
// extension.
var waits = map[string]*regexp.Regexp{
	"python/throughline_shim/loopback.py": regexp.MustCompile(`(?m)^(_DEADLINE = )[0-9.]+`), // seconds
	"node/loopback.cjs":                   regexp.MustCompile(`(?m)^(const ASK = )\d+`),     // milliseconds
}

// Wait changes how long the shims of a copy of the layer wait for the extension. The
// times are literals in Python and in JavaScript. On a busy machine a response takes
// longer than a function may wait.
func Wait(t testing.TB, layer, python, node string) {
	t.Helper()
	for name, text := range map[string]string{"python/throughline_shim/loopback.py": python, "node/loopback.cjs": node} {
		path := filepath.Join(layer, filepath.FromSlash(name))
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !waits[name].Match(code) {
			t.Fatalf("%s says not how long it waits", path)
		}
		if err := os.WriteFile(path, waits[name].ReplaceAll(code, []byte("${1}"+text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Patient makes the shims of a copy of the layer wait for ten seconds.
func Patient(t testing.TB, layer string) {
	t.Helper()
	Wait(t, layer, "10.0", "10_000")
}
