package lineage

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// The kinds of IDs that are read from a detail.
const (
	idEvent = iota
	idCorrelation
	idCausation
	idKinds
)

// maxRead bounds an ID that is read from a detail, in bytes. A longer value is no ID.
const maxRead = 4096

// pointers are JSON pointers (RFC 6901) to IDs, as a tree of their tokens. Each level
// has a filter, which rejects most members of a detail by their length and their
// first byte.
type pointers struct {
	names   []string
	below   []*pointers // the level below each name
	hits    []pointerTo // the pointers that end here
	first   [256]bool
	lengths uint64
}

// pointerTo is the end of a pointer. Of two hits for one kind the one with the lower
// rank is used, and of the same rank the first in the document.
type pointerTo struct{ kind, rank int }

func newPointers(cfg Config) *pointers {
	p := new(pointers)
	for kind, configured := range [idKinds][]string{cfg.EventID, cfg.CorrelationID, cfg.CausationID} {
		if configured == nil {
			p.addDefaults(kind)
			continue
		}
		for rank, s := range configured {
			p.add(kind, rank, s)
		}
	}
	return p
}

// addDefaults adds the usual spellings: snake case, camel case, CloudEvents' lower
// case, Go's; at the top, else in metadata.
func (p *pointers) addDefaults(kind int) {
	word := [idKinds]string{"event", "correlation", "causation"}[kind]
	title := strings.ToUpper(word[:1]) + word[1:]
	for rank, parent := range []string{"/", "/metadata/"} {
		for _, name := range []string{word + "_id", word + "Id", word + "id", word + "ID", title + "Id", title + "ID", word + "-id"} {
			p.add(kind, rank, parent+name)
		}
	}
}

// add adds the pointer text; it ignores one that does not begin with a slash.
func (p *pointers) add(kind, rank int, text string) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return
	}
	for token := range strings.SplitSeq(rest, "/") {
		p = p.grow(unescapeToken(token))
	}
	p.hits = append(p.hits, pointerTo{kind, rank})
}

func unescapeToken(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

func (p *pointers) grow(name string) *pointers {
	if i := slices.Index(p.names, name); i >= 0 {
		return p.below[i]
	}
	p.names, p.below = append(p.names, name), append(p.below, new(pointers))
	p.lengths |= 1 << (len(name) % 64)
	if name != "" {
		p.first[name[0]] = true
	}
	return p.below[len(p.below)-1]
}

// ids are the raw values found at pointers.
type ids struct {
	value [idKinds][]byte
	rank  [idKinds]int // plus one; zero means no hit
}

func (d *ids) text(kind int) string { return jsonwalk.Scalar(d.value[kind]) }

// view returns the ID without a copy, for IDs that were read from a Go string.
func (d *ids) view(kind int) string {
	raw := d.value[kind]
	if len(raw) > 0 && raw[0] == '"' {
		raw = jsonwalk.Inner(raw)
	}
	return jsonwalk.View(raw)
}

// offer checks whether the member key of an object is, or contains, an ID.
func (p *pointers) offer(d *ids, key, value []byte) {
	if p.lengths&(1<<(len(key)%64)) == 0 || len(key) > 0 && !p.first[key[0]] {
		return
	}
	for i, name := range p.names {
		if name == string(key) {
			p.below[i].take(d, value)
			return
		}
	}
}

// take reads the IDs at, and in, a value that p points to.
func (p *pointers) take(d *ids, value []byte) {
	for _, hit := range p.hits {
		found := d.rank[hit.kind]
		if (found == 0 || found > hit.rank+1) && len(value) <= maxRead && isID(value) {
			d.value[hit.kind], d.rank[hit.kind] = value, hit.rank+1
		}
	}
	if len(p.names) == 0 {
		return
	}
	for m := jsonwalk.MembersOf(value, 0); m.Next(); {
		p.offer(d, m.Key, m.Value)
	}
	if value[0] != '[' {
		return
	}
	var index [20]byte
	for e := jsonwalk.ElementsOf(value, 0); e.Next(); {
		p.offer(d, strconv.AppendInt(index[:0], int64(e.Count-1), 10), e.Value)
	}
}

// complete reports whether no later hit in the document can have a lower rank.
func (d *ids) complete() bool {
	return d.rank == [idKinds]int{1, 1, 1}
}

// isID reports whether raw is a number or a string that is not empty.
func isID(raw []byte) bool {
	c := raw[0]
	if c == '"' {
		return len(raw) > 2
	}
	return c == '-' || c >= '0' && c <= '9'
}

// isCode reports whether raw is a code of AWS for a kind of event, such as
// RDS-EVENT-0049: a detail without its envelope does not tell that it is from AWS.
func isCode(raw []byte) bool {
	before, number, found := bytes.Cut(jsonwalk.Inner(raw), []byte("-EVENT-"))
	if !found || len(before) == 0 || len(number) == 0 {
		return false
	}
	for _, c := range before {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	for _, c := range number {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// member returns the raw value of the object raw's member name; nil if there is none.
func member(raw []byte, name string) []byte {
	for m := jsonwalk.MembersOf(raw, 0); m.Next(); {
		if string(m.Key) == name {
			return m.Value
		}
	}
	return nil
}

// At returns the string or the number at a JSON pointer (RFC 6901) in the event's
// detail. It is empty if there is neither, or one of more than 4096 bytes.
func (e *Event) At(pointer string) string {
	rest, ok := strings.CutPrefix(pointer, "/")
	if !ok {
		return ""
	}
	value := e.Detail
	for token := range strings.SplitSeq(rest, "/") {
		if value = child(value, unescapeToken(token)); value == nil {
			return ""
		}
	}
	if len(value) > maxRead || !isID(value) {
		return ""
	}
	return jsonwalk.Scalar(value)
}

// child returns the member or the element of raw that a token names; nil if there is none.
func child(raw []byte, token string) []byte {
	for e := jsonwalk.ElementsOf(raw, 0); e.Next(); {
		if strconv.Itoa(e.Count-1) == token {
			return e.Value
		}
	}
	return member(raw, token)
}
