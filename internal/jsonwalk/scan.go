// Package jsonwalk reads JSON (RFC 8259) in place: it finds where values begin
// and end, validates the grammar, and allocates nothing. Events are read with it
// while the function waits: encoding/json takes ten times as long, and does not
// report the position of a value.
package jsonwalk

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// MaxDepth is the maximum nesting of a value. EventBridge accepts 1000 levels.
const MaxDepth = 1024

// Bytes returns s as bytes without a copy. They must not be modified.
func Bytes(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// View returns b as a string without a copy. b must not be modified afterwards.
func View(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// SkipSpace returns the index of the first byte from i on that is not a space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// SkipValue returns the index after the value at i, which no space may precede; -1 if
// there is none.
func SkipValue(b []byte, i int) int {
	if i < len(b) && (b[i] == '{' || b[i] == '[') {
		return skipNested(b, i)
	}
	return skipScalar(b, i)
}

func skipScalar(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch c := b[i]; {
	case c == '"':
		return skipString(b, i)
	case c == '-' || c >= '0' && c <= '9':
		return skipNumber(b, i)
	case c == 't':
		return skipWord(b, i, "true")
	case c == 'f':
		return skipWord(b, i, "false")
	case c == 'n':
		return skipWord(b, i, "null")
	}
	return -1
}

func skipWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func skipNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = SkipDigits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = SkipDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return SkipDigits(b, i)
	}
	return i
}

// SkipDigits returns the index after one or more digits at i; -1 if there are none.
func SkipDigits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

const (
	low  = 0x0101010101010101
	high = 0x8080808080808080
)

// skipString returns the index after the string whose opening quote is at i.
func skipString(b []byte, i int) int {
	for i++; ; {
		if i = SkipPlain(b, i); i == len(b) {
			return -1
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i = SkipEscape(b, i); i < 0 {
				return -1
			}
		default:
			return -1
		}
	}
}

// SkipPlain returns the index of the first byte from i on, in a string, that is a quote,
// a backslash or a control character; len(b) if there is none. It tests 32 bytes at a
// time, because most of a detail is in strings. It first tests 8, because a detail that
// is itself a string has an escape every few bytes.
func SkipPlain(b []byte, i int) int {
	for len(b)-i >= 8 {
		if special := specials(binary.LittleEndian.Uint64(b[i:])); special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
		for i += 8; len(b)-i >= 32; i += 32 {
			x := b[i : i+32]
			if specials(binary.LittleEndian.Uint64(x))|specials(binary.LittleEndian.Uint64(x[8:]))|
				specials(binary.LittleEndian.Uint64(x[16:]))|specials(binary.LittleEndian.Uint64(x[24:])) != 0 {
				break
			}
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
		i++
	}
	return i
}

// specials sets the high bit of the first of eight bytes that is a quote, a backslash or
// a control character. It may also set the high bits of bytes after that one.
func specials(x uint64) uint64 {
	quote, slash := x^(low*'"'), x^(low*'\\')
	return ((quote-low)&^quote | (slash-low)&^slash | (x-low*0x20)&^x) & high
}

// SkipEscape returns the index after the escape at i; -1 if it is not valid.
func SkipEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(b, i+2); ok {
			return i + 6
		}
	}
	return -1
}

func hex4(b []byte, i int) (rune, bool) {
	if len(b)-i < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// skipKey returns the index after the key at i, and the index of its value; -1 if there
// is none.
func skipKey(b []byte, i int) (end, value int) {
	if i >= len(b) || b[i] != '"' {
		return -1, -1
	}
	if end = skipString(b, i); end < 0 {
		return -1, -1
	}
	if i = SkipSpace(b, end); i >= len(b) || b[i] != ':' {
		return -1, -1
	}
	return end, SkipSpace(b, i+1)
}

// skipNested is SkipValue for objects and arrays. It stores one bit for each level, and
// does not recurse.
func skipNested(b []byte, i int) int {
	var objects [MaxDepth / 64]uint64
	depth := 0
	for {
		if i < len(b) && (b[i] == '{' || b[i] == '[') {
			if depth == MaxDepth {
				return -1
			}
			bit, object := uint64(1)<<(depth%64), b[i] == '{'
			objects[depth/64] &^= bit
			if object {
				objects[depth/64] |= bit
			}
			depth++
			i = SkipSpace(b, i+1)
			if i < len(b) && b[i] != '}' && b[i] != ']' {
				if object {
					if _, i = skipKey(b, i); i < 0 {
						return -1
					}
				}
				continue
			}
		} else if i = skipScalar(b, i); i < 0 {
			return -1
		}
		for { // after a value, or before the end of an empty object or array
			i = SkipSpace(b, i)
			if i >= len(b) {
				return -1
			}
			object := objects[(depth-1)/64]&(1<<((depth-1)%64)) != 0
			if b[i] == ',' {
				i = SkipSpace(b, i+1)
				if object {
					if _, i = skipKey(b, i); i < 0 {
						return -1
					}
				}
				break
			}
			if object && b[i] != '}' || !object && b[i] != ']' {
				return -1
			}
			i++
			if depth--; depth == 0 {
				return i
			}
		}
	}
}
