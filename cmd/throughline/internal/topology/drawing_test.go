package topology

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sketch is the boxes of a drawing by layer, from the left.
func sketch(d Drawing) string {
	rows := map[int][]Box{}
	for _, b := range d.Boxes {
		rows[b.Y] = append(rows[b.Y], b)
	}
	var text strings.Builder
	for y := margin; y < d.Height; y += boxHeight + layerGap {
		slices.SortFunc(rows[y], func(a, b Box) int { return a.X - b.X })
		for _, b := range rows[y] {
			fmt.Fprintf(&text, "%s ", b.Name)
		}
		text.WriteString("| ")
	}
	return text.String()
}

func channel1(kind, name string, senders, receivers []string) Channel {
	c := Channel{Kind: kind, Name: name}
	for _, s := range senders {
		c.Senders = append(c.Senders, Sender{Function: s, Count: 1})
	}
	for _, t := range receivers {
		c.Receivers = append(c.Receivers, Receiver{Function: t, Count: 2})
	}
	return c
}

func TestDraw(t *testing.T) {
	doc := Document{Channels: []Channel{
		channel1("event", "Placed", []string{"shop"}, []string{"fulfil", "audit"}),
		channel1("event", "Fulfilled", []string{"fulfil"}, []string{"shop", "audit"}), // a circle
		channel1("queue", "work", []string{"fulfil"}, []string{"worker"}),
		channel1("function", "worker", []string{"audit"}, nil), // invoked
	}}
	doc.Channels[0].Receivers[0].Errors, doc.Channels[0].Receivers[1].Repeats = 1, 2
	d, ok := doc.Draw()
	if got, want := sketch(d), "shop | Placed | fulfil | work Fulfilled | worker audit | worker | "; !ok || got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	tones, up := map[string]int{}, 0
	for _, a := range d.Arrows {
		tones[a.Tone]++
		var x, y int
		if _, err := fmt.Sscanf(a.Path, "M%d %d", &x, &y); err != nil {
			t.Errorf("%q: %v", a.Path, err)
		}
		if strings.HasPrefix(a.Says, "shop receives Fulfilled") && y > boxHeight*3 {
			up++ // it begins below and ends above
		}
	}
	if tones["error"] != 1 || tones["repeat"] != 1 || len(d.Arrows) != 9 || up != 1 {
		t.Errorf("%v %+v", tones, d.Arrows)
	}
	if d, ok := (Document{}).Draw(); !ok || len(d.Boxes) != 0 {
		t.Errorf("of nothing: %+v", d)
	}
}

// TestDrawAnything: whatever the graph, no boxes cover each other or leave the drawing, and
// the same graph is drawn the same.
func TestDrawAnything(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var doc Document
		for c := range 1 + r.IntN(20) {
			one := Channel{Kind: "event", Name: fmt.Sprint("Type", c)}
			for range r.IntN(4) {
				one.Senders = append(one.Senders, Sender{Function: fmt.Sprint("f", r.IntN(12))})
			}
			for range r.IntN(4) {
				one.Receivers = append(one.Receivers, Receiver{Function: fmt.Sprint("f", r.IntN(12))})
			}
			doc.Channels = append(doc.Channels, one)
		}
		d, ok := doc.Draw()
		again, _ := doc.Draw()
		if !ok || fmt.Sprint(d) != fmt.Sprint(again) {
			t.Fatalf("seed %d: %t", seed, ok)
		}
		for i, a := range d.Boxes {
			if a.X < 0 || a.Y < 0 || a.X+a.Width > d.Width || a.Y+a.Height > d.Height {
				t.Errorf("seed %d: %+v leaves %d by %d", seed, a, d.Width, d.Height)
			}
			for _, b := range d.Boxes[:i] {
				if a.X < b.X+b.Width && b.X < a.X+a.Width && a.Y < b.Y+b.Height && b.Y < a.Y+a.Height {
					t.Errorf("seed %d: %+v covers %+v", seed, a, b)
				}
			}
		}
		for _, a := range d.Arrows {
			if !strings.HasPrefix(a.Path, "M") || strings.Count(a.Path, "C") == 0 {
				t.Errorf("seed %d: %+v", seed, a)
			}
		}
	}
	var doc Document
	for c := range MaxBoxes + 1 {
		doc.Channels = append(doc.Channels, Channel{Kind: "event", Name: fmt.Sprint(c)})
	}
	if _, ok := doc.Draw(); ok {
		t.Error("too many are drawn")
	}
}

func TestMiddle(t *testing.T) {
	for name, want := range map[string]string{"shop": "shop", "": "unnamed", "HedgeEvaluationCompletedByTheDesk": "HedgeEvaluatio…ByTheDesk"} {
		if got := middle(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
