package version

import "testing"

func TestString(t *testing.T) {
	if got := String(); got == "" {
		t.Error("a test has no version")
	}
	tagged = "v1.2.3"
	defer func() { tagged = "" }()
	if got := String(); got != "v1.2.3" {
		t.Errorf("of a release: %s", got)
	}
}
