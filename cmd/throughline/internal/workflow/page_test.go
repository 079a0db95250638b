package workflow_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/peertest"
)

// writePage writes the page to disk and returns its file: URL.
func writePage(tb testing.TB, workflows ...*workflow.Workflow) string {
	tb.Helper()
	var page bytes.Buffer
	if err := workflow.WriteHTML(&page, workflows); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "page.html")
	if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
		tb.Fatal(err)
	}
	return "file://" + path
}

func twoThousand() *workflow.Workflow {
	spans, truth := workflowtest.Workflow(2000, time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC))
	return workflow.Build(spans, truth.CorrelationID)
}

const ready = "document.documentElement.dataset.ready"

// TestPageInABrowser opens the page of 2 000 events from disk and uses it as a
// person would.
func TestPageInABrowser(t *testing.T) {
	w := twoThousand()
	url := writePage(t, w)
	b := peertest.Chromium(t)
	b.View(1440, 1000, false)
	b.Open(url, ready)
	var page struct {
		Events, Rows, InDocument int
		Title, First             string
	}
	b.Eval(`({events: nodes.filter(n => n.kind === 'event').length, rows: visible.length, inDocument: document.querySelectorAll('#rows .row').length,
		title: document.title, first: document.querySelector('#rows .row').textContent})`, &page)
	if page.Events != 2000 || page.Rows != len(w.Nodes) || page.InDocument < 10 || page.InDocument > 100 || !strings.Contains(page.Title, w.CorrelationID) || !strings.Contains(page.First, "event-0000") {
		t.Errorf("the page holds %+v of %d nodes", page, len(w.Nodes))
	}
	// Each row says what the tree says, in its order: scrolled through to the end.
	var rows []string
	b.Eval(`(() => { const all = []; const tree = $('tree'); for (let y = 0; y < visible.length * ROW; y += 700) { tree.scrollTop = y; drawRowsNow();
		for (const r of document.querySelectorAll('#rows .row')) all[r.getAttribute('aria-rowindex') - 1] = r.getAttribute('aria-level') + ' ' + r.querySelector('.what, .fn').textContent; } return all; })()`, &rows)
	if len(rows) != len(w.Nodes) {
		t.Fatalf("%d rows were shown of %d nodes", len(rows), len(w.Nodes))
	}
	for i, n := range w.Nodes {
		want := n.Type
		switch {
		case n.Span == nil && n.Kind == workflow.KindHandling:
			want = "unknown function"
		case n.Kind == workflow.KindHandling:
			want = n.Span.Service
		case n.Kind == workflow.KindCall:
			want = n.Span.Name
		}
		if level, text, _ := strings.Cut(rows[i], " "); text != want || level != strconv.Itoa(n.Depth+1) {
			t.Fatalf("row %d is %q, want level %d and %q", i, rows[i], n.Depth+1, want)
		}
	}
	t.Run("Search", func(t *testing.T) { checkSearch(t, b, w) })
	t.Run("Keys", func(t *testing.T) { checkKeys(t, b) })
	t.Run("Drawings", func(t *testing.T) {
		var drawn struct{ Bars, Links, Lanes, Sizes, Durations int }
		b.Eval(`(() => { whole(); drawTimelineNow(); const d = (s) => [...document.querySelectorAll(s)].map(p => (p.getAttribute('d').match(/M/g) || []).length).reduce((a, b) => a + b, 0);
			return {bars: d('#timeline .p-handle') + d('#timeline .p-repeat') + d('#timeline .p-error') + d('#timeline .p-call') + d('#timeline .p-publish'),
			links: d('#timeline .p-link'), lanes: lanes.length, sizes: d('#sizes .dots'), durations: d('#durations .dots')}; })()`, &drawn)
		if drawn.Bars != w.Counts.Spans || drawn.Lanes != len(w.Functions) || drawn.Durations != w.Counts.Handlings || drawn.Sizes < 1900 || drawn.Links < 3000 {
			t.Errorf("drawn are %+v of %+v and %d functions", drawn, w.Counts, len(w.Functions))
		}
	})
	if asked := b.Asked(); len(asked) != 1 {
		t.Errorf("the page requested %v", asked)
	}
	if said := b.Said(); len(said) != 0 {
		t.Errorf("the console says %v", said)
	}
}

