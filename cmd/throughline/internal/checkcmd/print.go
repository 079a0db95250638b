package checkcmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/judge"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// summary counts the items by status.
func summary(results []judge.Result) map[judge.Status]int {
	count := map[judge.Status]int{}
	for _, r := range results {
		count[r.Status]++
	}
	return count
}

// status is the width of a status and the following space.
const status = 6

// write prints a line for each item, with further findings and the next step below it.
func write(out io.Writer, source string, results []judge.Result) error {
	p := terminal.Painter(out)
	paint := map[judge.Status]func(string) string{judge.Pass: p.Green, judge.Fail: p.Red, judge.Warn: p.Yellow, judge.Skip: p.Dim}
	wide := 0
	for _, r := range results {
		wide = max(wide, len(r.ID))
	}
	const more = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", source)
	for _, r := range results {
		fmt.Fprintf(&b, "%s  %-*s  %s: %s\n", paint[r.Status](string(r.Status)), wide, r.ID, r.Title, terminal.Line(r.Evidence))
		indent := strings.Repeat(" ", wide+status+2)
		if terminal.Columns(out) > 0 {
			indent = indent[:status]
		}
		for i, d := range r.Details {
			if i == more {
				fmt.Fprintf(&b, "%s%d more: see --json\n", indent, len(r.Details)-more)
				break
			}
			fmt.Fprintf(&b, "%s%s\n", indent, terminal.Line(d))
		}
		if r.Next != "" {
			fmt.Fprintf(&b, "%s%s\n", indent, p.Dim("→ "+terminal.Line(r.Next)))
		}
	}
	count := summary(results)
	fmt.Fprintf(&b, "%d passed, %d failed, %d doubtful, %d not checked\n", count[judge.Pass], count[judge.Fail], count[judge.Warn], count[judge.Skip])
	_, err := io.WriteString(out, b.String())
	return err
}

// document is what --json prints.
type document struct {
	Source  string               `json:"source"`
	Items   []judge.Result       `json:"items"`
	Summary map[judge.Status]int `json:"summary"`
	Notes   []string             `json:"notes,omitempty"` // what was left out
	Did     []string             `json:"did,omitempty"`   // what --write changed, in order
}
