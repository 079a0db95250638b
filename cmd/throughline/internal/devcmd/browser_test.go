package devcmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// TestThePageFollows in a browser: workflows appear without a reload, the chosen one is
// shown, and shown anew where it changes; a narrow window scrolls to no side.
func TestThePageFollows(t *testing.T) {
	b := peertest.Chromium(t)
	s, _ := begin(t, "--dir", t.TempDir())
	b.View(1200, 800, false)
	b.Open(s.Page+"/", "document.getElementById('state')")
	names := "[...document.querySelectorAll('#list b')].map((n) => n.textContent).join(' ')"
	post(t, s, request("workflow-1", 1))
	until(t, b, names+" === 'workflow-1'")
	post(t, s, request("<img src=x onerror=alert(1)>-a-very-long-correlation-ID-of-one-word-that-no-list-has-the-width-for-7777777777777777777777777777", 2))
	until(t, b, "document.querySelectorAll('#list a').length === 2 && !document.querySelector('#list img')")
	b.Eval("[...document.querySelectorAll('#list a')].find((n) => n.textContent.startsWith('workflow-1')).click()", nil)
	tree := inFrame("summary")
	until(t, b, tree+".includes('1event')")
	post(t, s, request("workflow-1", 3))
	until(t, b, tree+".includes('2events')")
	b.Eval("document.getElementById('find').value = 'WORKFLOW-1'; document.getElementById('find').dispatchEvent(new Event('input'))", nil)
	until(t, b, names+" === 'workflow-1'")
	var marks string
	if b.Eval("[...document.querySelectorAll('#list .chip')].map((n) => n.textContent).join(' ')", &marks); marks != "" {
		t.Errorf("marks %q on a workflow without errors", marks)
	}
	post(t, s, strings.Replace(request("workflow-1", 4), `"attributes":[{"key":"throughline.c`, `"status":{"code":2},"attributes":[{"key":"throughline.repeat.kind","value":{"stringValue":"retry"}},{"key":"throughline.event.type","value":{"stringValue":"OrderPlaced"}},{"key":"throughline.c`, 1))
	until(t, b, "[...document.querySelectorAll('#list .chip')].map((n) => n.textContent).join(' ') === '1 error 1 repeat'")
	b.Eval("document.getElementById('map').click()", nil)
	inside := "((document.getElementById('tree').contentDocument || {}).body || {textContent: ''})"
	until(t, b, inside+".textContent.includes('No function handles OrderPlaced')")
	for _, view := range []struct {
		width int
		dark  bool
	}{{390, false}, {1200, true}} {
		b.View(view.width, 800, view.dark)
		var wide bool
		if b.Eval("document.documentElement.scrollWidth > innerWidth", &wide); wide {
			t.Errorf("at %d it scrolls to the side", view.width)
		}
		for _, wrong := range b.Axe("../../../..") {
			t.Errorf("at %d: %s", view.width, wrong)
		}
	}
	if said := b.Said(); len(said) > 0 {
		t.Errorf("it said %v", said)
	}
	if asked := b.Asked(); slices.ContainsFunc(asked, func(url string) bool { return !strings.HasPrefix(url, s.Page) && url != "data:," }) {
		t.Errorf("it asked for %v", asked)
	}
}

// TestBackToTheList: the tab of workflows opens the newest again, a search without a result
// says so, and how to send spans is told only where there are none.
func TestBackToTheList(t *testing.T) {
	b := peertest.Chromium(t)
	s, _ := begin(t, "--dir", t.TempDir())
	post(t, s, request("workflow-1", 1))
	b.View(1200, 800, false)
	b.Open(s.Page+"/", "document.querySelector('#list a')")
	title, empty := "document.getElementById('title').textContent", "document.getElementById('empty')"
	until(t, b, title+" === 'workflow-1'")
	b.Eval("document.getElementById('map').click()", nil)
	until(t, b, title+" === 'Map of the system'")
	b.Eval("document.getElementById('all').click()", nil)
	until(t, b, title+" === 'workflow-1' && "+empty+".hidden")
	b.Eval("location.hash = '#find=nothing-has-this'", nil)
	until(t, b, "document.getElementById('state').textContent.startsWith('No workflow has this') && document.querySelectorAll('#list a').length === 0 && "+empty+".hidden")
	b.Eval("document.getElementById('clear').click(); document.querySelector('#sure button[value=yes]').click()", nil)
	until(t, b, "document.getElementById('state').textContent === 'Waiting for spans…' && !"+empty+".hidden && "+empty+".checkVisibility()")
}

