// Command throughline is the operator's side of Throughline: the workflow of a
// correlation ID as a tree, the checks and alarms of a deployed system, a demo
// on this machine, and the sidecar. Run it with --help.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/alarmscmd"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/costcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/dedupecmd"
	"github.com/throughline/throughline/cmd/throughline/internal/repeatscmd"
	"github.com/throughline/throughline/cmd/throughline/internal/sizescmd"
	"github.com/throughline/throughline/cmd/throughline/internal/tracecmd"
)

// environment is what the command takes from the process it runs in.
type environment struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], environment{os.Getenv, os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run executes the command and returns its exit code: an error that knows a
// code of its own gives that, 2 where it is called wrongly, any other 1.
func run(ctx context.Context, args []string, env environment) int {
	root := newRoot(env)
	root.SetArgs(args)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	err = flagged(cmd, err)
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		if message := err.Error(); message != "" {
			fmt.Fprintf(env.stderr, "throughline: %s\n", message)
		}
		return coded.ExitCode()
	}
	fmt.Fprintf(env.stderr, "throughline: %v\n", err)
	return 1
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
		Short: "See event-driven systems on Amazon EventBridge and AWS Lambda as one line",
		Long: "throughline makes systems on Amazon EventBridge and AWS Lambda legible.\n" +
			"Exit codes: 0; 1 where something failed; 2 where it was called wrongly.",
		Example: `  throughline demo
  throughline trace --last`,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddGroup(&cobra.Group{ID: groupSee, Title: "See what happened"},
		&cobra.Group{ID: groupOperate, Title: "Operate a system"}, &cobra.Group{ID: groupRun, Title: "Set up"})
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupSee, newDemo(env), tracecmd.New(config.LoadDefaultConfig, time.Now), repeatscmd.New(), sizescmd.New())
	add(groupOperate, alarmscmd.New(config.LoadDefaultConfig, time.Now), alarmscmd.NewQueries(config.LoadDefaultConfig, time.Now),
		checkcmd.New(config.LoadDefaultConfig, time.Now), costcmd.New(config.LoadDefaultConfig, time.Now))
	add(groupRun, newSidecar(env), dedupecmd.New(config.LoadDefaultConfig), newCompletion(root), newVersion())
	root.SetHelpCommand(newHelp(root))
	nameNextSteps(root)
	showOneScreen(root)
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
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"version": version(), "go": runtime.Version()})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "throughline", version())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// version is the module's version as the toolchain recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
