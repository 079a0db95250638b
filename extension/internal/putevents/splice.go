package putevents

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/cborwalk"
	"github.com/throughline/throughline/internal/lineage"
)

// withCBOR is With for a body in CBOR. Added items have definite lengths, also in
// lists and maps of indefinite length.
func (p *Body) withCBOR(sent []lineage.Entry) []Change {
	var changes []Change
	for i := range p.entries {
		first := len(changes)
		e, s := &p.entries[i], &sent[i]
		e.packed.body = p.body
		added := 0 // members
		if !slices.Equal(s.Resources, e.entry.Resources) {
			var member []byte
			if e.entry.Operation == lineage.PutRawEvents {
				changes, member = e.packed.metadataTo(changes, s.Resources)
			} else {
				changes, member = e.packed.resourcesTo(changes, e.entry.Resources, s.Resources)
			}
			if member != nil {
				changes = append(changes, Change{At: e.packed.members.Last(), Text: member})
				added++
			}
		}
		if s.Detail != e.entry.Detail {
			major := cborwalk.Text
			if e.entry.Operation == lineage.PutRawEvents {
				major = cborwalk.Bytes
			}
			at := e.packed.detail
			changes = append(changes, Change{At: at.from, Removed: at.to - at.from, Text: append(cborwalk.AppendHead(nil, major, uint64(len(s.Detail)), 0), s.Detail...)})
		}
		if added > 0 {
			changes = e.packed.grow(changes, e.packed.members.Begin, e.packed.members.Head, e.packed.members.Grown(added))
		}
		slices.SortStableFunc(changes[first:], func(a, b Change) int { return cmp.Compare(a.At, b.At) })
	}
	return changes
}

// grow replaces the head of a list or map by grown, if they differ.
func (p *packed) grow(changes []Change, at int, head cborwalk.Head, grown []byte) []Change {
	if bytes.Equal(p.body[at:at+head.Size], grown) {
		return changes
	}
	return append(changes, Change{At: at, Removed: head.Size, Text: grown})
}

// resourcesTo appends the changes that set the entry's Resources to lines. If the
// entry has no Resources, it returns the member to add instead.
func (p *packed) resourcesTo(changes []Change, had, lines []string) (_ []Change, member []byte) {
	switch list := &p.resources; {
	case !p.carrier.there():
		return changes, appendTexts(cborwalk.AppendText(nil, "Resources"), lines)
	case list.After > 0 && len(lines) > len(had) && slices.Equal(lines[:len(had)], had):
		changes = p.grow(changes, list.Begin, list.Head, list.Grown(len(lines)-len(had)))
		var text []byte
		for _, line := range lines[len(had):] {
			text = cborwalk.AppendText(text, line)
		}
		return append(changes, Change{At: list.Last(), Text: text}), nil
	}
	return append(changes, Change{At: p.carrier.from, Removed: p.carrier.to - p.carrier.from, Text: appendTexts(nil, lines)}), nil
}

func appendTexts(b []byte, texts []string) []byte {
	b = cborwalk.AppendHead(b, cborwalk.List, uint64(len(texts)), 0)
	for _, text := range texts {
		b = cborwalk.AppendText(b, text)
	}
	return b
}

// metadataTo appends the changes after which the entry's Metadata carries lines. A
// member with another value is changed in place, a member without a line is removed,
// and new members are added at the end. If the entry has no Metadata, it returns the
// member to add instead.
func (p *packed) metadataTo(changes []Change, lines []string) (_ []Change, member []byte) {
	had := map[string]bool{} // by the name of the stamp's field
	more := 0
	for _, c := range p.carried {
		name, _, _ := strings.Cut(c.line, ":")
		had[name] = true
		switch now := lineOf(lines, name); {
		case now == "":
			changes = append(changes, Change{At: c.from, Removed: c.value.to - c.from})
			more--
		case !slices.Contains(lines, c.line):
			_, value, _ := strings.Cut(now, ":")
			changes = append(changes, Change{At: c.value.from, Removed: c.value.to - c.value.from, Text: cborwalk.AppendText(nil, value)})
		}
	}
	var text []byte
	count := 0
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		if key, value, ok := lineage.MetadataMember(line); ok && !had[name] {
			text = cborwalk.AppendText(cborwalk.AppendText(text, key), value)
			count++
		}
	}
	metadata := append(cborwalk.AppendHead(nil, cborwalk.Map, uint64(count), 0), text...)
	switch m := &p.metadata; {
	case !p.carrier.there():
		return changes, append(cborwalk.AppendText(nil, "Metadata"), metadata...)
	case m.After == 0: // null
		return append(changes, Change{At: p.carrier.from, Removed: p.carrier.to - p.carrier.from, Text: metadata}), nil
	default:
		changes = p.grow(changes, m.Begin, m.Head, m.Grown(more+count))
		return append(changes, Change{At: m.Last(), Text: text}), nil
	}
}

// lineOf returns the line with a name, empty if there is none.
func lineOf(lines []string, name string) string {
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, name); ok && strings.HasPrefix(rest, ":") {
			return line
		}
	}
	return ""
}
