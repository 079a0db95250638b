package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// columns is the maximum width of every help text.
const columns = 80

// fitHelp gives every command a help text of 80 columns, and the root command one of 30
// lines.
func fitHelp(root *cobra.Command) {
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if cmd == root {
			writeRootHelp(cmd.OutOrStdout(), cmd)
			return
		}
		writeHelp(cmd.OutOrStdout(), cmd)
	})
}

func writeRootHelp(out io.Writer, root *cobra.Command) {
	fmt.Fprintf(out, "%s\n", root.Long)
	for _, group := range root.Groups() {
		fmt.Fprintf(out, "\n%s\n", group.Title)
		for _, cmd := range root.Commands() {
			if cmd.GroupID == group.ID {
				fmt.Fprintf(out, "  %-11s %s\n", cmd.Name(), cmd.Short)
			}
		}
	}
	fmt.Fprintln(out, "Each command has --help, which shows examples, and --wide, which prints whole\nIDs and lines. Begin with `make demo`.")
}

// writeHelp writes a command's description, usage, subcommands and flags.
func writeHelp(out io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(out, "%s\n\nUsage:\n%s\n", reflow(cmp.Or(cmd.Long, cmd.Short)), wrap("  "+cmd.UseLine(), 4))
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "  %s COMMAND\n", cmd.CommandPath())
	}
	if cmd.HasExample() {
		fmt.Fprintln(out, "\nExamples:")
		for _, line := range strings.Split(cmd.Example, "\n") {
			fmt.Fprintln(out, continued(line))
		}
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintln(out, "\nCommands:")
		width := 0
		for _, sub := range cmd.Commands() {
			width = max(width, len(sub.Name()))
		}
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintln(out, wrap(fmt.Sprintf("  %-*s  %s", width, sub.Name(), sub.Short), width+4))
			}
		}
	}
	if cmd.HasAvailableLocalFlags() {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			// pflag prints an empty list or map as a default, except for these types, where it
			// prints an empty string.
			if f.DefValue == "[]" && !slices.Contains([]string{"stringArray", "stringSlice", "intSlice"}, f.Value.Type()) {
				f.DefValue = ""
			}
		})
		fmt.Fprintf(out, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(columns))
	}
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprintf(out, "\nFlags of every command:\n%s", cmd.InheritedFlags().FlagUsagesWrapped(columns))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\n`%s COMMAND --help` describes a command.\n", cmd.CommandPath())
	}
}

// reflow fills the lines of each paragraph. Lines that begin with a space are a list,
// whose items stay on their own lines.
func reflow(text string) string {
	item := regexp.MustCompile(`^ +(?:\S+ {2,})?`)
	var paragraphs []string
	for _, paragraph := range strings.Split(text, "\n\n") {
		if !strings.HasPrefix(paragraph, " ") {
			paragraphs = append(paragraphs, wrap(strings.ReplaceAll(paragraph, "\n", " "), 0))
			continue
		}
		var lines []string
		for _, line := range strings.Split(paragraph, "\n") {
			lines = append(lines, wrap(line, len(item.FindString(line))))
		}
		paragraphs = append(paragraphs, strings.Join(lines, "\n"))
	}
	return strings.Join(paragraphs, "\n\n")
}

// wrap wraps a line at spaces. Continuation lines are indented by indent spaces.
func wrap(line string, indent int) string {
	body := strings.TrimLeft(line, " ")
	words := strings.Split(body, " ")
	lines := []string{line[:len(line)-len(body)] + words[0]}
	for _, word := range words[1:] {
		last := &lines[len(lines)-1]
		if utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) > columns {
			lines = append(lines, strings.Repeat(" ", indent)+word)
			continue
		}
		*last += " " + word
	}
	return strings.Join(lines, "\n")
}

// continued wraps an example in the form of a shell: with a backslash before a flag, a
// pipe or the command after an operator.
func continued(line string) string {
	const indent, backslash = "      ", 2
	before := regexp.MustCompile(` (?:--?[a-z]|\||&&|>)`)
	var done []string
	for utf8.RuneCountInString(line) > columns {
		at := 0
		for _, m := range before.FindAllStringIndex(line, -1) {
			if quoted := strings.Count(line[:m[0]], "'")%2 + strings.Count(line[:m[0]], `"`)%2; quoted == 0 && m[0] > len(indent) && m[0] <= columns-backslash {
				at = m[0]
			}
		}
		if at == 0 {
			break
		}
		done = append(done, line[:at]+" \\")
		line = indent + line[at+1:]
	}
	return strings.Join(append(done, line), "\n")
}
