package nearest

import (
	"fmt"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	known := []string{"errors", "duration", "throttles"}
	for wanted, want := range map[string]string{
		"erors": "errors", "ERRORS": "errors", "duratoin": "duration", "trottle": "throttles", "errors": "errors",
		"": "", "latency": "", strings.Repeat("errors", 20): "",
	} {
		if got := Of(wanted, known); got != want {
			t.Errorf("%q: %q, want %q", wanted, got, want)
		}
	}
	if got := Of("a", nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func ExampleHint() {
	fmt.Println("there is no metric Erors" + Hint("Erors", []string{"Errors", "Throttles"}))
	// Output: there is no metric Erors; did you mean Errors?
}
