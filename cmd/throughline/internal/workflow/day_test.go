package workflow_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/peertest"
)

func day() ([]workflow.Span, *workflow.Workflow) {
	spans, id := workflowtest.Day(time.Date(2026, 11, 23, 20, 30, 0, 0, time.UTC))
	return spans, workflow.Build(spans, id)
}

// A day of 131 invocations is two trees and seven alone, and every hop has its edge.
func TestADayIsTwoTrees(t *testing.T) {
	spans, w := day()
	count := map[string]int{}
	for _, c := range workflow.Causes(spans) {
		count[string(c.Via)+" "+string(c.How)]++
	}
	if got := fmt.Sprint(count); got != "map[bus linked:67 lambda joined:16 scheduler inferred:1 sqs joined:38]" {
		t.Errorf("%s", got)
	}
	var sizes []int
	for _, tree := range workflow.Trees(spans) {
		sizes = append(sizes, len(tree))
	}
	if fmt.Sprint(sizes) != "[122 2 1 1 1 1 1 1 1]" {
		t.Errorf("trees of %v", sizes)
	}
	waited := 0
	for i := range w.Nodes {
		waited += len(w.Nodes[i].Waited)
	}
	if w.Counts.Handlings != 122 || w.Counts.Hops != 55 || w.Counts.Gaps != 0 || waited != 38-13 {
		var out strings.Builder
		_ = workflow.WriteText(&out, w)
		t.Errorf("%+v, %d waited for:\n%s", w.Counts, waited, out.String())
	}
}

// The page shows the day: the workers that run at once side by side, each hop as a line
// of its kind. THROUGHLINE_SCREENSHOTS names a folder for pictures of it.
func TestPageOfADay(t *testing.T) {
	_, w := day()
	url := writePage(t, w)
	b := peertest.Chromium(t)
	for _, view := range []struct {
		name          string
		width, height int
		dark          bool
	}{{"light", 1440, 1400, false}, {"dark", 1440, 1400, true}, {"phone", 390, 844, false}} {
		b.View(view.width, view.height, view.dark)
		b.Open(url, ready)
		var drawn struct {
			Joined, Inferred, Linked, Hops, Covered, Wide, Chips int
		}
		b.Eval(`(() => { drawTimelineNow(); const d = (s) => [...document.querySelectorAll(s)].map(p => (p.getAttribute('d').match(/M/g) || []).length).reduce((a, b) => a + b, 0);
			const workers = bars.filter((b) => nodes[b.i].kind === 'handling' && nodes[b.i].span.function === 'strategy-worker');
			let covered = 0;
			for (const a of workers) for (const b of workers) if (a !== b && a.row === b.row && a.from < b.to && b.from < a.to) covered++;
			return {joined: d('#timeline .p-joined'), inferred: d('#timeline .p-inferred'), linked: d('#timeline .p-link'), hops: d('#timeline .p-hop'), covered,
			wide: document.documentElement.scrollWidth - innerWidth, chips: [...document.querySelectorAll('.chip.hop')].length}; })()`, &drawn)
		if drawn.Joined != 54 || drawn.Inferred != 1 || drawn.Linked < 66 || drawn.Hops != 55 || drawn.Covered != 0 || drawn.Wide > 0 || drawn.Chips == 0 {
			t.Errorf("%s: drawn are %+v", view.name, drawn)
		}
		var hits map[string]int
		b.Eval(`(() => { const n = {}; for (const w of ['hop', 'joined', 'inferred', 'waiting', 'broken']) { $('find').value = 'is:' + w; search(); n[w] = hits.length; } $('find').value = ''; search(); return n; })()`, &hits)
		if got, _ := json.Marshal(hits); string(got) != `{"broken":0,"hop":55,"inferred":1,"joined":54,"waiting":12}` {
			t.Errorf("%s: found are %s", view.name, got)
		}
		if dir := os.Getenv("THROUGHLINE_SCREENSHOTS"); dir != "" {
			b.Eval("select(20, true)", nil)
			if err := os.WriteFile(dir+"/"+view.name+".png", b.Screenshot(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if said := b.Said(); len(said) != 0 {
		t.Errorf("the console says %v", said)
	}
}