// TestPagesAreAccessible holds each page, light and dark, wide and on a phone, to WCAG.
func TestPagesAreAccessible(t *testing.T) {
	b := peertest.Chromium(t)
	s, _ := begin(t, "--dir", t.TempDir())
	long := "workflow-" + strings.Repeat("0123456789", 12)
	post(t, s, strings.Replace(request(long, 1), `"attributes":[{"key":"throughline.c`, `"status":{"code":2},"attributes":[{"key":"throughline.event.type","value":{"stringValue":"`+strings.Repeat("Order", 30)+`"}},{"key":"throughline.c`, 1))
	for _, page := range []struct{ path, ready string }{
		{"/", "document.querySelector('#list a')"}, {"/map", "document.querySelector('section')"}, {"/workflow?id=" + long, "document.getElementById('summary').textContent"},
	} {
		for _, view := range []struct {
			width int
			dark  bool
		}{{390, false}, {1200, false}, {390, true}, {1200, true}} {
			b.View(view.width, 800, view.dark)
			b.Open(s.Page+page.path, page.ready)
			var wide bool
			if b.Eval("document.documentElement.scrollWidth > innerWidth", &wide); wide {
				t.Errorf("%.20s at %d scrolls to the side", page.path, view.width)
			}
			for _, wrong := range b.Axe("../../../..") {
				t.Errorf("%.20s at %d, dark %t: %s", page.path, view.width, view.dark, wrong)
			}
		}
	}
}

// TestTheMapIsDrawn: boxes link to workflows, and the drawing shows what failed; on a phone
// the list alone tells it.
func TestTheMapIsDrawn(t *testing.T) {
	b := peertest.Chromium(t)
	s, _ := begin(t, "--dir", t.TempDir())
	typed := `"attributes":[{"key":"throughline.event.type","value":{"stringValue":"OrderPlaced"}},{"key":"throughline.c`
	post(t, s, strings.Replace(request("w", 1), `"attributes":[{"key":"throughline.c`, typed, 1))
	post(t, s, strings.Replace(strings.Replace(strings.ReplaceAll(request("w", 2), "strategy", "fulfil"), `"kind":4`, `"kind":5`, 1), `"attributes":[{"key":"throughline.c`, `"status":{"code":2},`+typed, 1))
	b.View(1200, 800, false)
	b.Open(s.Page+"/map", "document.querySelector('svg')")
	var drawn struct {
		Boxes  []string
		Edges  []string
		Links  []string
		Within bool
	}
	b.Eval(`({ boxes: [...document.querySelectorAll('.box text')].map((n) => n.textContent), edges: [...document.querySelectorAll('path.edge')].map((n) => n.getAttribute('class') + ' ' + n.textContent + ' ' + getComputedStyle(n).stroke),
		links: [...document.querySelectorAll('.box')].map((n) => n.getAttribute('href')),
		within: [...document.querySelectorAll('.box')].every((n) => { const at = n.querySelector('text').getBoundingClientRect(), box = n.querySelector('rect').getBoundingClientRect(); return at.left > box.left && at.right < box.right && at.top > box.top && at.bottom < box.bottom; }) })`, &drawn)
	if !slices.Equal(drawn.Boxes, []string{"strategy", "OrderPlaced", "fulfil"}) || !slices.Equal(drawn.Links, []string{"/#find=strategy", "/#find=OrderPlaced", "/#find=fulfil"}) || !drawn.Within ||
		len(drawn.Edges) != 2 || !strings.HasPrefix(drawn.Edges[1], "edge error fulfil receives OrderPlaced: 1, 1 failed rgb(") || drawn.Edges[0][len(drawn.Edges[0])-12:] == drawn.Edges[1][len(drawn.Edges[1])-12:] {
		t.Errorf("%+v", drawn)
	}
	b.View(390, 800, false)
	var hidden bool
	if b.Eval("!document.querySelector('svg').checkVisibility() && document.querySelector('.channels').checkVisibility()", &hidden); !hidden {
		t.Error("a phone shows the drawing")
	}
}

// TestLongNamesHideNoMark on a phone: what is wrong with a handling is seen.
func TestLongNamesHideNoMark(t *testing.T) {
	b := peertest.Chromium(t)
	s, _ := begin(t, "--dir", t.TempDir())
	post(t, s, strings.Replace(request("w", 1), `"attributes":[{"key":"throughline.c`, `"status":{"code":2},"attributes":[{"key":"throughline.event.type","value":{"stringValue":"`+strings.Repeat("Order", 30)+`"}},{"key":"throughline.c`, 1))
	b.View(390, 800, false)
	b.Open(s.Page+"/workflow?id=w", "document.querySelector('#rows .chip.error')")
	var seen bool
	if b.Eval(`(() => { const chip = document.querySelector('#rows .chip.error').getBoundingClientRect(), name = document.querySelector('#rows .name').getBoundingClientRect();
	return chip.width > 0 && chip.right <= name.right })()`, &seen); !seen {
		t.Error("the mark of the error is out of sight")
	}
}
