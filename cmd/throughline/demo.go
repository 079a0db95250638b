package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/demo"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/internal/settings"
)

func newDemo(env environment) *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a trading day on this machine, end to end",
		Long: `demo plays a trading day: a local event bus, a stand-in for Alpaca, and functions in local
Lambda environments with the layer's extension attached. It prints what Throughline
reported about the day, and compares the report with what happened. If
OTEL_EXPORTER_OTLP_ENDPOINT is set, it also sends the spans there.

Exit codes: 0 the report matches; 1 the report differs; 2 wrong call; 3 the day could not
be played.`,
		Example: `  make demo
  throughline demo --extension bin/throughline-extension --function build/demo/tradingday
  throughline demo --new-bus
  throughline demo --json
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 make demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.ForwardTo, o.ForwardHeaders = settings.OTLPTarget(env.getenv)
			o.Progress = cmd.ErrOrStderr()
			err := demo.Run(cmd.Context(), o, cmd.OutOrStdout())
			if errors.Is(err, demo.ErrDiffers) {
				err = terminal.As(terminal.Found, err)
			}
			return terminal.In("demo", err)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.JSON, "json", false, "print counts, files and differences as JSON instead of the report")
	flags.BoolVar(&o.NewBus, "new-bus", false, "play the day on a new custom bus and on the classic one")
	flags.StringVar(&o.Dir, "dir", "build/demo", "`FOLDER` for spans, metrics, events and the report")
	flags.StringVar(&o.Extension, "extension", "bin/throughline-extension", "the extension's `BINARY`")
	flags.StringVar(&o.Function, "function", "build/demo/tradingday", "the functions' `BINARY`")
	flags.StringVar(&o.Events, "events", "testdata/events", "publish the events in `FOLDER`")
	return cmd
}
