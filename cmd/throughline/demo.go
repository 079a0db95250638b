package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/demo"
	"github.com/throughline/throughline/internal/settings"
)

func newDemo(env environment) *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a trading day on this machine, end to end",
		Long: `demo starts a local event bus, an Alpaca stand-in and functions in local Lambda
environments with the layer's extension attached, plays a trading day, prints
what Throughline saw of it, and compares that with what really happened. It
exits with 1 when anything differs.

With OTEL_EXPORTER_OTLP_ENDPOINT set the spans are sent there too.`,
		Example: `  make demo
  throughline demo --extension bin/throughline-extension --function build/demo/tradingday
  throughline demo --json
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 make demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.ForwardTo, o.ForwardHeaders = settings.OTLPTarget(env.getenv)
			o.Progress = cmd.ErrOrStderr()
			if err := demo.Run(cmd.Context(), o, cmd.OutOrStdout()); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.JSON, "json", false, "print counts, files and differences as JSON instead of the report")
	flags.StringVar(&o.Dir, "dir", "build/demo", "`FOLDER` for spans, metrics, events and the report")
	flags.StringVar(&o.Extension, "extension", "bin/throughline-extension", "the extension's `BINARY`")
	flags.StringVar(&o.Function, "function", "build/demo/tradingday", "the functions' `BINARY`")
	flags.StringVar(&o.Events, "events", "testdata/events", "`FOLDER` of the events to publish")
	return cmd
}
