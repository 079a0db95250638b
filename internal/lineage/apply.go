package lineage

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Stamped is the result of Apply. Added is the number of bytes that the stamp adds to
// the entry's size, as EventBridge counts it. The zero value means no stamp.
type Stamped struct {
	Added   int
	Skipped string // why a stamp, or a part of it, was left out: the words below, joined by commas
}

// Why a stamp, or a part of it, was left out.
const (
	SkippedBudget = "budget" // it would not fit
	SkippedID     = "id"     // an ID is not 1 to 256 printable bytes
	SkippedDetail = "detail" // the detail is not a JSON object
	SkippedCount  = "count"  // the entry has as many resources, or metadata keys, as the bus allows
	// SkippedContent: the bus deduplicates by content, and with a stamp a repeat
	// may look like a new event.
	SkippedContent = "content-based"
)

func (s *Stamped) skip(why string) {
	if s.Skipped != "" {
		why = s.Skipped + "," + why
	}
	s.Skipped = why
}

// Apply returns entry stamped with lineage, if the stamp adds no more than budget
// bytes to the entry's size. Apply sets the TraceHeader of a classic entry, which
// EventBridge does not count, if it is empty and Config requires one. It does not
// modify the slices of entry.
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

// stampFields returns the values of l that are written.
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

// lines returns resources with the stamp's lines, and how many bytes they add. It
// replaces lines of a forwarded stamp in place.
func (f *stampText) lines(resources []string, handled *Event) ([]string, int) {
	var present [fieldCount]bool
	var replace []int // pairs of a line's index and its field
	drop := -1        // the index of a forwarded line "minted", if this stamp has none
	for i, line := range resources {
		at, value := fieldOf(line)
		if at < 0 {
			continue
		}
		present[at] = true
		switch {
		case !forwarded(at, value, handled):
			present[atMinted] = present[atMinted] || at == atTraceparent // "minted" describes the traceparent, which is the caller's own
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
	var text strings.Builder // one allocation for all lines
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

// forwarded reports whether a field has the value that the event being handled
// carried. The caller has then copied it, and it does not describe the event that is
// published now. Correlation and causation are the publisher's own and always stay.
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

// splice returns detail with the stamp as its last member and all other bytes
// unchanged, or the reason why it cannot. If the detail already has the member, splice
// replaces it if it came with the event being handled; otherwise it is the caller's
// and stays.
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
		if isClaim(old) { // the claim of a claim check: the stamp is added to it
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

// isClaim reports whether value is an object with a claim as its only member.
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

// appendQuoted appends s as a JSON string. A detail key may contain any characters;
// an ID is printable.
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
