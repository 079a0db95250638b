package workflow

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Spans that no system makes, with IDs that meet by chance, in circles too, make a tree
// all the same: each handling that belongs to it stands in it, and no node twice.
func TestTreesOfNonsense(t *testing.T) {
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 1))
		id := func(kind string) string { return fmt.Sprintf("%s-%d", kind, random.IntN(4)) }
		spans := make([]Span, 30)
		for i := range spans {
			s := Span{
				ID: ID{fmt.Sprint("t", random.IntN(8)), fmt.Sprint("s", i)}, Kind: []string{"CONSUMER", "SERVER", "PRODUCER", "CLIENT"}[random.IntN(4)], Service: id("f"),
				Start: t0.Add(time.Duration(random.IntN(5)) * time.Second), Attributes: map[string]any{},
			}
			s.End = s.Start.Add(time.Duration(random.IntN(2000)-500) * time.Millisecond)
			if random.IntN(2) == 0 {
				s.Parent = fmt.Sprint("s", random.IntN(len(spans)))
			}
			for key, value := range map[string]any{
				"throughline.correlation.id": id("workflow"), "throughline.event.id": id("e"), "throughline.event.type": id("T"), "throughline.hop": []string{"sqs", "sns", "lambda", "states", "scheduler", "x"}[random.IntN(6)],
				"throughline.message.ids": []any{id("m"), id("m"), int64(3)}, "throughline.notification.ids": id("m"), "faas.invocation_id": id("r"), "throughline.callee.request_id": id("r"),
				"throughline.origin.request_id": id("r"), "throughline.execution.arn": id("x"), "throughline.task.token_hash": id("k"), "throughline.schedule.arn": id("y"), "throughline.run.id": id("run"),
				"throughline.schedule.target": id("f"), "throughline.schedule.at": t0.Format(time.RFC3339), "messaging.batch.message_count": int64(random.IntN(4) - 1), "faas.trigger": "other",
			} {
				if random.IntN(3) == 0 {
					s.Attributes[key] = value
				}
			}
			for range random.IntN(3) {
				s.Links = append(s.Links, toSpan([]string{"causation", "correlation", "trace", ""}[random.IntN(4)], fmt.Sprint("t", random.IntN(8)), fmt.Sprint("s", random.IntN(len(spans))), id("m")))
			}
			spans[i] = s
		}
		members := newJoiner(spans).members("workflow-1")
		w := Build(spans, "workflow-1")
		first, stands := map[*Span]int{}, map[ID]bool{}
		for i := range w.Nodes {
			n := &w.Nodes[i]
			if n.Parent >= i || n.Parent >= 0 && w.Nodes[n.Parent].Depth+1 != n.Depth {
				t.Fatalf("seed %d: node %d stands below %d", seed, i, n.Parent)
			}
			if n.Span == nil {
				continue
			}
			stands[n.Span.ID] = true
			if n.Kind == KindHandling && n.Again == 0 || n.Kind == KindHop {
				if first[n.Span]++; first[n.Span] > 1 {
					t.Fatalf("seed %d: %v stands twice", seed, n.Span.ID)
				}
			}
		}
		for i := range spans {
			if s := &spans[i]; isHandling(s) && s.hop() == "" && members.whole[s.ID] && !stands[s.ID] {
				t.Fatalf("seed %d: %v is missing", seed, s.ID)
			}
		}
		Causes(spans)
		n := 0
		for _, tree := range Trees(spans) {
			n += len(tree)
		}
		if handlings := len(newJoiner(spans).handlings); n != handlings {
			t.Fatalf("seed %d: %d handlings in trees, are %d", seed, n, handlings)
		}
		OpenEnds(spans, "workflow-1")
	}
}
