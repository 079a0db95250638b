package pagestyle

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// ExampleHash allows one script and nothing else.
func ExampleHash() {
	fmt.Println("script-src " + Hash("alert(1)"))
	// Output: script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='
}

// luminance is the relative luminance of WCAG 2.1.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestContrast holds each colour of text to WCAG 2.1 AA, 4.5 to 1, on each ground that
// texts stand on.
func TestContrast(t *testing.T) {
	colours := map[string][2]string{}
	for _, m := range regexp.MustCompile(`--(\w+): light-dark\((#\w{6}), (#\w{6})\)`).FindAllStringSubmatch(Palette, -1) {
		colours[m[1]] = [2]string{m[2], m[3]}
	}
	for _, text := range strings.Fields("ink soft publish handle repeat error gap hop") {
		for _, ground := range strings.Fields("ground panel raise pick hit") {
			for mode, name := range []string{"light", "dark"} {
				a, b := luminance(t, colours[text][mode]), luminance(t, colours[ground][mode])
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
					t.Errorf("%s: %s on %s is %.2f to 1", name, text, ground, ratio)
				}
			}
		}
	}
}
