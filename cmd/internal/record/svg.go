package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The size of the screen in characters, and of a character in pixels.
const (
	columns, rows = 100, 38
	charW, charH  = 7.2, 17.0
	left, top     = 14.0, 44.0 // below the title bar
)

// The times of the recording, in seconds.
const (
	typing = 1.2 // typing the command
	reads  = 7.0 // showing a screen of output
	turns  = 0.8 // scrolling to the next screen
)

// style is how a part of a line looks. The first that matches a part wins.
var styles = []struct {
	class string
	match *regexp.Regexp
}{
	{"dim", regexp.MustCompile(`\[[0-9a-f]{4,}[^\]]*\]?`)},
	{"bad", regexp.MustCompile(`ERROR[^\[]*`)},
	{"odd", regexp.MustCompile(`RETRY|REPLAY|REDELIVERY|REPUBLISH|OUT OF ORDER`)},
	{"who", regexp.MustCompile(`⇢ \S+`)},
	{"event", regexp.MustCompile(`[─└├ ](?:[A-Z][a-z]+){2,}  `)},
	{"http", regexp.MustCompile(`(?:GET|POST) /\S+  \d{3}`)},
	{"good", regexp.MustCompile(`no link, count, size or repeat differs`)},
	{"dim", regexp.MustCompile(`[│├└─┆]+`)},
}

// part is a part of a line in one style.
type part struct {
	column int
	class  string
	text   string
}

// parts splits a line by style and cuts it to the screen's width.
func parts(text string) []part {
	if utf8.RuneCountInString(text) > columns {
		text = string([]rune(text)[:columns-1]) + "…"
	}
	classes := make([]string, len(text)) // by byte; "" is plain
	taken := make([]bool, len(text))
	for _, s := range styles {
		for _, at := range s.match.FindAllStringIndex(text, -1) {
			if !slices.Contains(taken[at[0]:at[1]], true) {
				for i := at[0]; i < at[1]; i++ {
					classes[i], taken[i] = s.class, true
				}
			}
		}
	}
	var out []part
	column := 0
	for i, r := range text {
		if n := len(out); n == 0 || out[n-1].class != classes[i] {
			out = append(out, part{column: column, class: classes[i]})
		}
		out[len(out)-1].text += string(r)
		column++
	}
	return out
}

