package spanstoretest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// File writes spans as OTLP/JSON, a line each, and returns the path of the file.
func File(tb testing.TB, spans ...workflow.Span) string {
	tb.Helper()
	var data []byte
	for i := range spans {
		data = append(append(data, Line(tb, spans[i])...), '\n')
	}
	return Write(tb, "spans.jsonl", string(data))
}

// Line is a span as a line of OTLP/JSON.
func Line(tb testing.TB, span workflow.Span) []byte {
	tb.Helper()
	return OTLPLines(tb, []workflow.Span{span})[0]
}

// Write writes a file and returns its path.
func Write(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Run runs a command and returns what it printed, its error at the end, and its exit code.
func Run(tb testing.TB, cmd *cobra.Command, args ...string) (out string, code int) {
	tb.Helper()
	var b bytes.Buffer
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&b)
	cmd.SetErr(&b)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(tb.Context())
	if err != nil {
		fmt.Fprint(&b, err)
	}
	return b.String(), terminal.Code(err)
}
