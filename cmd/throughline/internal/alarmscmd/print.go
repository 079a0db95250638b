package alarmscmd

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/cloudwatch"
)

// paint colours text for a terminal; elsewhere, and where NO_COLOR is set, it
// leaves it as it is.
type paint bool

func painter(out io.Writer) paint {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := file.Stat()
	return paint(err == nil && info.Mode()&os.ModeCharDevice != 0)
}

func (p paint) in(code, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p paint) red(s string) string    { return p.in("31", s) }
func (p paint) green(s string) string  { return p.in("32", s) }
func (p paint) yellow(s string) string { return p.in("33", s) }
func (p paint) dim(s string) string    { return p.in("2", s) }

// progress writes over one line of a terminal, and nothing elsewhere.
type progress struct {
	out io.Writer
	on  bool
}

func newProgress(cmd *cobra.Command) progress {
	return progress{cmd.ErrOrStderr(), bool(painter(cmd.ErrOrStderr()))}
}

func (p progress) show(format string, args ...any) {
	if p.on {
		fmt.Fprintf(p.out, "\r\x1b[K"+format, args...)
	}
}

func (p progress) end() {
	if p.on {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

var signs = map[cloudwatch.Action]string{cloudwatch.Create: "+", cloudwatch.Change: "~", cloudwatch.Retag: "~", cloudwatch.Delete: "-", cloudwatch.Adopt: "~", cloudwatch.Refuse: "!"}

func printPlan(out io.Writer, plan cloudwatch.Plan, spec string) {
	p := painter(out)
	for _, s := range plan.Steps {
		colour := map[cloudwatch.Action]func(string) string{cloudwatch.Create: p.green, cloudwatch.Delete: p.red, cloudwatch.Refuse: p.red}[s.Action]
		if colour == nil {
			colour = p.yellow
		}
		note := ""
		switch {
		case s.Action == cloudwatch.Refuse:
			note = "  the name is taken by an alarm that is not of " + spec
		case s.Conflict:
			note = "  edited by hand, and the spec changed too"
		case s.Edited:
			note = "  edited by hand"
		}
		fmt.Fprintf(out, "%s %-6s %s%s\n", colour(signs[s.Action]), s.Action, s.Name, p.dim(note))
		if s.Action != cloudwatch.Create && s.Action != cloudwatch.Delete {
			for _, c := range s.Changes {
				fmt.Fprintf(out, "           %s: %s → %s\n", c.Field, orNothing(c.Was), orNothing(c.Is))
			}
		}
	}
	count := map[cloudwatch.Action]int{}
	for _, s := range plan.Steps {
		count[s.Action]++
	}
	if plan.Empty() {
		fmt.Fprintf(out, "no changes: %d alarms are as the spec says\n", plan.Kept)
	} else {
		var parts []string
		for _, a := range []cloudwatch.Action{cloudwatch.Create, cloudwatch.Change, cloudwatch.Retag, cloudwatch.Adopt, cloudwatch.Delete, cloudwatch.Refuse} {
			if count[a] > 0 {
				parts = append(parts, fmt.Sprintf("%d to %s", count[a], a))
			}
		}
		fmt.Fprintf(out, "%s, %d unchanged; %+.2f dollars a month\n", strings.Join(parts, ", "), plan.Kept, plan.Dollars())
	}
	if n := len(plan.LeftAlone); n > 0 {
		fmt.Fprintf(out, "%d alarms under the prefix are not of %s and are left alone: %s\n", n, spec, strings.Join(plan.LeftAlone[:min(n, 5)], ", "))
	}
	if count[cloudwatch.Create] > 0 {
		fmt.Fprintln(out, p.dim("an alarm begins in INSUFFICIENT_DATA, so with notify: ok each new one will tell once that it is OK"))
	}
}

func orNothing(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

// printNotes says on standard error what the spec leaves out.
func printNotes(cmd *cobra.Command, file string, notes []alarms.Note) {
	for _, n := range notes {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s%s\n", at(file, n.Line), n.Message)
	}
}
