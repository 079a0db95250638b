package rulescmd

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// write prints the report for people.
func (r *Report) write(out io.Writer, files []string, where string) error {
	paint := terminal.Painter(out)
	fmt.Fprintf(out, "%s in %s, %s in %s\n\n", phrase.Count(r.Events, "event"), phrase.Some(files), phrase.Count(len(r.Rules), "rule"), where)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "EVENTS\tRULE\tBUS\tTYPES")
	for _, c := range r.Rules {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.number(), terminal.Line(c.Rule), terminal.Line(c.Bus), terminal.Line(c.remark()))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if len(r.Unmatched) > 0 {
		total := 0
		for _, u := range r.Unmatched {
			total += u.Events
		}
		fmt.Fprintf(out, "\nNo rule matches %s:\n", phrase.Count(total, "event"))
		for _, u := range r.Unmatched {
			fmt.Fprintf(out, "  %d  %s of %s\n", u.Events, terminal.Line(u.Type), terminal.Line(u.Source))
			if u.Disabled != "" {
				fmt.Fprintf(out, "     rule %s matches but is disabled\n", terminal.Line(u.Disabled))
			}
			if u.Nearest != "" {
				fmt.Fprintf(out, "     nearest is rule %s:\n", terminal.Line(u.Nearest))
			}
			for _, m := range u.Misses {
				fmt.Fprintf(out, "       %s\n", terminal.Line(m.String()))
			}
		}
	}
	for i, c := range r.Changes {
		if i == 0 {
			fmt.Fprintln(out)
		}
		name := ""
		if c.Rule != "" {
			name = "rule " + c.Rule + " on " + c.Bus + ": "
		}
		fmt.Fprintln(out, paint.Yellow("! "+terminal.Line(name+c.What)))
	}
	return nil
}

func (c Count) number() string {
	switch {
	case c.Wrong != "":
		return "-"
	case c.Unsure > 0:
		return fmt.Sprintf("%d-%d", c.Events, c.Events+c.Unsure)
	}
	return strconv.Itoa(c.Events)
}

// remark returns the types that the rule matches, and remarks.
func (c Count) remark() string {
	var parts []string
	if c.Disabled {
		parts = append(parts, "(disabled)")
	}
	if c.Wrong != "" {
		parts = append(parts, c.Wrong)
	}
	if c.Unsure > 0 {
		parts = append(parts, fmt.Sprintf("(depends on ${%s}: give --set %s=VALUE)", c.UnsureOf, c.UnsureOf))
	}
	var types []string
	for _, name := range slices.Sorted(maps.Keys(c.Types)) {
		types = append(types, fmt.Sprintf("%s %d", name, c.Types[name]))
	}
	if len(types) > 0 {
		parts = append(parts, phrase.Some(types))
	}
	return strings.Join(parts, " ")
}