func checkSearch(t *testing.T, b *peertest.Browser, w *workflow.Workflow) {
	find := func(text string) (hits []int, says string) {
		var got struct {
			Hits []int
			Says string
		}
		b.Eval(`(() => { $('find').value = `+strconv.Quote(text)+`; $('find').dispatchEvent(new Event('input')); return {hits, says: $('found').textContent}; })()`, &got)
		return got.Hits, got.Says
	}
	repeats, gaps := 0, 0
	for _, n := range w.Nodes {
		if n.Gap != "" {
			gaps++
		}
		if n.Kind == workflow.KindHandling && n.Span != nil && n.Span.Text(lineage.AttrRepeatKind) != "" {
			repeats++
		}
	}
	if hits, _ := find("is:repeat"); len(hits) != repeats {
		t.Errorf("is:repeat finds %d of %d", len(hits), repeats)
	}
	if hits, _ := find("is:gap"); len(hits) != gaps {
		t.Errorf("is:gap finds %d of %d", len(hits), gaps)
	}
	at := slices.IndexFunc(w.Nodes, func(n workflow.Node) bool { return n.EventID == "event-1234" })
	if hits, says := find("is:event " + strings.ToUpper(w.Nodes[at].Span.ID.Span)); !slices.Equal(hits, []int{at}) || says != "1 match" {
		t.Errorf("event-1234 is found at %v, not at %d, and the page says %q", hits, at, says)
	}
	var shown bool
	b.Eval(`(() => { go(1); drawRowsNow(); const r = document.querySelector('#rows .row.on'); const box = $('tree').getBoundingClientRect(), at = r.getBoundingClientRect();
		return r.textContent.includes('event-1234') && at.top >= box.top && at.bottom <= box.bottom && $('detail').textContent.includes('event-1234'); })()`, &shown)
	if !shown {
		t.Error("the match is not scrolled to, selected and told about")
	}
	var only []int
	b.Eval(`(() => { $('only').checked = true; $('only').dispatchEvent(new Event('change')); const v = visible; $('only').checked = false; layout(); return v; })()`, &only)
	depth := -1
	for _, i := range only {
		if w.Nodes[i].Depth != depth+1 {
			t.Fatalf("only matches shows %v", only)
		}
		depth++
	}
	if hits, says := find("no such thing"); len(hits) != 0 || says != "0 matches" {
		t.Errorf("nothing is found at %v, and the page says %q", hits, says)
	}
	find("")
}

func checkKeys(t *testing.T, b *peertest.Browser) {
	at := func() (i int) {
		b.Eval("selected", &i)
		return i
	}
	b.Eval("select(0, true); $('tree').focus()", nil)
	b.Key("ArrowDown")
	b.Key("ArrowDown")
	if at() != 2 {
		t.Errorf("two keys down is node %d", at())
	}
	b.Key("Home")
	b.Key("ArrowLeft")
	var folded struct {
		Rows   int
		Active string
		Says   string
	}
	b.Eval(`(drawRowsNow(), {rows: visible.length, active: $('tree').getAttribute('aria-activedescendant'), says: $('n0').getAttribute('aria-expanded')})`, &folded)
	if folded.Rows > 2 || folded.Active != "n0" || folded.Says != "false" {
		t.Errorf("folded: %+v", folded)
	}
	b.Key("ArrowRight")
	b.Key("End")
	var last bool
	b.Eval("selected === nodes.length - 1", &last)
	if !last {
		t.Errorf("the end is node %d", at())
	}
	b.Key("/")
	var focus string
	b.Eval("document.activeElement.id", &focus)
	if focus != "find" {
		t.Errorf("/ goes to %q", focus)
	}
	b.Eval("$('timeline').focus()", nil)
	b.Key("+")
	var narrower bool
	b.Eval("view[1] - view[0] < doc.duration_ms * 0.7", &narrower)
	if !narrower {
		t.Error("+ does not zoom the timeline")
	}
}

