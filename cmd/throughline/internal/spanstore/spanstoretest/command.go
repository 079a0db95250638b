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

// Line returns a span as a line of OTLP/JSON.
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

// Envelope returns an event of the source "shop" as EventBridge delivers it, on one line.
func Envelope(id, eventType, detail string) string {
	return fmt.Sprintf(`{"version":"0","id":%q,"detail-type":%q,"source":"shop","account":"1","time":"2026-11-23T10:00:00Z","region":"eu-west-1","resources":[],"detail":%s}`, id, eventType, detail)
}

// Run runs a command and returns its output, followed by its error, and its exit code.
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
