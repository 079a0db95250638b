package workflow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/peertest"
)

// long is a workflow whose names are long and whose handlings have every mark there is.
func long() *workflow.Workflow {
	at := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	name := func(begin string, n int) string { return begin + strings.Repeat("VeryLong", 7) + fmt.Sprint("End", n) }
	var spans []workflow.Span
	parent := ""
	for n := range 12 {
		id := fmt.Sprintf("event-%d-%s", n, strings.Repeat("0123456789", 4))
		attributes := map[string]any{lineage.AttrCorrelationID: name("workflow", 0), lineage.AttrEventID: id, lineage.AttrEventType: name("Order", n), lineage.AttrHops: int64(17), lineage.AttrEntrySize: int64(123456)}
		p := workflow.Span{ID: workflow.ID{Trace: fmt.Sprint("t", n), Span: "p"}, Parent: parent, Kind: "PRODUCER", Name: "send", Service: name("service", n), Start: at, End: at.Add(time.Millisecond), Attributes: attributes, Error: true, Message: strings.Repeat("it broke ", 20)}
		handled := map[string]any{lineage.AttrRepeatKind: "redelivery", lineage.AttrRepeatCount: int64(3), lineage.AttrOrderEarly: 12.0, "faas.coldstart": true, "messaging.batch.message_count": int64(10)}
		for key, value := range attributes {
			handled[key] = value
		}
		h := workflow.Span{
			ID: workflow.ID{Trace: fmt.Sprint("t", n+1), Span: "h"}, Kind: "CONSUMER", Name: "process", Service: name("service", n+1), Start: at.Add(20 * time.Millisecond), End: at.Add(90 * time.Millisecond), Attributes: handled,
			Error: true, Message: strings.Repeat("no stock ", 20), Links: []workflow.Link{{To: p.ID, Why: "causation", Sampled: true}},
		}
		spans = append(spans, p, h)
		parent, at = "h", at.Add(50*time.Millisecond)
	}
	return workflow.Build(spans, name("workflow", 0))
}

// TestLongNamesHideNothing on a phone and on a desk: each mark of a row is in sight, a
// name shows its end, a lane its name, and no page scrolls to the side.
func TestLongNamesHideNothing(t *testing.T) {
	b := peertest.Chromium(t)
	url := writePage(t, long())
	for _, view := range []struct {
		width int
		dark  bool
	}{{390, false}, {820, false}, {1200, true}, {1600, false}} {
		b.View(view.width, 900, view.dark)
		b.Open(url, ready)
		var page struct {
			Rows, Chips, Wide int
			Hidden            []string
		}
		b.Eval(`(async () => {
			const hidden = [], inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
			let rows = 0, marks = 0;
			const count = (n) => chips(n).length;
			for (let y = 0; y < visible.length * ROW; y += 400) {
				$('tree').scrollTop = y;
				drawRowsNow();
				for (const r of document.querySelectorAll('#rows .row')) {
					rows++;
					const cell = r.querySelector('.name').getBoundingClientRect();
					if (!inside(cell, r.getBoundingClientRect())) hidden.push('the cell of ' + r.id);
					for (const c of r.querySelectorAll('.chip')) { marks++; const box = c.getBoundingClientRect(); if (!inside(box, cell) || box.width < (c.classList.contains('more') ? 20 : 30)) hidden.push(r.id + ' ' + c.textContent.slice(0, 12) + ' ' + Math.round(box.width)); }
					const shown = [...r.querySelectorAll('.chip')], more = r.querySelector('.chip.more'), all = count(nodes[+r.id.slice(1)]);
					if (shown.length - (more ? 1 : 0) + (more ? Number(more.textContent.slice(1)) : 0) !== all || !shown[0].classList.contains('error')) hidden.push('marks of ' + r.id);
					const end = r.querySelector('.what .end, .fn .end'), label = r.querySelector('.label').getBoundingClientRect();
					if (end && nodes[+r.id.slice(1)].depth < 6 && !inside(end.getBoundingClientRect(), label)) hidden.push('the end of the name of ' + r.id);
				}
			}
			const box = $('lanes').getBoundingClientRect();
			for (const name of document.querySelectorAll('#lanes text.lane')) { const at = name.getBoundingClientRect(); if (at.left < box.left || at.right > box.right || !/End\d+$/.test(name.firstChild.textContent)) hidden.push('the lane ' + name.firstChild.textContent); }
			return { rows, chips: marks, wide: document.documentElement.scrollWidth - innerWidth, hidden };
		})()`, &page)
		if page.Rows < 24 || page.Chips < 60 || page.Wide > 0 || len(page.Hidden) > 0 {
			t.Errorf("at %d: %+v", view.width, page)
		}
		for _, wrong := range b.Axe("../../../..") {
			t.Errorf("at %d: %s", view.width, wrong)
		}
	}
}