// TestPageRunsNothingOfASpan gives every string of a span to the page as markup.
func TestPageRunsNothingOfASpan(t *testing.T) {
	const evil = `</script><img src=x onerror="window.hurt=1"><script>window.hurt=1</script><svg onload=window.hurt=1>{{.}}` + "\u2028'\"`${window.hurt=1}"
	at := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	p := workflow.Span{
		ID: workflow.ID{Trace: evil, Span: "p"}, Kind: "PRODUCER", Name: evil, Service: evil, Start: at, End: at.Add(time.Second), Error: true, Message: evil,
		Attributes: map[string]any{lineage.AttrCorrelationID: evil, lineage.AttrEventID: evil, lineage.AttrEventType: evil, lineage.AttrCausationID: evil},
	}
	h := workflow.Span{
		ID: workflow.ID{Trace: evil, Span: "h"}, Kind: "CONSUMER", Name: evil, Service: evil, Start: at, End: at.Add(time.Second), Error: true, Message: evil,
		Attributes: map[string]any{lineage.AttrCorrelationID: evil, lineage.AttrEventID: evil, lineage.AttrEventType: evil, lineage.AttrRepeatKind: evil, lineage.AttrRepeatFirstRequest: evil, lineage.AttrRepeatFirstTime: evil},
		Links:      []workflow.Link{{To: p.ID, Why: "causation"}, {To: workflow.ID{Trace: evil, Span: evil}, Why: evil}},
	}
	c := workflow.Span{
		ID: workflow.ID{Trace: evil, Span: "c"}, Parent: "h", Kind: "CLIENT", Name: evil, Service: evil, Start: at, End: at.Add(time.Second),
		Attributes: map[string]any{"http.request.method": evil, "http.response.header.x-request-id": evil, "http.response.status_code": int64(500)},
	}
	w := workflow.Build([]workflow.Span{p, h, c}, evil)
	b := peertest.Chromium(t)
	b.View(1200, 900, false)
	b.Open(writePage(t, w, w), ready)
	b.Eval(`(async () => { for (let i = 0; i < nodes.length; i++) { select(i, true); drawRowsNow(); drawTimelineNow(); tip({clientX: 1, clientY: 1}, tell(nodes[i])); }
		$('find').value = nodes[0].event_id.slice(0, 20); search(true); await new Promise(r => setTimeout(r, 100)); })()`, nil)
	var got struct {
		Nodes, Made int
		Hurt        bool
	}
	b.Eval(`({nodes: nodes.length, hurt: 'hurt' in window, made: document.querySelectorAll('img, script:not(#data), [onerror], [onload]').length})`, &got)
	if got.Nodes != 3 || got.Hurt || got.Made != 1 {
		t.Errorf("%+v: what a span says was run or became markup", got)
	}
	if said := b.Said(); len(said) != 0 {
		t.Errorf("the console says %v", said)
	}
}

// TestPageOfADeepTree opens a chain that would overflow whoever recursed.
func TestPageOfADeepTree(t *testing.T) {
	const deep = 5000
	at := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	var spans []workflow.Span
	for i := range deep {
		attrs := map[string]any{lineage.AttrCorrelationID: "deep", lineage.AttrEventID: "e" + strconv.Itoa(i), lineage.AttrEventType: "A"}
		p := workflow.Span{ID: workflow.ID{Trace: "t" + strconv.Itoa(i), Span: "p"}, Parent: "h", Kind: "PRODUCER", Service: "f", Start: at, End: at.Add(time.Millisecond), Attributes: attrs}
		spans = append(spans, p, workflow.Span{
			ID: workflow.ID{Trace: "t" + strconv.Itoa(i+1), Span: "h"}, Kind: "CONSUMER", Service: "f", Start: at, End: at.Add(time.Millisecond), Attributes: attrs,
			Links: []workflow.Link{{To: p.ID, Why: "causation", Sampled: true}},
		})
		at = at.Add(10 * time.Millisecond)
	}
	b := peertest.Chromium(t)
	b.View(1200, 900, false)
	b.Open(writePage(t, workflow.Build(spans, "deep")), ready)
	var left int
	b.Eval(`(() => { select(nodes.length - 1, true); drawRowsNow(); return Math.round(document.querySelector('.row.on .fn').getBoundingClientRect().left); })()`, &left)
	if left <= 0 || left > 700 {
		t.Errorf("the deepest row begins at %d pixels", left)
	}
}

// BenchmarkPageInABrowser is how long a browser takes from being told of the
// page of 2 000 events until it is drawn, beside the same for an empty page.
func BenchmarkPageInABrowser(b *testing.B) {
	browser := peertest.Chromium(b)
	browser.View(1440, 1000, false)
	for _, page := range []struct {
		name string
		url  string
	}{{"None", writePage(b)}, {"Events2000", writePage(b, twoThousand())}} {
		b.Run(page.name, func(b *testing.B) {
			var scripted float64
			for b.Loop() {
				browser.Open("about:blank", "location.href === 'about:blank'")
				browser.Open(page.url, ready)
				var ms float64
				browser.Eval("Number("+ready+")", &ms)
				scripted += ms
			}
			b.ReportMetric(scripted/float64(b.N), "script-ms/op")
		})
	}
}
