// Command throughline is the command-line interface of Throughline: it shows the workflow
// of a correlation ID as a tree, checks deployed systems, manages alarms, runs a demo on
// this machine, and is the sidecar. Run it with --help.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/alarmscmd"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/costcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/dedupecmd"
	"github.com/throughline/throughline/cmd/throughline/internal/devcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/dlqcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/expectcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/mapcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/repeatscmd"
	"github.com/throughline/throughline/cmd/throughline/internal/rulescmd"
	"github.com/throughline/throughline/cmd/throughline/internal/sizescmd"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/tracecmd"
	"github.com/throughline/throughline/cmd/throughline/internal/whycmd"
	"github.com/throughline/throughline/internal/version"
)

// environment is what the command uses from its process.
type environment struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	columns        int // the width of reports; 0 means that of the terminal, or no limit if stdout is not a terminal
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], environment{getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr})
	stop()
	os.Exit(code)
}

// run executes the command, prints its error, and returns its exit code.
func run(ctx context.Context, args []string, env environment) int {
	stdout, stderr := terminal.NewWriter(env.stdout), terminal.NewWriter(env.stderr)
	defer stdout.Flush() //nolint:errcheck // the process ends here
	defer stderr.Flush() //nolint:errcheck // the process ends here
	env.stdout, env.stderr = stdout, stderr
	if env.columns > 0 {
		stdout.SetColumns(env.columns)
	}
	root := newRoot(env)
	root.SetArgs(args)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil {
		err = flagged(cmd, err)
		if message := err.Error(); message != "" {
			fmt.Fprintf(env.stderr, "throughline: %s\n", message)
		}
	}
	return terminal.Code(err)
}

// The groups of the root command's help, in their order.
const (
	groupSee     = "see"
	groupOperate = "operate"
	groupRun     = "run"
)

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "throughline",
		Short: "Trace and operate event-driven systems on Amazon EventBridge and AWS Lambda",
		Long: "throughline shows what happens in systems on Amazon EventBridge and AWS Lambda.\n" +
			"Exit codes: 0 success; 1 the command found a difference or a problem, or found\n" +
			"nothing; 2 the call was wrong; 3 a file or a service could not be read.",
		Example: `  throughline demo
  throughline trace --last`,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("throughline {{.Version}}\n")
	wide := root.PersistentFlags().Bool("wide", false, "print whole IDs and lines, even if they do not fit the terminal")
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		if out, ok := cmd.OutOrStdout().(*terminal.Writer); ok && *wide {
			out.SetColumns(0)
		}
	}
	root.AddGroup(&cobra.Group{ID: groupSee, Title: "See what happened"},
		&cobra.Group{ID: groupOperate, Title: "Operate a system"}, &cobra.Group{ID: groupRun, Title: "Set up"})
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupSee, newDemo(env), devcmd.New(), tracecmd.New(config.LoadDefaultConfig, time.Now), mapcmd.New(config.LoadDefaultConfig, time.Now), expectcmd.New(config.LoadDefaultConfig, time.Now), repeatscmd.New(), sizescmd.New(), whycmd.New(config.LoadDefaultConfig, time.Now))
	add(groupOperate, alarmscmd.New(config.LoadDefaultConfig, time.Now), alarmscmd.NewQueries(config.LoadDefaultConfig, time.Now),
		checkcmd.New(config.LoadDefaultConfig, time.Now), costcmd.New(config.LoadDefaultConfig, time.Now), rulescmd.New(config.LoadDefaultConfig), dlqcmd.New(config.LoadDefaultConfig, time.Now))
	add(groupRun, newSidecar(env), dedupecmd.New(config.LoadDefaultConfig), newCompletion(root), newVersion())
	root.SetHelpCommand(newHelp(root))
	nameNextSteps(root)
	fitHelp(root)
	return root
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  throughline version
  throughline version --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"version": version.String(), "go": runtime.Version()})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "throughline", version.String())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
