package yamltree

import "testing"

// TestJSONEscapes: JSON has escapes that YAML has not, as Python's json.dumps writes them.
func TestJSONEscapes(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": "\ud83d\ude00"}`:        "😀",
		`{"a": "x\uD83D\uDE00\u006f"}`: "x😀o",
		`{"a": "\ud83d"}`:              "\uFFFD",
		`{"a": "\ude00\ud83d"}`:        "\uFFFD\uFFFD",
		`{"a": "\\ud83d\/"}`:           `\ud83d/`,
		`{"a": "\\\ud83d\ude00"}`:      `\😀`,
		`a: '\ud83d\ude00'`:            `\ud83d\ude00`, // no JSON, and no escape
		`{"a": "\b\f\n\r\t\""}`:        "\b\f\n\r\t\"",
	} {
		n, err := Parse([]byte(text))
		if got := n.Get("a").Value(); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

// TestAnchorOfKey: an alias can be of a key, also within its own value.
func TestAnchorOfKey(t *testing.T) {
	n, err := Parse([]byte("&f F:\n  X: *f\nY: *f\n"))
	if err != nil || n.At("F", "X").Value() != "F" || n.Get("Y").Value() != "F" {
		t.Error(n, err)
	}
}
