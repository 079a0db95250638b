package runtimeapi

import (
	"io"
	"strings"
	"testing"

	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/internal/handling"
)

// TestAnswersShareTheBudget: the room for long answers with failed items is taken from
// the budget, and given back. Without room, an answer passes unread.
func TestAnswersShareTheBudget(t *testing.T) {
	budget := server.NewBudget(handling.MaxAnswer)
	answer := `{"batchItemFailures":[` + strings.Repeat(`{"itemIdentifier":"a"},`, 10_000) + `{}]}`
	pass := func() *keptBody {
		b := &keptBody{ReadCloser: io.NopCloser(strings.NewReader(answer)), budget: budget}
		if got, err := io.ReadAll(b); err != nil || string(got) != answer {
			t.Errorf("%d bytes passed, %v", len(got), err)
		}
		return b
	}
	first, second := pass(), pass()
	if kept, ended := first.read(); string(kept) != answer || !ended {
		t.Errorf("%d bytes kept, ended %t", len(kept), ended)
	}
	if kept, ended := second.read(); kept != nil || !ended {
		t.Errorf("%d bytes kept without room, ended %t", len(kept), ended)
	}
	first.release()
	second.release()
	third := pass()
	if kept, _ := third.read(); string(kept) != answer {
		t.Errorf("%d bytes kept after a release", len(kept))
	}
	third.release()
	third.release()
	if !budget.Take(handling.MaxAnswer) || budget.Take(1) {
		t.Error("the budget is not as it was")
	}
}
