package alarmscmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// watched returns a pace that shows the progress of a long read.
func (a app) watched(bar terminal.Progress, format string) *cloudwatch.Pace {
	pace := a.pace()
	pace.Progress = func(done, of int) { bar.Show(format, done, of) }
	return pace
}

var signs = map[cloudwatch.Action]string{cloudwatch.Create: "+", cloudwatch.Change: "~", cloudwatch.Retag: "~", cloudwatch.Delete: "-", cloudwatch.Adopt: "~", cloudwatch.Refuse: "!"}

func printPlan(out io.Writer, plan cloudwatch.Plan, spec string) {
	p := terminal.Painter(out)
	for _, s := range plan.Steps {
		colour := map[cloudwatch.Action]func(string) string{cloudwatch.Create: p.Green, cloudwatch.Delete: p.Red, cloudwatch.Refuse: p.Red}[s.Action]
		if colour == nil {
			colour = p.Yellow
		}
		note := ""
		switch {
		case s.Action == cloudwatch.Refuse:
			note = "  an alarm that does not belong to " + spec + " has this name"
		case s.Conflict:
			note = "  edited by hand, and the spec changed too"
		case s.Edited:
			note = "  edited by hand"
		}
		fmt.Fprintf(out, "%s %-6s %s%s\n", colour(signs[s.Action]), s.Action, s.Name, p.Dim(note))
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
		fmt.Fprintf(out, "no changes: %s match the spec\n", phrase.Count(plan.Kept, "alarm"))
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
		fmt.Fprintf(out, "not changed, because they do not belong to %s: %s: %s\n", spec, phrase.Count(n, "alarm"), strings.Join(plan.LeftAlone[:min(n, 5)], ", "))
	}
	if n := plan.Greetings(); n > 0 {
		fmt.Fprintln(out, p.Dim(fmt.Sprintf("an alarm begins in INSUFFICIENT_DATA: %d of the new alarms have OK actions, and each sends one notification when it becomes OK", n)))
	}
}

func orNothing(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

// printNotes prints the spec's notes on standard error.
func printNotes(cmd *cobra.Command, file string, notes []alarms.Note) {
	for _, n := range notes {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s%s\n", at(file, n.Line), terminal.Line(n.Message))
	}
}
