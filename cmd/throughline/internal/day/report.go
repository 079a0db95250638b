package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// row is one line of the table: hops of a kind.
type row struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Mechanism string `json:"mechanism"`
	Hops      int    `json:"hops"`
	Linked    int    `json:"linked"`
	Joined    int    `json:"joined"`
	Inferred  int    `json:"inferred"`
	NotSeen   int    `json:"not_seen"`
}

func (r *row) add(how string) {
	r.Hops++
	switch how {
	case "linked":
		r.Linked++
	case "joined":
		r.Joined++
	case "inferred":
		r.Inferred++
	default:
		r.NotSeen++
	}
}

// rows returns the hops of the day by kind, in the order in which they happened, and
// their sum.
func rows(d day, seen measured) (list []*row, sum row) {
	how := map[[3]string]string{}
	for _, e := range seen.edges {
		how[[3]string{e.via, e.from, e.to}] = e.how
	}
	known := map[[3]string]*row{}
	for _, e := range d.edges {
		mechanism := e.Via
		if e.Kind != "" {
			mechanism += " " + strings.TrimPrefix(e.Kind, "Lambda Function Invocation Result - ")
		}
		if e.Lost != "" {
			mechanism += ": " + e.Lost
		}
		key := [3]string{d.function(e.From), d.function(e.To), mechanism}
		r := known[key]
		if r == nil {
			r = &row{From: key[0], To: key[1], Mechanism: mechanism}
			known[key], list = r, append(list, r)
		}
		r.add(how[[3]string{e.Via, e.From, e.To}])
		sum.add(how[[3]string{e.Via, e.From, e.To}])
	}
	return list, sum
}

// summary is what --json prints.
type summary struct {
	Rows        []*row   `json:"rows"`
	Sum         row      `json:"sum"`
	Invocations int      `json:"invocations"`
	Trees       int      `json:"trees"`
	Single      int      `json:"single_invocations"`
	Unstamped   int      `json:"unstamped_events"`
	Differences []string `json:"differences"`
}

func summarise(d day, seen measured, differences []string) summary {
	s := summary{Invocations: len(d.invocations), Unstamped: d.unstamped, Differences: append([]string{}, differences...)}
	s.Rows, s.Sum = rows(d, seen)
	s.Trees, s.Single = trees(d.invocations, seen.edges)
	return s
}

// printTable prints the hops of the day as Throughline reported them.
func printTable(out io.Writer, d day, seen measured) {
	s := summarise(d, seen, nil)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "from\tto\tby\ta day\tlinked\tjoined\tinferred\tnot seen\t")
	for _, r := range s.Rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t\n", r.From, r.To, r.Mechanism, r.Hops, orDash(r.Linked), orDash(r.Joined), orDash(r.Inferred), orDash(r.NotSeen))
	}
	fmt.Fprintf(w, "\t\tsum\t%d\t%d\t%d\t%d\t%d\t\n", s.Sum.Hops, s.Sum.Linked, s.Sum.Joined, s.Sum.Inferred, s.Sum.NotSeen)
	_ = w.Flush() // like the other prints, without a check
	with := s.Sum.Hops - s.Sum.NotSeen
	fmt.Fprintf(out, "\n%d invocations. %d of %d hops with an edge (%.1f %%): linked %.1f %%, with joined %.1f %%, with inferred %.1f %%.\n", s.Invocations, with, s.Sum.Hops,
		percent(with, s.Sum.Hops), percent(s.Sum.Linked, s.Sum.Hops), percent(s.Sum.Linked+s.Sum.Joined, s.Sum.Hops), percent(with, s.Sum.Hops))
	fmt.Fprintf(out, "%d trees of more than one invocation, and %d invocations by a schedule that caused nothing.\n", s.Trees, s.Single)
	if s.Unstamped > 0 {
		fmt.Fprintf(out, "%d events were published without a stamp, because the extension answered too late on this busy machine: their IDs join them.\n", s.Unstamped)
	}
}

func orDash(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
