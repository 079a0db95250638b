// Command throughline is the operator's side of Throughline: it plays a
// trading day on this machine and shows the workflow of a correlation ID. Run it with
// --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/alarmscmd"
	"github.com/throughline/throughline/cmd/throughline/internal/costcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/dedupecmd"
	"github.com/throughline/throughline/cmd/throughline/internal/repeatscmd"
	"github.com/throughline/throughline/cmd/throughline/internal/sizescmd"
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
// code of its own gives that, any other gives 1.
func run(ctx context.Context, args []string, env environment) int {
	root := newRoot(env)
	root.SetArgs(args)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
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

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "throughline",
		Short: "See event-driven systems on Amazon EventBridge and AWS Lambda as one line",
		Long: `throughline makes systems on Amazon EventBridge and AWS Lambda legible: it links
what published an event to what handled it, weighs events and tells repeats apart.`,
		Example: `  throughline demo                       play a trading day on this machine
  throughline trace --last --file build/demo/spans.jsonl
  throughline trace --slowest --html workflow.html
  throughline repeats build/demo/metrics.jsonl`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newDemo(env), newTrace(env), newSidecar(env), repeatscmd.New(), dedupecmd.New(config.LoadDefaultConfig), sizescmd.New(), costcmd.New(config.LoadDefaultConfig, time.Now),
		alarmscmd.New(config.LoadDefaultConfig, time.Now), alarmscmd.NewQueries(config.LoadDefaultConfig, time.Now), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  throughline version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "throughline", version())
			return err
		},
	}
}

// version is the module's version as the toolchain recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
