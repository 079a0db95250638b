// Package phrase formats counts, lists and durations as text for the output of the
// commands. Its functions are pure.
package phrase

import (
	"fmt"
	"strings"
	"time"
)

// Count returns n and a noun: "1 event", "2 events", "3 policies".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") && !strings.HasSuffix(noun, "ay") {
		noun = strings.TrimSuffix(noun, "y") + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Times returns "once", or "3 times".
func Times(n float64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%.0f times", n)
}

const few = 4

// Some returns the first four items of a list, and the number of further items.
func Some(list []string) string {
	if len(list) <= few {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:few], ", "), len(list)-few)
}

// And returns a list as Some does, with "and" before the last item.
func And(list []string) string {
	if n := len(list); n > 1 && n <= few {
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
	return Some(list)
}

// Duration formats d as [time.Duration] does, rounded to milliseconds and without
// trailing zeros: "1h", not "1h0m0s".
func Duration(d time.Duration) string {
	text := d.Round(time.Millisecond).String()
	for _, zero := range []string{"0s", "0m"} {
		if strings.HasSuffix(text, "h"+zero) || strings.HasSuffix(text, "m"+zero) {
			text = strings.TrimSuffix(text, zero)
		}
	}
	return text
}

// Bytes formats a size in bytes or, from 1000 on, in kilobytes of 1000 bytes.
func Bytes(n float64) string {
	const kilo = 1000
	if n < kilo {
		return fmt.Sprintf("%.0f B", n)
	}
	return fmt.Sprintf("%.1f KB", n/kilo)
}
