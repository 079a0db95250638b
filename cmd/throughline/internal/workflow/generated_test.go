package workflow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
)

func TestBuildOfTwoThousandEvents(t *testing.T) {
	spans, truth := workflowtest.Workflow(2000, time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC))
	w := workflow.Build(spans, truth.CorrelationID)
	if wrong := truth.Check(w, true); len(wrong) > 0 {
		t.Errorf("wrong tree:\n%s", strings.Join(wrong, "\n"))
	}
	if truth.Depth < 50 || truth.Repeats < 20 || truth.Calls < 100 || truth.Errors < 10 || len(truth.Gaps) < 5 {
		t.Errorf("the workflow does not hold what it is for: depth %d, %d repeats, %d calls, %d errors, gaps %v", truth.Depth, truth.Repeats, truth.Calls, truth.Errors, truth.Gaps)
	}
	t.Logf("depth %d, %+v", truth.Depth, w.Counts)
}

func BenchmarkBuild(b *testing.B) {
	spans, truth := workflowtest.Workflow(2000, time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC))
	for b.Loop() {
		workflow.Build(spans, truth.CorrelationID)
	}
}
