package dlqcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/redrive"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// Contents is the content of a queue.
type Contents struct {
	Queue    string  `json:"queue"`
	ARN      string  `json:"arn"`
	Messages int     `json:"messages"` // the approximate number of messages
	Read     int     `json:"read"`
	Selected int     `json:"selected"`
	Groups   []Group `json:"groups"`
	// Gone is when the queue deletes the oldest message; zero if unknown.
	Gone time.Time `json:"oldest_is_gone_at,omitzero"`
	Held int       `json:"held_by_others,omitempty"`
	Kept string    `json:"kept_in,omitempty"`
}

// each receives every message of the queue once, calls visit for each, and then makes the
// messages visible again. It ends when visit returns false, and after most messages.
func (q *queue) each(ctx context.Context, most int, progress terminal.Progress, visit func(*deadletter.Letter) (bool, error)) (read int, err error) {
	var held []deadletter.Letter
	seen := map[string]int{}
	defer func() {
		progress.End()
		err = errors.Join(err, q.Release(context.WithoutCancel(ctx), held))
	}()
	const sinceNothing = 2
	for idle := 0; idle < sinceNothing && len(held) < most; {
		letters, err := q.Receive(ctx, min(batch, most-len(held)))
		if err != nil {
			return len(held), err
		}
		fresh := 0
		for i := range letters {
			l := &letters[i]
			if at, again := seen[l.ID]; again {
				held[at] = *l // with its new receipt handle
				continue
			}
			seen[l.ID] = len(held)
			held = append(held, *l)
			fresh++
			if more, err := visit(l); err != nil || !more {
				held = append(held, letters[i+1:]...)
				return len(held), err
			}
		}
		if idle++; fresh > 0 {
			idle = 0
		}
		progress.Show("%s: %d of about %d read", q.Name, len(held), q.Messages)
	}
	return len(held), nil
}

// read groups the messages of a queue.
func (l *listing) read(ctx context.Context, q *queue, keep *os.File, progress terminal.Progress) (Contents, error) {
	c := Contents{Queue: q.Name, ARN: q.ARN, Messages: q.Messages, Kept: l.keep}
	groups := grouping{by: l.by, now: l.now(), index: map[string]*Group{}}
	if q.Messages == 0 {
		c.Groups = []Group{}
		return c, nil
	}
	var oldest time.Time
	n, err := q.each(ctx, l.most, progress, func(letter *deadletter.Letter) (bool, error) {
		if !letter.Since.IsZero() && (oldest.IsZero() || letter.Since.Before(oldest)) {
			oldest = letter.Since
		}
		if !l.takes(letter, groups.now) {
			return true, nil
		}
		c.Selected++
		groups.add(letter)
		if keep == nil {
			return true, nil
		}
		line, err := redrive.KeepLine(letter.Message)
		if err == nil {
			_, err = keep.Write(line)
		}
		return true, err
	})
	if err != nil {
		return c, err
	}
	c.Read, c.Groups = n, groups.list()
	if !oldest.IsZero() && q.keeps > 0 {
		c.Gone = oldest.Add(q.keeps)
	}
	c.Held = max(0, q.hidden)
	return c, nil
}

// write prints the content of the queue.
func (c *Contents) write(out io.Writer, now time.Time) error {
	fmt.Fprintf(out, "queue %s: about %s", terminal.Line(c.Queue), phrase.Count(c.Messages, "message"))
	if c.Messages == 0 {
		fmt.Fprintln(out)
		return nil
	}
	fmt.Fprintf(out, ", %d read", c.Read)
	if c.Selected != c.Read {
		fmt.Fprintf(out, ", %d selected", c.Selected)
	}
	if c.Held > 0 {
		fmt.Fprintf(out, ", %d in flight to other consumers at the start", c.Held)
	}
	fmt.Fprintln(out)
	if c.Read < c.Messages && strings.HasSuffix(c.Queue, ".fifo") {
		fmt.Fprintln(out, "SQS delivers no further message of a FIFO group while some are in flight: redrive sends the others in order")
	}
	if !c.Gone.IsZero() {
		fmt.Fprintf(out, "the queue deletes the oldest in %s\n", span(c.Gone.Sub(now)))
	}
	if c.Kept != "" {
		fmt.Fprintf(out, "copied to %s\n", c.Kept)
	}
	if len(c.Groups) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	rows := [][]string{{"GROUP", "MESSAGES", "AGE", "WHY"}}
	for _, g := range c.Groups {
		rows = append(rows, []string{g.Key, strconv.Itoa(g.Count), g.ages(now), terminal.Line(g.what())})
	}
	if err := terminal.Table(out, 0, rows); err != nil {
		return err
	}
	named := 0
	said := false
	for _, g := range c.Groups {
		named += g.Events
		if g.Says == "" {
			continue
		}
		if !said {
			fmt.Fprintln(out)
		}
		said = true
		fmt.Fprintf(out, "%s  %s\n", g.Key, terminal.Line(g.Says))
	}
	if named > 0 {
		fmt.Fprintf(out, "\n%s named here, which the bus still has: throughline dlq replay says how it delivers them again\n", areEvents(named))
	}
	return nil
}

func areEvents(n int) string {
	if n == 1 {
		return "1 event is"
	}
	return fmt.Sprintf("%d events are", n)
}

func (g *Group) what() string {
	var parts []string
	events := ""
	if g.Events > 0 {
		events = phrase.Count(g.Events, "event")
	}
	for _, part := range []string{g.Kind, g.Cause, g.Who, g.Type, events, g.Age} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func (g *Group) ages(now time.Time) string {
	if g.Oldest.IsZero() {
		return ""
	}
	newest, oldest := span(now.Sub(g.Newest)), span(now.Sub(g.Oldest))
	if newest == oldest {
		return oldest
	}
	return newest + " to " + oldest
}

// span formats a duration in one or two units: 3d4h, 2h5m, 40s.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(0, d); {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
