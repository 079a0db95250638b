package lineage

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Stamped says what Apply did. Its zero value is nothing. Added is in bytes of
// the entry's size, as EventBridge counts it.
type Stamped struct {
	Added   int
	Skipped string // why a stamp, or a part of one, was left out: the words below, joined by commas
}

// Why a stamp, or a part of one, was left out.
const (
	SkippedBudget = "budget" // it would not fit
	SkippedID     = "id"     // an ID is not 1 to 256 printable bytes
	SkippedDetail = "detail" // the detail is not a JSON object
	SkippedCount  = "count"  // there are as many resources, or metadata keys, as the bus takes
	// SkippedContent: the bus was asked to tell repeats by content, and a stamp
	// may make each a new event.
	SkippedContent = "content-based"
)

func (s *Stamped) skip(why string) {
	if s.Skipped != "" {
		why = s.Skipped + "," + why
	}
	s.Skipped = why
}

// Apply returns entry with lineage written on it, where that takes no more than
// budget bytes of the entry's size. The TraceHeader of a classic entry, which
// EventBridge does not count, is set when it had none and Config asks for one.
// Apply never changes what entry's slices hold.
func (s *Stamper) Apply(entry Entry, lineage Lineage, budget int) (Entry, Stamped) {
	var done Stamped
	if entry.TraceHeader == "" && entry.Operation == ClassicPutEvents {
		entry.TraceHeader = s.cfg.entryTraceHeader(lineage.Publisher, lineage.upstream)
	}
	if s.cfg.Stamp == StampOff {
		return entry, done
	}
	if entry.ContentBased && !s.cfg.StampContentBased {
		done.skip(SkippedContent)
		return entry, done
	}
	fields := stampFields(&lineage, &done)
	if s.cfg.Stamp != StampDetail {
		carried, added, why := fields.carry(entry, lineage.handled, budget)
		if why != "" {
			done.skip(why)
		}
		entry, done.Added, budget = carried, added, budget-added
	}
	if s.cfg.Stamp != StampResources {
		detail, why := s.splice(entry.Detail, &fields, lineage.handled)
		if added := len(detail) - len(entry.Detail); why == "" && added > budget {
			done.skip(SkippedBudget)
		} else if why != "" {
			done.skip(why)
		} else {
			entry.Detail = detail
			done.Added += added
		}
	}
	return entry, done
}

// The stamp's fields in the order in which they are written.
const (
	atCorrelation = iota
	atCausation
	atParent
	atTraceparent
	atOrigin
	atHops
	atMinted
	fieldCount
)

var fieldNames = [fieldCount]string{fieldCorrelation, fieldCausation, fieldParent, fieldTraceparent, fieldOrigin, fieldHops, fieldMinted}

// stampText is a stamp's values; an empty one is not written.
type stampText [fieldCount]string

// stampFields says what is written of l.
func stampFields(l *Lineage, done *Stamped) stampText {
	f := stampText{atCorrelation: l.CorrelationID, atCausation: l.CausationID}
	if l.ParentID != l.CausationID {
		f[atParent] = l.ParentID
	}
	for at := range f {
		if f[at] != "" && !ValidID(f[at]) {
			f[at] = ""
			if !strings.Contains(done.Skipped, SkippedID) {
				done.skip(SkippedID)
			}
		}
	}
	if l.Publisher.IsValid() {
		var buffer [2 * traceparentSize]byte
		both := appendTraceparent(buffer[:0], l.Publisher)
		if l.Origin.IsValid() && !sameSpan(l.Origin, l.Publisher) {
			both = appendTraceparent(both, l.Origin)
		}
		text := string(both)
		f[atTraceparent], f[atOrigin] = text[:traceparentSize], text[traceparentSize:]
	}
	f[atHops] = strconv.Itoa(min(l.Hops, maxHops))
	if l.Minted {
		f[atMinted] = isMinted
	}
	return f
}

