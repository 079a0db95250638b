package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

func newTrace(environment) *cobra.Command {
	var file string
	var last bool
	cmd := &cobra.Command{
		Use:   "trace CORRELATION_ID",
		Short: "Show the whole workflow of a correlation ID as a tree by cause",
		Long: `trace reads spans and prints the events of one correlation ID as a tree: each
event below the one that was being handled when it was published. What is
missing is named for what it is: a publisher not seen, one not sampled, an event
that nobody handled.`,
		Example: `  throughline trace workflow-6513270e-269e-4d37-b2a7-4de452e6b438 --file build/demo/spans.jsonl
  throughline trace --last --file build/demo/spans.jsonl`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !last {
				return errors.New("trace: name a correlation ID, or say --last")
			}
			spans, err := readSpans(file)
			if err != nil {
				return fmt.Errorf("trace: %w", err)
			}
			id, err := pick(spans, args)
			if err != nil {
				return fmt.Errorf("trace: %w", err)
			}
			return workflow.WriteText(cmd.OutOrStdout(), workflow.Build(spans, id))
		},
	}
	cmd.Flags().StringVar(&file, "file", "build/demo/spans.jsonl", "spans as OTLP/JSON, one request a line")
	cmd.Flags().BoolVar(&last, "last", false, "the workflow with the most recent span")
	return cmd
}

func readSpans(path string) ([]workflow.Span, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no spans at %s: run `make demo`, or name a file with --file", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	spans, err := workflow.ReadJSON(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return spans, nil
}

func pick(spans []workflow.Span, args []string) (string, error) {
	known := workflow.Correlations(spans)
	if len(known) == 0 {
		return "", errors.New("no span carries a correlation ID")
	}
	if len(args) == 0 {
		return known[0], nil
	}
	for _, id := range known {
		if id == args[0] {
			return id, nil
		}
	}
	const show = 5
	return "", fmt.Errorf("no span has the correlation ID %s; the most recent are:\n  %s", args[0], strings.Join(known[:min(show, len(known))], "\n  "))
}
