package checkcmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// summary is how many items went which way.
func summary(results []Result) map[Status]int {
	count := map[Status]int{}
	for _, r := range results {
		count[r.Status]++
	}
	return count
}

// write prints a line an item, what else was found below it, and what to do.
func write(out io.Writer, source string, results []Result) error {
	p := terminal.Painter(out)
	paint := map[Status]func(string) string{Pass: p.Green, Fail: p.Red, Warn: p.Yellow, Skip: p.Dim}
	wide := 0
	for _, r := range results {
		wide = max(wide, len(r.ID))
	}
	const more = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", source)
	for _, r := range results {
		fmt.Fprintf(&b, "%s  %-*s  %s: %s\n", paint[r.Status](string(r.Status)), wide, r.ID, r.Title, r.Evidence)
		indent := strings.Repeat(" ", wide+8)
		for i, d := range r.Details {
			if i == more {
				fmt.Fprintf(&b, "%s%d more: see --json\n", indent, len(r.Details)-more)
				break
			}
			fmt.Fprintf(&b, "%s%s\n", indent, d)
		}
		if r.Next != "" {
			fmt.Fprintf(&b, "%s%s\n", indent, p.Dim("→ "+r.Next))
		}
	}
	count := summary(results)
	fmt.Fprintf(&b, "%d passed, %d failed, %d doubtful, %d not checked\n", count[Pass], count[Fail], count[Warn], count[Skip])
	_, err := io.WriteString(out, b.String())
	return err
}

// document is what --json prints.
type document struct {
	Source  string         `json:"source"`
	Items   []Result       `json:"items"`
	Summary map[Status]int `json:"summary"`
	Notes   []string       `json:"notes,omitempty"` // what was left out
	Did     []string       `json:"did,omitempty"`   // what --write changed, in order
}
