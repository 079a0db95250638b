package devcmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// focused names what has the focus, in the frame too, and tells whether one sees it.
const focused = `(() => { let a = document.activeElement, where = '';
	while (a && a.tagName === 'IFRAME') { where = 'frame '; a = a.contentDocument.activeElement; }
	const style = a.ownerDocument.defaultView.getComputedStyle(a), name = a.id || a.getAttribute('aria-label') || a.textContent.trim().slice(0, 30);
	return { name: where + name, seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || a === a.ownerDocument.body, body: a === document.body }; })()`

// reachable are the names of all that one can use and that no other key leads to.
const reachable = `(() => { const found = (root, where) => [...root.querySelectorAll('a[href], button, input, select, [tabindex="0"]')].filter((a) => a.tabIndex >= 0 && !a.disabled && a.checkVisibility({ visibilityProperty: true }) && !a.closest('dialog'))
	.map((a) => where + (a.id || a.getAttribute('aria-label') || a.textContent.trim().slice(0, 30)));
	const frame = document.getElementById('tree'); return [...found(document, ''), ...(frame.hidden ? [] : found(frame.contentDocument, 'frame '))]; })()`

type focus struct {
	Name       string
	Seen, Body bool
}

// tabThrough presses the Tab key until the focus is where it was, and returns its ways.
func tabThrough(t *testing.T, b *peertest.Browser) (names []string) {
	t.Helper()
	b.Eval("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); document.activeElement.blur()", nil)
	for range 200 {
		b.Key("Tab")
		var f focus
		b.Eval(focused, &f)
		if f.Body || len(names) > 0 && f.Name == names[0] {
			return names
		}
		if !f.Seen {
			t.Errorf("%s has the focus and does not show it", f.Name)
		}
		names = append(names, f.Name)
	}
	t.Fatalf("the Tab key comes to no end: %q", names)
	return nil
}

// TestKeyboard reaches and uses all of the page with the keyboard alone.
func TestKeyboard(t *testing.T) {
	b := peertest.Chromium(t)
	s, _ := begin(t, "--dir", t.TempDir())
	for n := range 3 {
		post(t, s, strings.Replace(request("workflow-"+string(rune('a'+n)), n), `"attributes":[{"key":"throughline.c`, `"attributes":[{"key":"throughline.event.type","value":{"stringValue":"OrderPlaced"}},{"key":"throughline.c`, 1))
	}
	b.View(1400, 900, false)
	b.Open(s.Page+"/", "document.querySelectorAll('#list a').length === 3 && document.getElementById('tree').contentDocument.documentElement.dataset.ready")
	check := func(view string) {
		t.Helper()
		var want []string
		b.Eval(reachable, &want)
		got := tabThrough(t, b)
		for _, name := range want {
			if !slices.Contains(got, name) {
				t.Errorf("%s: the Tab key does not reach %q; it reaches %q", view, name, got)
			}
		}
		if len(want) < 6 {
			t.Errorf("%s: only %q can be used", view, want)
		}
	}
	check("a workflow")
	press := func(keys ...string) {
		for _, key := range keys {
			b.Key(key)
		}
	}
	at := func(name string) string { return "document.activeElement.textContent.includes('" + name + "')" }
	press("/")
	until(t, b, "document.activeElement.id === 'find'")
	press("ArrowDown")
	until(t, b, at("workflow-c"))
	press("End")
	until(t, b, at("workflow-a"))
	press("ArrowUp", "Enter")
	until(t, b, "location.hash === '#w=workflow-b' && "+inFrame("summary")+".includes('workflow-b')")
	until(t, b, "document.querySelector('#list a[aria-current]').textContent.includes('workflow-b')")
	b.Eval("document.getElementById('map-of').focus()", nil)
	press("Enter")
	mapSays := "((document.getElementById('tree').contentDocument || {}).body || {textContent: ''}).textContent.includes('Map of workflow-b')"
	until(t, b, mapSays)
	check("the map of a workflow")
	b.Eval("document.getElementById('tree').contentDocument.querySelector('h2 a').focus()", nil)
	press("Enter")
	until(t, b, "document.getElementById('find').value === 'OrderPlaced' && document.querySelectorAll('#list a').length === 3")
	b.Eval("document.getElementById('clear').focus()", nil)
	press("Enter")
	until(t, b, "document.getElementById('sure').open")
	press("Escape")
	until(t, b, "!document.getElementById('sure').open && document.querySelectorAll('#list a').length === 3")
	b.Eval("document.getElementById('clear').focus()", nil)
	press("Enter")
	until(t, b, "document.getElementById('sure').open")
	press("Tab", "Enter")
	until(t, b, "document.getElementById('state').textContent === 'Waiting for spans…' && document.querySelectorAll('#list a').length === 0")
	check("nothing yet")
	if said := b.Said(); len(said) > 0 {
		t.Errorf("it said %v", said)
	}
}

// TestTheReaderStaysWhereHeIs while a workflow grows: what is selected, folded, zoomed,
// scrolled and focused remains.
func TestTheReaderStaysWhereHeIs(t *testing.T) {
	b := peertest.Chromium(t)
	s, _ := begin(t, "--dir", t.TempDir())
	for n := range 80 {
		post(t, s, request("workflow-1", n))
	}
	b.View(1400, 900, false)
	b.Open(s.Page+"/workflow?id=workflow-1", "document.documentElement.dataset.ready")
	b.Eval("select(visible[40], true), fold(0, true), zoom(0.3, middle()), $('tree').scrollTop = 500, $('tree').focus()", nil)
	const where = "JSON.stringify([nodes[selected].event_id, [...folded].length, view.map(Math.round), $('tree').scrollTop, document.activeElement.id, nodes.length])"
	var before, after string
	b.Eval(where, &before)
	post(t, s, request("workflow-1", 39)) // again, as exporters do
	post(t, s, request("workflow-1", 100))
	_, documents := get(t, s.Page+"/api/workflow?id=workflow-1")
	b.Eval("replaceDocuments("+documents+")", nil)
	b.Eval(where, &after)
	if want := strings.Replace(before, ",80]", ",81]", 1); after != want || want == before {
		t.Errorf("he was at %s and is at %s", before, after)
	}
}
