package topology

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// Document is the graph as plain values, as --json prints it.
type Document struct {
	Channels []Channel `json:"channels"`
	Differences
}

// Channel is an event type, a queue or another resource that something is sent to.
type Channel struct {
	Kind      string     `json:"kind"`
	Name      string     `json:"name"`
	Buses     []string   `json:"buses,omitempty"`
	Rules     []string   `json:"rules,omitempty"`
	Senders   []Sender   `json:"senders"`
	Receivers []Receiver `json:"receivers"`
}

// Sender is a function that sends to a channel. Each message of a batch counts.
type Sender struct {
	Function     string  `json:"function"`
	Count        int     `json:"count"`
	Errors       int     `json:"errors"`
	MeanBytes    float64 `json:"mean_bytes,omitempty"`
	LargestBytes float64 `json:"largest_bytes,omitempty"`
}

// Receiver is a function that receives from a channel. Via are the queues, topics and
// streams between them.
type Receiver struct {
	Function string   `json:"function"`
	Count    int      `json:"count"`
	Errors   int      `json:"errors"`
	Repeats  int      `json:"repeats"`
	Via      []string `json:"via,omitempty"`
}

// Document returns the graph as plain values in a stable order.
func (g *Graph) Document(d Differences) Document {
	doc := Document{Channels: []Channel{}, Differences: d}
	for _, c := range g.sorted() {
		one := Channel{Kind: c.kind, Name: c.name, Buses: slices.Sorted(maps.Keys(c.buses)), Rules: c.matching, Senders: []Sender{}, Receivers: []Receiver{}}
		for _, name := range slices.Sorted(maps.Keys(c.senders)) {
			s := c.senders[name]
			one.Senders = append(one.Senders, Sender{name, s.count, s.errors, s.mean(), s.largest})
		}
		for _, name := range slices.Sorted(maps.Keys(c.receivers)) {
			t := c.receivers[name]
			one.Receivers = append(one.Receivers, Receiver{name, t.count, t.errors, t.repeats, slices.Sorted(maps.Keys(t.via))})
		}
		doc.Channels = append(doc.Channels, one)
	}
	return doc
}

func (s *sending) mean() float64 {
	if s.sized == 0 {
		return 0
	}
	return s.bytes / float64(s.sized)
}

// WriteText prints a block for each channel, and then the differences.
func (g *Graph) WriteText(out io.Writer, d Differences) error {
	const hang = 2
	return terminal.Fit(out, hang, func(out io.Writer) error { return g.write(out, d) })
}

func (g *Graph) write(out io.Writer, d Differences) error {
	paint := terminal.Painter(out)
	b := bufio.NewWriter(out)
	for i, c := range g.Document(d).Channels {
		if i > 0 {
			b.WriteByte('\n')
		}
		title := c.Kind + " " + workflow.Clean(c.Name)
		if len(c.Buses) > 0 {
			title += " on " + workflow.Clean(strings.Join(c.Buses, ", "))
		}
		if len(c.Rules) > 0 {
			title += " by " + workflow.Clean(phrase.Some(c.Rules))
		}
		fmt.Fprintln(b, title)
		for _, s := range c.Senders {
			facts := []string{fmt.Sprintf("%d sent", s.Count)}
			if s.MeanBytes > 0 {
				facts = append(facts, "mean "+phrase.Bytes(s.MeanBytes), "largest "+phrase.Bytes(s.LargestBytes))
			}
			if s.Errors > 0 {
				facts = append(facts, paint.Red(phrase.Count(s.Errors, "error")))
			}
			fmt.Fprintf(b, "  from %s  %s\n", workflow.Clean(s.Function), strings.Join(facts, ", "))
		}
		for _, t := range c.Receivers {
			var facts []string
			if t.Count > 0 {
				facts = append(facts, fmt.Sprintf("%d received", t.Count))
			}
			if t.Repeats > 0 {
				facts = append(facts, paint.Yellow(phrase.Count(t.Repeats, "repeat")))
			}
			if t.Errors > 0 {
				facts = append(facts, paint.Red(phrase.Count(t.Errors, "error")))
			}
			if len(t.Via) > 0 {
				facts = append(facts, "through "+workflow.Clean(strings.Join(t.Via, ", ")))
			}
			fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("  to   %s  %s", workflow.Clean(t.Function), strings.Join(facts, ", ")), " "))
		}
	}
	for _, rule := range d.NeverMatched {
		fmt.Fprintf(b, "\n%s rule %s never matched: no event of its types was published or handled\n", paint.Yellow("!"), workflow.Clean(rule))
	}
	for _, eventType := range d.NotHandled {
		fmt.Fprintf(b, "\n%s no function handles %s, or none that handles it exports spans\n", paint.Yellow("!"), workflow.Clean(eventType))
	}
	for _, n := range d.NoRule {
		near := ""
		if len(n.Like) > 0 {
			near = "; a rule names " + workflow.Clean(strings.Join(n.Like, ", "))
		}
		fmt.Fprintf(b, "\n%s no rule matches %s%s\n", paint.Yellow("!"), workflow.Clean(n.Type), near)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write the map: %w", err)
	}
	return nil
}

// WriteMermaid prints a flowchart: functions as boxes, channels as rounded boxes.
func (g *Graph) WriteMermaid(out io.Writer) error {
	b := bufio.NewWriter(out)
	fmt.Fprintln(b, "flowchart LR")
	functions := map[string]int{}
	node := func(name string) string {
		n, known := functions[name]
		if !known {
			n = len(functions)
			functions[name] = n
			fmt.Fprintf(b, "  f%d[\"%s\"]\n", n, workflow.MermaidText(name))
		}
		return fmt.Sprintf("f%d", n)
	}
	for i, c := range g.Document(Differences{}).Channels {
		kind := ""
		if c.Kind != kindEvent {
			kind = c.Kind + " "
		}
		fmt.Fprintf(b, "  c%d([\"%s\"])\n", i, kind+workflow.MermaidText(c.Name))
		for _, s := range c.Senders {
			fmt.Fprintf(b, "  %s -->|\"%d\"| c%d\n", node(s.Function), s.Count, i)
		}
		for _, t := range c.Receivers {
			label := workflow.MermaidText(strings.Join(t.Via, ", "))
			if t.Count > 0 {
				label = strings.TrimSpace(fmt.Sprintf("%d %s", t.Count, label))
			}
			fmt.Fprintf(b, "  c%d -->|\"%s\"| %s\n", i, cmp.Or(label, " "), node(t.Function))
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write Mermaid: %w", err)
	}
	return nil
}
