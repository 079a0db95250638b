package jsonwalk

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns a copy of the string in raw; empty if raw is not a string.
func Text(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	return string(Inner(raw))
}

// Texts returns a copy of the strings in the array raw. Strings without escapes share
// one allocation.
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

// Inner returns the content of the string raw. It aliases raw if it has no escapes.
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

// Scalar returns the string or the number in raw as text; empty for anything else.
func Scalar(raw []byte) string {
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return string(raw)
	}
	return Text(raw)
}

// unescape resolves the escapes in the content of a well-formed string. An unpaired
// surrogate becomes U+FFFD, as in encoding/json.
func unescape(raw []byte) []byte {
	out := make([]byte, len(raw)+8) // the result is not longer than raw; 8 more because words of 8 bytes are written
	i, n := 0, 0
	for i < len(raw) {
		plain := 0
		if len(raw)-i >= 8 {
			word := binary.LittleEndian.Uint64(raw[i:])
			binary.LittleEndian.PutUint64(out[n:], word)
			slash := word ^ low*'\\'
			plain = bits.TrailingZeros64((slash-low)&^slash&high) / 8 // 8 if there is none
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

// plainFrom copies the bytes before the next escape, if there are at least 64, and
// returns their number.
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

// pair combines the surrogate r with the escape at i.
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
