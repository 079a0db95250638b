package jsonwalk

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is the string in raw, a copy; empty when raw is no string.
func Text(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	return string(Inner(raw))
}

// Texts are the strings in the array raw, a copy; those without escapes share
// one piece of memory.
func Texts(raw []byte) []string {
	count := 0
	for e := ElementsOf(raw, 0); e.Next(); {
		count++
	}
	if count == 0 {
		return nil
	}
	all, list := string(raw), make([]string, 0, count)
	for e := ElementsOf(raw, 0); e.Next(); {
		value := e.Value
		if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
			list = append(list, Text(value))
			continue
		}
		list = append(list, all[e.End-len(value)+1:e.End-1])
	}
	return list
}

// Inner is what the string raw says: a part of raw where nothing in it is escaped.
func Inner(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	return unescape(raw)
}

// Scalar is the string or the number in raw, as text; empty for anything else.
func Scalar(raw []byte) string {
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return string(raw)
	}
	return Text(raw)
}

// unescape resolves the escapes of a well-formed string's inside. Half of a
// surrogate pair becomes U+FFFD, as encoding/json has it.
func unescape(raw []byte) []byte {
	out := make([]byte, len(raw)+8) // never longer than raw; and what is left of eight bytes at a time
	i, n := 0, 0
	for i < len(raw) {
		plain := 0
		if len(raw)-i >= 8 {
			word := binary.LittleEndian.Uint64(raw[i:])
			binary.LittleEndian.PutUint64(out[n:], word)
			slash := word ^ low*'\\'
			plain = bits.TrailingZeros64((slash-low)&^slash&high) / 8 // 8 where there is none
			if plain == 8 {
				plain += plainFrom(raw[i+8:], out[n+8:])
			}
		} else if raw[i] != '\\' {
			out[n], plain = raw[i], 1
		}
		i, n = i+plain, n+plain
		if i == len(raw) || raw[i] != '\\' {
			continue
		}
		size := 2
		switch c := raw[i+1]; c {
		case 'b':
			out[n] = '\b'
		case 'f':
			out[n] = '\f'
		case 'n':
			out[n] = '\n'
		case 'r':
			out[n] = '\r'
		case 't':
			out[n] = '\t'
		case 'u':
			r, _ := hex4(raw, i+2)
			size = 6
			if utf16.IsSurrogate(r) {
				if r = pair(raw, i+6, r); r != utf8.RuneError {
					size = 12
				}
			}
			n += utf8.EncodeRune(out[n:], r) - 1
		default:
			out[n] = c
		}
		i, n = i+size, n+1
	}
	return out[:n]
}

// plainFrom copies what stands before the next escape, where that is far away,
// and returns how much that is.
func plainFrom(raw, out []byte) int {
	const near = 64
	if len(raw) < near || bytes.IndexByte(raw[:near], '\\') >= 0 {
		return 0
	}
	end := bytes.IndexByte(raw[near:], '\\')
	if end < 0 {
		end = len(raw) - near
	}
	return copy(out, raw[:near+end])
}

// pair joins the surrogate r with the escape at i.
func pair(raw []byte, i int, r rune) rune {
	if len(raw)-i < 6 || raw[i] != '\\' || raw[i+1] != 'u' {
		return utf8.RuneError
	}
	second, ok := hex4(raw, i+2)
	if !ok {
		return utf8.RuneError
	}
	return utf16.DecodeRune(r, second)
}
