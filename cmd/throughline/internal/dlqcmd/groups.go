package dlqcmd

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
)

// Group is a group of messages with the same cause, function or target, and event type.
type Group struct {
	Key   string `json:"group"`
	Count int    `json:"messages"`
	// Events is the number of events that the messages of a new custom bus name. It is 0
	// for messages that contain their event.
	Events int    `json:"events,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Cause  string `json:"cause,omitempty"`
	Who    string `json:"failed_by,omitempty"`
	Type   string `json:"event_type,omitempty"`
	Age    string `json:"age,omitempty"`
	// Oldest and Newest are when the queue received them; zero if unknown.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
	// Says is the error of one of the messages, and Message its ID.
	Says    string `json:"says,omitempty"`
	Message string `json:"message"`
}

// dimensions are the properties that messages can be grouped by.
var dimensions = []string{"cause", "function", "type", "age", "kind"}

// byDefault are the properties that messages are grouped by without --by.
var byDefault = []string{"cause", "function", "type"}

// value returns the value of a message's property.
func value(l *deadletter.Letter, dimension string, now time.Time) string {
	switch dimension {
	case "cause":
		return l.Cause
	case "function":
		return l.Who()
	case "type":
		if l.Type == "" && l.Kind == deadletter.OfSubscriber {
			return "(the type is on the bus)"
		}
		return cmp.Or(l.Type, "(no type)")
	case "age":
		return age(now.Sub(l.Since))
	}
	return string(l.Kind)
}

func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Hour:
		return "under an hour"
	case d < day:
		return "under a day"
	case d < 7*day:
		return "under a week"
	}
	return "over a week"
}

// key returns a short key of a group, the same in each run.
func key(l *deadletter.Letter, by []string, now time.Time) string {
	var parts []string
	for _, dimension := range by {
		parts = append(parts, dimension, value(l, dimension, now))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return fmt.Sprintf("%x", sum[:3])
}

// grouping collects messages into groups.
type grouping struct {
	by    []string
	now   time.Time
	index map[string]*Group
}

func (g *grouping) add(l *deadletter.Letter) {
	k := key(l, g.by, g.now)
	group := g.index[k]
	if group == nil {
		group = &Group{Key: k, Says: l.Says, Message: l.ID}
		for _, dimension := range g.by {
			v := value(l, dimension, g.now)
			switch dimension {
			case "cause":
				group.Cause = v
			case "function":
				group.Who = v
			case "type":
				group.Type = v
			case "age":
				group.Age = v
			case "kind":
				group.Kind = v
			}
		}
		g.index[k] = group
	}
	group.Count++
	group.Events += len(l.Named)
	if !l.Since.IsZero() {
		if group.Oldest.IsZero() || l.Since.Before(group.Oldest) {
			group.Oldest = l.Since
		}
		if l.Since.After(group.Newest) {
			group.Newest = l.Since
		}
	}
}

// list returns the groups, the largest first.
func (g *grouping) list() []Group {
	list := make([]Group, 0, len(g.index))
	for _, group := range g.index {
		list = append(list, *group)
	}
	slices.SortFunc(list, func(a, b Group) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Key, b.Key)) })
	return list
}

// filter selects messages. The zero value selects all.
type filter struct {
	messages, groups       []string // IDs or prefixes of IDs; group keys
	causes, whoms, types   []string
	olderThan, youngerThan time.Duration
}

// given reports whether the filter can leave a message out.
func (f *filter) given() bool {
	return len(f.messages)+len(f.groups)+len(f.causes)+len(f.whoms)+len(f.types) > 0 || f.olderThan > 0 || f.youngerThan > 0
}

func (f *filter) takes(l *deadletter.Letter, now time.Time) bool {
	in := func(list []string, is func(string) bool) bool { return len(list) == 0 || slices.ContainsFunc(list, is) }
	old := now.Sub(l.Since)
	return in(f.messages, func(id string) bool { return names(l, id) }) &&
		in(f.groups, func(k string) bool { return k == key(l, byDefault, now) }) &&
		in(f.causes, func(c string) bool { return c == l.Cause }) &&
		in(f.whoms, func(w string) bool {
			return w == l.Who() || strings.HasSuffix(l.Who(), " "+w) || l.Subscriber != "" && w == arn.Named(l.Subscriber)
		}) &&
		in(f.types, func(t string) bool { return t == l.Type }) &&
		(f.olderThan == 0 || old >= f.olderThan) && (f.youngerThan == 0 || old < f.youngerThan)
}

// names reports whether id is the ID of the message or of its event, or a prefix of one.
func names(l *deadletter.Letter, id string) bool {
	is := func(known string) bool { return strings.HasPrefix(known, id) }
	return id != "" && (is(l.ID) || is(l.EventID) || is(l.EnvelopeID) || slices.ContainsFunc(l.Named, func(e deadletter.Named) bool { return is(e.ID) }))
}
