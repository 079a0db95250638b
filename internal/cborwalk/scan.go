// Package cborwalk reads CBOR (RFC 8949) in place, as Smithy's protocol
// rpc-v2-cbor uses it: it finds where data items begin and end, validates
// them, and allocates nothing. Lengths may be definite or indefinite.
package cborwalk

import "encoding/binary"

// MaxDepth is the maximum nesting of lists, maps and tags, which is that of Smithy's
// own decoders.
const MaxDepth = 128

// Major is the major type of a data item.
type Major byte

// The major types (RFC 8949, 3.1).
const (
	Uint Major = iota
	NegInt
	Bytes
	Text
	List
	Map
	Tag
	Simple
)

// The additional information of a head that is not itself the argument.
const (
	argument1  = 24 // the argument is the next byte; 25, 26 and 27: the next 2, 4, 8
	argument8  = 27
	indefinite = 31
	stop       = 0xff // ends an item of indefinite length
)

// The simple values.
const (
	isFalse = iota + 20
	isTrue
	isNull
	isUndefined
)

// Head is the head of a data item: its type, its argument and, for text, bytes,
// lists and maps, whether the length is known.
type Head struct {
	Major      Major
	Indefinite bool   // the item ends with a stop byte, and Argument is 0
	Argument   uint64 // length, count, value or bits
	Size       int    // bytes of the head
}

// HeadAt reads the head at i. ok is false if there is none that Smithy supports.
func HeadAt(b []byte, i int) (h Head, ok bool) {
	if i < 0 || i >= len(b) {
		return Head{}, false
	}
	h = Head{Major: Major(b[i] >> 5), Size: 1}
	switch minor := b[i] & 0x1f; {
	case minor < argument1:
		h.Argument = uint64(minor)
	case minor <= argument8:
		width := 1 << (minor - argument1)
		if len(b)-i-1 < width {
			return Head{}, false
		}
		var wide [8]byte
		copy(wide[8-width:], b[i+1:i+1+width])
		h.Argument, h.Size = binary.BigEndian.Uint64(wide[:]), 1+width
	case minor == indefinite && h.Major >= Bytes && h.Major <= Map:
		h.Indefinite = true
	default:
		return Head{}, false
	}
	return h, h.Major != Simple || h.Size > 2 || h.Size == 1 && h.Argument >= isFalse && h.Argument <= isUndefined
}

// AppendHead appends the head of an item of definite length. The argument has at
// least width bytes.
func AppendHead(b []byte, major Major, argument uint64, width int) []byte {
	first := byte(major) << 5
	switch {
	case width == 0 && argument < argument1:
		return append(b, first|byte(argument))
	case width <= 1 && argument <= 0xff:
		return append(b, first|argument1, byte(argument))
	case width <= 2 && argument <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first|(argument1+1)), uint16(argument))
	case width <= 4 && argument <= 0xffffffff:
		return binary.BigEndian.AppendUint32(append(b, first|(argument1+2)), uint32(argument))
	}
	return binary.BigEndian.AppendUint64(append(b, first|argument8), argument)
}

// AppendText appends a text string of definite length.
func AppendText(b []byte, text string) []byte {
	return append(AppendHead(b, Text, uint64(len(text)), 0), text...)
}

// Skip returns the index after the data item at i, -1 if there is none. Its running
// time is bounded by the number of bytes in b, whatever lengths they contain.
func Skip(b []byte, i int) int { return skip(b, i, 0) }

func skip(b []byte, i, depth int) int {
	h, ok := HeadAt(b, i)
	if !ok {
		return -1
	}
	switch h.Major {
	case Bytes, Text:
		return skipString(b, i, h)
	case List, Map, Tag:
		if depth == MaxDepth {
			return -1
		}
	default:
		return i + h.Size
	}
	i += h.Size
	if h.Major == Tag {
		return skip(b, i, depth+1)
	}
	if h.Argument > uint64(len(b)) { // each part has at least one byte
		return -1
	}
	for n := uint64(0); h.Indefinite || n < h.Argument; n++ {
		if h.Indefinite && i < len(b) && b[i] == stop {
			return i + 1
		}
		if h.Major == Map {
			if i = skipKey(b, i); i < 0 {
				return -1
			}
		}
		if i = skip(b, i, depth+1); i < 0 {
			return -1
		}
	}
	return i
}

// skipKey is skip for a map's key, which must be a text string.
func skipKey(b []byte, i int) int {
	h, ok := HeadAt(b, i)
	if !ok || h.Major != Text {
		return -1
	}
	return skipString(b, i, h)
}

// skipString is skip for the text or byte string at i, whose head is h.
func skipString(b []byte, i int, h Head) int {
	i += h.Size
	if !h.Indefinite {
		if h.Argument > uint64(len(b)-i) {
			return -1
		}
		return i + int(h.Argument)
	}
	for i < len(b) && b[i] != stop {
		part, ok := HeadAt(b, i)
		if !ok || part.Major != h.Major || part.Indefinite {
			return -1
		}
		if i = skipString(b, i, part); i < 0 {
			return -1
		}
	}
	if i >= len(b) {
		return -1
	}
	return i + 1
}

// StringOf returns the content of the text or byte string raw, a whole data item. It
// aliases raw if the length is definite. ok is false for any other item.
func StringOf(raw []byte) (s []byte, ok bool) {
	h, ok := HeadAt(raw, 0)
	if !ok || h.Major != Text && h.Major != Bytes {
		return nil, false
	}
	if !h.Indefinite {
		return raw[h.Size:], true
	}
	s = make([]byte, 0, len(raw))
	for i := h.Size; raw[i] != stop; {
		part, _ := HeadAt(raw, i)
		i += part.Size
		s = append(s, raw[i:i+int(part.Argument)]...)
		i += int(part.Argument)
	}
	return s, true
}

// IsNull reports whether raw, a whole data item, is null or undefined.
func IsNull(raw []byte) bool {
	return len(raw) == 1 && (raw[0] == byte(Simple)<<5|isNull || raw[0] == byte(Simple)<<5|isUndefined)
}
