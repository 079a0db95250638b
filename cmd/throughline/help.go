package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// nameNextSteps adds the next step to errors of cobra: an unknown command or flag, a
// wrong number of arguments.
func nameNextSteps(root *cobra.Command) {
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var invalid *pflag.InvalidValueError
		if kind := ""; errors.As(err, &invalid) {
			if kind = values[invalid.GetFlag().Value.Type()]; kind != "" {
				err = fmt.Errorf("--%s takes %s, not %q", invalid.GetFlag().Name, kind, invalid.GetValue())
			}
		}
		err = fmt.Errorf("%w: `%s --help` lists the flags", err, cmd.CommandPath())
		if cmd.HasParent() {
			err = terminal.In(within(cmd), err)
		}
		return terminal.As(terminal.Misused, err)
	})
	walk(root, func(cmd *cobra.Command) {
		check := cmd.Args
		if check == nil {
			return
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			switch {
			case err == nil:
				return nil
			case cmd.HasAvailableSubCommands() && len(args) > 0:
				return unknown(cmd, args[0])
			default:
				return terminal.Misuse("%s: %s: the usage is `%s`; --help shows examples", within(cmd), miscounted(err, args), cmd.UseLine())
			}
		}
	})
}

// values names the values of pflag's types of flags.
var values = map[string]string{
	"int": "a whole number", "int64": "a whole number", "float64": "a number",
	"duration": "a duration, such as 90s or 24h", "stringToString": "NAME=VALUE",
}

// miscounted rewords cobra's error on the number of arguments.
func miscounted(err error, args []string) string {
	message := err.Error()
	var least, got int
	switch n := regexp.MustCompile(`\d+`).FindAllString(message, -1); {
	case strings.HasPrefix(message, "unknown command") && len(args) > 0:
		return fmt.Sprintf("the command takes no arguments, but got %q", args[0])
	case !strings.Contains(message, "arg(s)") || len(n) < 2:
		return message
	default:
		least, _ = strconv.Atoi(n[0])
		got, _ = strconv.Atoi(n[len(n)-1])
	}
	if got < least {
		return "an argument is missing"
	}
	return fmt.Sprintf("the command got %d arguments, which are too many", got)
}

// flagged adds the command and the next step to cobra's errors on flags that are missing
// or that exclude each other, and the next step to errors of AWS's SDK.
func flagged(cmd *cobra.Command, err error) error {
	group := regexp.MustCompile(`^(required flag|if any flags in the group|at least one of the flags in the group)[^\["]*["\[]([^\]"]*)["\]](?:[^\[]*\[([^\]]*)\])?`)
	if m := group.FindStringSubmatch(err.Error()); m != nil {
		names := func(list, word string) string {
			return "--" + strings.Join(strings.Fields(list), word+"--")
		}
		text := "give " + names(m[2], " or ")
		if m[3] != "" {
			text = "give only one of " + names(m[3], " and ")
		}
		return terminal.Misuse("%s: %s: `%s --help` shows examples", within(cmd), text, cmd.CommandPath())
	}
	err = account.Plain(err)
	for _, next := range [][2]string{
		{"failed to get shared config profile", "`aws configure list-profiles` lists the profiles"},
		{"request send failed", "check the network, the Region and --endpoint-url"},
	} {
		if strings.Contains(err.Error(), next[0]) {
			return fmt.Errorf("%w: %s", err, next[1])
		}
	}
	return err
}

// unknown returns the error for a command that cmd does not have, with similar names.
func unknown(cmd *cobra.Command, name string) error {
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2 // cobra sets it only in its own check
	}
	hint := fmt.Sprintf("`%s --help` lists them", cmd.CommandPath())
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		hint = fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), strings.Join(near, "` or `"+cmd.CommandPath()+" "))
	}
	if cmd.Flags().Lookup("template") != nil && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
		hint = fmt.Sprintf("a template is named by --template %s", name)
	}
	return terminal.Misuse("there is no command `%s %s`: %s", cmd.CommandPath(), name, hint)
}

// within returns a command's path below the root, with which its errors begin.
func within(cmd *cobra.Command) string {
	if cmd.HasParent() {
		return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	}
	return cmd.Name()
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

// newHelp returns `throughline help COMMAND`, for users who are used to that form.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND…]",
		Short:   "Show the help of a command",
		Example: "  throughline help alarms plan",
		Hidden:  true, // --help of each command prints the same
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknown(found, rest[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// newCompletion returns the command that writes completion scripts for shells.
func newCompletion(root *cobra.Command) *cobra.Command {
	root.CompletionOptions.DisableDefaultCmd = true // cobra's own has no examples
	shells := map[string]func(io.Writer) error{
		"bash":       func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":        root.GenZshCompletion,
		"fish":       func(w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": root.GenPowerShellCompletionWithDesc,
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Write the script that completes commands and flags in your shell",
		Long: `completion writes the script that completes commands and flags in your shell. The script
for bash needs the package bash-completion.`,
		Example: `  source <(throughline completion bash)
  throughline completion zsh > "${fpath[1]}/_throughline"
  throughline completion fish > ~/.config/fish/completions/throughline.fish
  throughline completion powershell | Out-String | Invoke-Expression`,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             []string{"bash", "zsh", "fish", "powershell"},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := shells[args[0]](cmd.OutOrStdout()); err != nil {
				return fmt.Errorf("completion: %w", err)
			}
			return nil
		},
	}
}
