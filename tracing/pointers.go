package tracing

import "strings"

// The IDs that are looked for in a detail.
const (
	idEvent = iota
	idCorrelation
	idCausation
	idKinds
)

// maxRead bounds an ID that is read from a detail. A longer one is no ID.
const maxRead = 4096

// pointer is a JSON pointer (RFC 6901) to an ID of one kind. Of two hits the
// one of lower rank wins, of one rank the first in the document.
type pointer struct {
	kind, rank int
	tokens     []string
}

// pointers are those of all kinds, with a filter in front: most members of a
// detail are told to be none of ours by one look at their first byte and length.
type pointers struct {
	all     []pointer
	first   [256]bool
	lengths uint64
}

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

// addDefaults adds the spellings in use: snake case, camel case, CloudEvents'
// lower case, Go's; at the top, else under metadata.
func (p *pointers) addDefaults(kind int) {
	word := [idKinds]string{"event", "correlation", "causation"}[kind]
	title := strings.ToUpper(word[:1]) + word[1:]
	for rank, parent := range []string{"/", "/metadata/"} {
		for _, name := range []string{word + "_id", word + "Id", word + "id", word + "ID", title + "Id", title + "ID", word + "-id"} {
			p.add(kind, rank, parent+name)
		}
	}
}

// add adds the pointer s; one that does not begin with a slash points nowhere.
func (p *pointers) add(kind, rank int, s string) {
	rest, ok := strings.CutPrefix(s, "/")
	if !ok {
		return
	}
	tokens := strings.Split(rest, "/")
	for i, token := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	p.all = append(p.all, pointer{kind, rank, tokens})
	p.lengths |= 1 << (len(tokens[0]) % 64)
	if tokens[0] != "" {
		p.first[tokens[0][0]] = true
	}
}

// ids are the raw values found at pointers.
type ids struct {
	value [idKinds][]byte
	rank  [idKinds]int // plus one; zero is no hit
}

func (d *ids) text(kind int) string { return scalar(d.value[kind]) }

// offer looks whether the member of a detail's top is, or holds, an ID.
func (p *pointers) offer(d *ids, key, value []byte) {
	if p.lengths&(1<<(len(key)%64)) == 0 || len(key) > 0 && !p.first[key[0]] {
		return
	}
	for i := range p.all {
		if pointer := &p.all[i]; pointer.tokens[0] == string(key) {
			p.hit(d, pointer, value)
		}
	}
}

func (p *pointers) hit(d *ids, pointer *pointer, value []byte) {
	if found := d.rank[pointer.kind]; found > 0 && found <= pointer.rank+1 {
		return
	}
	for _, token := range pointer.tokens[1:] {
		if value = member(value, token); value == nil {
			return
		}
	}
	if len(value) > maxRead || !isID(value) {
		return
	}
	d.value[pointer.kind], d.rank[pointer.kind] = value, pointer.rank+1
}

// complete says that nothing later in the document can be a better hit.
func (d *ids) complete() bool {
	return d.rank == [idKinds]int{1, 1, 1}
}

// isID says that raw is a number or a string that is not empty.
func isID(raw []byte) bool {
	switch c := raw[0]; {
	case c == '"':
		return len(raw) > 2
	default:
		return c == '-' || c >= '0' && c <= '9'
	}
}

// member is the raw value of a member of raw, or an array's element by its
// index; nil when there is none.
func member(raw []byte, token string) []byte {
	if len(raw) > 0 && raw[0] == '[' {
		index := 0
		if len(token) > 6 {
			return nil
		}
		for _, c := range []byte(token) {
			if c < '0' || c > '9' {
				return nil
			}
			index = 10*index + int(c-'0')
		}
		for e := elementsOf(raw); e.next(); index-- {
			if index == 0 {
				return e.value
			}
		}
		return nil
	}
	for m := membersOf(raw, 0); m.next(); {
		if string(m.key) == token {
			return m.value
		}
	}
	return nil
}
