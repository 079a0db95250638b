package workflow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/internal/lineage"
)

// Every edge of what really happened is told, with what carried it and how it is
// known, and no other.
func TestCausesAgainstALedger(t *testing.T) {
	seeds := 20
	if testing.Short() {
		seeds = 4
	}
	for seed := range uint64(seeds) {
		spans, ledger := workflowtest.Hops(400, seed, time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC))
		if wrong := ledger.Check(spans); len(wrong) > 0 {
			t.Errorf("seed %d: %d of %d edges:\n%s", seed, len(wrong), len(ledger.Edges), strings.Join(wrong[:min(20, len(wrong))], "\n"))
		}
		if seed > 0 {
			continue
		}
		count := map[string]int{}
		for edge := range ledger.Edges {
			fields := strings.Fields(edge)
			count[fields[3]+" "+fields[4]]++
		}
		t.Logf("%d spans, %d trees, %d unknown, %v", len(spans), len(ledger.Trees), ledger.Unknown, count)
		for _, want := range []string{"bus linked", "sqs linked", "sqs joined", "sns linked", "sns joined", "lambda joined", "destination joined", "states joined", "scheduler joined", "scheduler inferred", "kinesis joined"} {
			if count[want] == 0 {
				t.Errorf("no edge is %s", want)
			}
		}
	}
}

// The tree of a workflow has the edges that the ledger has of its invocations, each
// handling once but for batches, and no edge of another.
func TestTreesAgainstALedger(t *testing.T) {
	for seed := range uint64(5) {
		spans, ledger := workflowtest.Hops(300, seed, time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC))
		for _, id := range ledger.Roots {
			w := workflow.Build(spans, id)
			root, edges := "", map[string]bool{}
			for i := range w.Nodes {
				n := &w.Nodes[i]
				if n.Kind != workflow.KindHandling || n.Span == nil {
					continue
				}
				if root == "" {
					root = n.Span.Text(lineage.AttrInvocationID)
				}
				above := ""
				for p := n.Parent; p >= 0; p = w.Nodes[p].Parent {
					if w.Nodes[p].Kind == workflow.KindHandling {
						above = w.Nodes[p].Span.Text(lineage.AttrInvocationID)
						break
					}
				}
				if n.Edge.How == "" || above == "" {
					continue
				}
				edge := fmt.Sprintf("%s → %s %s %s", above, n.Span.Text(lineage.AttrInvocationID), n.Edge.Via, n.Edge.How)
				if edges[edge] = true; ledger.Edges[edge] == 0 {
					t.Errorf("seed %d, %s: %s is drawn and was not", seed, id, edge)
				}
			}
			// Whatever descends from the root over edges that are told must be there.
			reached := map[string]bool{root: true}
			for grown := true; grown; {
				grown = false
				for edge := range ledger.Edges {
					fields := strings.Fields(edge)
					if reached[fields[0]] && !reached[fields[2]] {
						reached[fields[2]], grown = true, true
					}
				}
			}
			missing := 0
			for edge := range ledger.Edges {
				if reached[strings.Fields(edge)[0]] && !edges[edge] {
					missing++
					if missing < 4 {
						t.Errorf("seed %d, %s: %s is not drawn", seed, id, edge)
					}
				}
			}
		}
	}
}