// draw writes the recording of a command and the lines it printed.
func draw(w io.Writer, typed string, lines []line) error {
	p := plan(lines)
	var b bytes.Buffer
	width, height := 2*left+columns*charW, top+rows*charH+14
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, height, escape("Recording of a terminal: "+typed))
	b.WriteString("\n<style>\n" + look)
	fmt.Fprintf(&b, "text{font-size:12px;white-space:pre}\n#screen{transform:translateY(-%.0fpx);animation:scroll %.1fs infinite}\n@keyframes scroll{%s}\n", p.still*charH, p.length, p.scroll)
	for _, a := range p.appear {
		fmt.Fprintf(&b, ".%s{animation:%s %.1fs step-end infinite}\n@keyframes %s{0%%{opacity:0}%.3f%%,100%%{opacity:1}}\n", a.class, a.class, p.length, a.class, 100*a.at/p.length)
	}
	b.WriteString("@media (prefers-reduced-motion:reduce){#screen,#screen *{animation:none}}\n</style>\n")
	fmt.Fprintf(&b, `<rect class="window" x="0.5" y="0.5" width="%.0f" height="%.0f" rx="8"/>`, width-1, height-1)
	for i := range 3 {
		fmt.Fprintf(&b, `<circle class="button" cx="%d" cy="18" r="5"/>`, 18+18*i)
	}
	fmt.Fprintf(&b, "\n<clipPath id=\"c\"><rect x=\"0\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\"/></clipPath>\n<g clip-path=\"url(#c)\"><g id=\"screen\">\n", top-13, width, rows*charH)
	writeLine(&b, 0, "typed", []part{{0, "prompt", "$"}, {2, "strong", typed}})
	for i, l := range lines {
		writeLine(&b, i+1, p.classes[i], parts(l.text))
	}
	b.WriteString("</g></g>\n</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

func writeLine(b *bytes.Buffer, row int, class string, parts []part) {
	fmt.Fprintf(b, `<g class="%s">`, class)
	for _, p := range parts {
		if strings.TrimSpace(p.text) == "" {
			continue
		}
		// The text has a fixed length, because arrows may come from a font with another width.
		fmt.Fprintf(b, `<text x="%.1f" y="%.0f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"`, left+float64(p.column)*charW, top+float64(row)*charH, float64(utf8.RuneCountInString(p.text))*charW)
		if p.class != "" {
			fmt.Fprintf(b, ` class="%s"`, p.class)
		}
		fmt.Fprintf(b, " xml:space=\"preserve\">%s</text>", escape(p.text))
	}
	b.WriteString("</g>\n")
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a write to a buffer cannot fail
	return b.String()
}

// appearance is when the lines of a class appear, in seconds.
type appearance struct {
	class string
	at    float64
}

// schedule is the timeline of the recording: lines appear in the order in which they were
// printed, but faster, and the screen scrolls when it is full.
type schedule struct {
	classes []string // the class of each line
	appear  []appearance
	scroll  string // keyframes
	still   float64
	length  float64
}

func plan(lines []line) schedule {
	s := schedule{appear: []appearance{{"typed", 0.4}}}
	var last time.Duration
	if len(lines) > 0 {
		last = lines[len(lines)-1].at
	}
	const spread = 2.2 // the whole output appears within this time, in seconds
	at := 0.0
	for i, l := range lines {
		if now := typing + spread*l.at.Seconds()/max(last.Seconds(), 0.001); i == 0 || now > at+0.05 {
			at = now
			s.appear = append(s.appear, appearance{fmt.Sprintf("l%d", len(s.appear)), at})
		}
		s.classes = append(s.classes, s.appear[len(s.appear)-1].class)
	}
	// The output is shown screen by screen. The first screen starts where the report
	// begins.
	total := len(lines) + 1
	first := slices.IndexFunc(lines, func(l line) bool { return strings.Contains(l.text, "by cause") }) + 1
	stops := []int{}
	for from := max(first, 0); ; from += rows - 2 {
		stops = append(stops, max(0, min(from, total-rows)))
		if from+rows >= total {
			break
		}
	}
	s.length = at + 0.3 + float64(len(stops))*(turns+reads)
	percent := func(t float64) float64 { return 100 * t / s.length }
	now, was := at+0.3, 0.0
	var b strings.Builder
	fmt.Fprint(&b, "0%{transform:translateY(0)}")
	for _, stop := range stops {
		y := float64(stop) * charH
		fmt.Fprintf(&b, "%.2f%%{transform:translateY(-%.0fpx)}%.2f%%{transform:translateY(-%.0fpx)}", percent(now), was, percent(now+turns), y)
		now, was = now+turns+reads, y
	}
	fmt.Fprintf(&b, "100%%{transform:translateY(-%.0fpx)}", was)
	s.scroll, s.still = b.String(), float64(stops[0])
	return s
}

// look is the style sheet, with a light and a dark theme.
const look = `text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328}
.window{fill:#f6f8fa;stroke:#d1d9e0}.button{fill:#c8d1da}
.dim{fill:#59636e}.bad{fill:#b3141d;font-weight:600}.odd{fill:#8a4600;font-weight:600}.who{fill:#0550ae}.event{fill:#1f2328;font-weight:700}
.http{fill:#6639ba}.good{fill:#116329;font-weight:600}.prompt{fill:#116329}.strong{font-weight:700}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.window{fill:#151b23;stroke:#3d444d}.button{fill:#3d444d}
.dim{fill:#9198a1}.bad{fill:#ff7b72}.odd{fill:#e3b341}.who{fill:#79c0ff}.event{fill:#f0f6fc}.http{fill:#d2a8ff}.good{fill:#56d364}.prompt{fill:#56d364}}
`