// lines returns resources with the stamp's lines, and how many bytes they add.
// A line of a forwarded stamp is replaced where it stands.
func (f *stampText) lines(resources []string, handled *Event) ([]string, int) {
	var present [fieldCount]bool
	var replace []int // pairs: the line's index, the field
	drop := -1        // the line of a forwarded minted context, where ours is not
	for i, line := range resources {
		at, value := fieldOf(line)
		if at < 0 {
			continue
		}
		present[at] = true
		switch {
		case !forwarded(at, value, handled):
			present[atMinted] = present[atMinted] || at == atTraceparent // it is about the caller's own context
		case f[at] != "":
			replace = append(replace, i, at)
		case at == atMinted:
			drop = i
		}
	}
	size, count := 0, 0
	for at, value := range f {
		if value != "" && !present[at] {
			size += len(fieldNames[at]) + 1 + len(value)
			count++
		}
	}
	if count == 0 && replace == nil && drop < 0 {
		return resources, 0
	}
	lines := make([]string, len(resources), len(resources)+count)
	copy(lines, resources)
	added := size
	for ; len(replace) > 0; replace = replace[2:] {
		i, at := replace[0], replace[1]
		lines[i] = fieldNames[at] + ":" + f[at]
		added += len(lines[i]) - len(resources[i])
	}
	var text strings.Builder // one piece of memory for all lines
	text.Grow(size)
	for at, value := range f {
		if value != "" && !present[at] {
			start := text.Len()
			text.WriteString(fieldNames[at])
			text.WriteByte(':')
			text.WriteString(value)
			lines = append(lines, text.String()[start:])
		}
	}
	if drop >= 0 {
		added -= len(lines[drop])
		lines = slices.Delete(lines, drop, drop+1)
	}
	return lines, added
}

func fieldOf(line string) (at int, value string) {
	name, value, ok := strings.Cut(line, ":")
	if ok {
		for at, field := range fieldNames {
			if name == field {
				return at, value
			}
		}
	}
	return -1, ""
}

// forwarded says that a field is what the event being handled carried, so that
// whoever passed it on did not mean it for the event that is published now.
// Correlation and causation are the domain's own words and always stay.
func forwarded(at int, value string, handled *Event) bool {
	if handled == nil {
		return false
	}
	l := &handled.Lineage
	switch at {
	case atParent:
		return value == l.ParentID
	case atTraceparent:
		sc, ok := ParseTraceparent(value)
		return ok && sameSpan(sc, l.Publisher)
	case atOrigin:
		sc, ok := ParseTraceparent(value)
		return ok && sameSpan(sc, l.Origin)
	case atHops:
		hops, ok := parseHops(value)
		return ok && hops == l.Hops
	case atMinted:
		return l.Minted
	}
	return false
}

// splice returns detail with the stamp as its last member, every other byte
// where it was; or why it could not. A member of that key which came with the
// event being handled is replaced in place, another one is the caller's.
func (s *Stamper) splice(detail string, f *stampText, handled *Event) (string, string) {
	m := jsonwalk.MembersOf(jsonwalk.Bytes(detail), 0)
	var old []byte
	oldEnd := 0
	for m.Next() {
		if old == nil && string(m.Key) == s.detailKey {
			old, oldEnd = m.Value, m.End
		}
	}
	if m.After == 0 || jsonwalk.SkipSpace(jsonwalk.Bytes(detail), m.After) != len(detail) {
		return "", SkippedDetail
	}
	if old != nil {
		if isClaim(old) { // a claim check's, where the stamp stands beside it
			text := f.object(nil)
			return detail[:oldEnd-len(old)] + string(text[:len(text)-1]) + "," + detail[oldEnd-len(old)+1:], ""
		}
		stamp := detailStamp(old)
		if handled == nil || !stamp.publisher.IsValid() || !sameSpan(stamp.publisher, handled.Lineage.Publisher) {
			return detail, ""
		}
		return detail[:oldEnd-len(old)] + string(f.object(nil)) + detail[oldEnd:], ""
	}
	out := make([]byte, 0, len(detail)+512)
	out = append(out, detail[:m.End]...)
	if m.Count > 0 {
		out = append(out, ',')
	}
	out = append(appendQuoted(out, s.detailKey), ':')
	return string(append(f.object(out), detail[m.End:]...)), ""
}

// isClaim says that value is an object of a claim and nothing else.
func isClaim(value []byte) bool {
	m := jsonwalk.MembersOf(value, 0)
	return m.Next() && string(m.Key) == "claim" && !m.Next() && m.After > 0
}

// object appends the stamp as JSON.
func (f *stampText) object(b []byte) []byte {
	b = append(b, '{')
	for at, value := range f {
		if value == "" {
			continue
		}
		b = append(append(append(b, '"'), fieldNames[at]...), `":`...)
		if at == atHops || at == atMinted {
			b = append(b, value...)
		} else {
			b = appendQuoted(b, value)
		}
		b = append(b, ',')
	}
	return append(bytes.TrimSuffix(b, []byte(",")), '}')
}

// appendQuoted appends s as a JSON string. The detail key may be anything, an
// ID is printable.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
