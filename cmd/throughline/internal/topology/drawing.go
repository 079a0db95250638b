package topology

import (
	"cmp"
	"fmt"
	"strings"
)

// Drawing is the graph as boxes and arrows, from top to bottom, in pixels.
type Drawing struct {
	Width, Height int
	Boxes         []Box
	Arrows        []Arrow
}

// Box is a function or a channel. Kind is "function" or that of the channel. Text is the
// name, shortened to fit. An invoked function is also a channel, of the kind "invoked".
type Box struct {
	X, Y, Width, Height int
	Kind, Name, Text    string
}

// Arrow leads from a function to a channel, or from a channel to a function. Path is an
// SVG path. Tone is "error" or "repeat" if there were any. Says describes it in words.
type Arrow struct{ Path, Tone, Says string }

// The sizes of a drawing.
const (
	boxWidth   = 176
	boxHeight  = 28
	bendWidth  = 14
	gap        = 16 // between boxes
	layerGap   = 40
	margin     = 8
	textLength = 24 // characters
)

// MaxBoxes is the maximum number of boxes in a drawing: a larger one would not be
// readable.
const MaxBoxes = 120

// Draw lays the graph out. ok is false if it has more than [MaxBoxes].
func (d Document) Draw() (drawing Drawing, ok bool) {
	known := map[[2]string]int{}
	at := func(kind, name string) int {
		key := [2]string{kind, name}
		n, is := known[key]
		if !is {
			n = len(known)
			known[key] = n
			drawing.Boxes = append(drawing.Boxes, Box{Kind: kind, Name: name, Text: middle(name), Width: boxWidth, Height: boxHeight})
		}
		return n
	}
	var edges [][2]int
	add := func(from, to int, tone, says string) {
		edges = append(edges, [2]int{from, to})
		drawing.Arrows = append(drawing.Arrows, Arrow{Tone: tone, Says: says})
	}
	for _, c := range d.Channels {
		kind := c.Kind
		if kind == kindFunction {
			kind = "invoked"
		}
		for _, s := range c.Senders { // first, so that a cycle begins with the sender
			at(kindFunction, s.Function)
		}
		to := at(kind, c.Name)
		for _, s := range c.Senders {
			add(at(kindFunction, s.Function), to, tone(s.Errors, 0), fmt.Sprintf("%s sends %s: %d%s", s.Function, c.Name, s.Count, also(s.Errors, 0)))
		}
		for _, t := range c.Receivers {
			add(to, at(kindFunction, t.Function), tone(t.Errors, t.Repeats), fmt.Sprintf("%s receives %s: %d%s%s", t.Function, c.Name, t.Count, also(t.Errors, t.Repeats), through(t.Via)))
		}
	}
	if len(drawing.Boxes) > MaxBoxes {
		return Drawing{}, false
	}
	drawing.place(newLayers(len(drawing.Boxes), edges), edges)
	return drawing, true
}

// place positions the boxes, each layer centred, and sets the arrows' paths.
func (d *Drawing) place(l layers, edges [][2]int) {
	width := func(node int) int {
		if node < len(d.Boxes) {
			return boxWidth
		}
		return bendWidth
	}
	widths := make([]int, len(l.rows))
	for i, row := range l.rows {
		for _, node := range row {
			widths[i] += width(node) + gap
		}
		d.Width = max(d.Width, widths[i]-gap+2*margin)
	}
	d.Height = len(l.rows)*(boxHeight+layerGap) - layerGap + 2*margin
	centre := make([][2]int, len(l.layer)) // the middle of each node's top
	for i, row := range l.rows {
		x := (d.Width - widths[i] + gap) / 2
		for _, node := range row {
			centre[node] = [2]int{x + width(node)/2, margin + i*(boxHeight+layerGap)}
			x += width(node) + gap
		}
	}
	for i := range d.Boxes {
		d.Boxes[i].X, d.Boxes[i].Y = centre[i][0]-boxWidth/2, centre[i][1]
	}
	for i, e := range edges {
		d.Arrows[i].Path = path(centre, l, e)
	}
}

// path returns an edge as a curve through its bends: downwards, or upwards if it closes a
// cycle.
func path(centre [][2]int, l layers, e [2]int) string {
	from, to := centre[e[0]], centre[e[1]]
	up := l.layer[e[0]] > l.layer[e[1]]
	head := 5 // the length of the arrow's point
	y1, y2 := from[1]+boxHeight, to[1]-head
	if up {
		y1, y2 = from[1], to[1]+boxHeight+head
	}
	var b strings.Builder
	x, y := from[0], y1
	fmt.Fprintf(&b, "M%d %d", x, y)
	curve := func(tx, ty int) {
		half := (ty - y) / 2
		fmt.Fprintf(&b, "C%d %d %d %d %d %d", x, y+half, tx, ty-half, tx, ty)
		x, y = tx, ty
	}
	for _, bend := range l.bends[e] {
		top, bottom := centre[bend][1], centre[bend][1]+boxHeight
		if up {
			top, bottom = bottom, top
		}
		curve(centre[bend][0], top)
		fmt.Fprintf(&b, "V%d", bottom)
		y = bottom
	}
	curve(to[0], y2)
	return b.String()
}

func tone(errors, repeats int) string {
	switch {
	case errors > 0:
		return "error"
	case repeats > 0:
		return "repeat"
	default:
		return ""
	}
}

func also(errors, repeats int) (text string) {
	if errors > 0 {
		text += fmt.Sprintf(", %d failed", errors)
	}
	if repeats > 0 {
		text += fmt.Sprintf(", %d repeated", repeats)
	}
	return text
}

func through(via []string) string {
	if len(via) == 0 {
		return ""
	}
	return ", through " + strings.Join(via, ", ")
}

// middle shortens a long name in its middle, because names often differ at the end.
func middle(name string) string {
	text := []rune(name)
	if len(text) <= textLength {
		return cmp.Or(name, "unnamed")
	}
	const end = 9
	return string(text[:textLength-end-1]) + "…" + string(text[len(text)-end:])
}
