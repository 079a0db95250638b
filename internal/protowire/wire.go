// Package protowire reads and appends protobuf's wire format (protobuf.dev,
// "Encoding"). It is the part of google.golang.org/protobuf/encoding/protowire that
// spans need. It replaces that package because one of its dependencies reads the
// program's own file at every start.
package protowire

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Number is the number of a field.
type Number int32

// Type is the wire type of a field's value.
type Type int8

// The types.
const (
	VarintType     Type = 0
	Fixed64Type    Type = 1
	BytesType      Type = 2
	StartGroupType Type = 3
	EndGroupType   Type = 4
	Fixed32Type    Type = 5
)

const (
	malformed = -1
	// maxDepth is the maximum nesting of groups.
	maxDepth = 10_000
)

// AppendTag appends the tag of a field, which precedes its value.
func AppendTag(b []byte, field Number, kind Type) []byte {
	return AppendVarint(b, tag(field, kind))
}

func tag(field Number, kind Type) uint64 { return uint64(field)<<3 | uint64(kind&7) }

// AppendVarint appends a number in as few bytes as possible.
func AppendVarint(b []byte, v uint64) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	return binary.AppendUvarint(b, v)
}

// AppendFixed32 appends a number in four bytes.
func AppendFixed32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

// AppendFixed64 appends a number in eight bytes.
func AppendFixed64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// AppendBytes appends the length of v and v.
func AppendBytes(b, v []byte) []byte { return append(AppendVarint(b, uint64(len(v))), v...) }

// AppendString appends the length of v and v.
func AppendString(b []byte, v string) []byte { return append(AppendVarint(b, uint64(len(v))), v...) }

// EncodeBool returns the number that represents v.
func EncodeBool(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// SizeTag returns how many bytes AppendTag appends.
func SizeTag(field Number) int { return SizeVarint(tag(field, 0)) }

// SizeVarint returns how many bytes AppendVarint appends.
func SizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// ConsumeTag reads the tag at the start of b, of n bytes; n is -1 if there is none.
func ConsumeTag(b []byte) (field Number, kind Type, n int) {
	v, n := ConsumeVarint(b)
	if n < 0 || v>>3 == 0 || v>>3 > math.MaxInt32 {
		return 0, 0, malformed
	}
	return Number(v >> 3), Type(v & 7), n
}

// ConsumeVarint reads the number at the start of b, of n bytes; n is -1 if there is
// none.
func ConsumeVarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return longVarint(b)
}

func longVarint(b []byte) (uint64, int) {
	if v, n := binary.Uvarint(b); n > 0 {
		return v, n
	}
	return 0, malformed
}

// ConsumeBytes reads the length at the start of b and the bytes after it, n bytes in
// all; n is -1 if they are missing. v aliases b.
func ConsumeBytes(b []byte) (v []byte, n int) {
	size, n := ConsumeVarint(b)
	if n < 0 || size > uint64(len(b)-n) {
		return nil, malformed
	}
	end := n + int(size)
	return b[n:end], end
}

// ConsumeField reads the field at the start of b, of n bytes; n is -1 if there is none.
func ConsumeField(b []byte) (field Number, kind Type, n int) {
	field, kind, n = ConsumeTag(b)
	if n < 0 {
		return 0, 0, malformed
	}
	size := ConsumeFieldValue(field, kind, b[n:])
	if size < 0 {
		return 0, 0, malformed
	}
	return field, kind, n + size
}

// ConsumeFieldValue returns the size of the field's value at the start of b, in bytes;
// -1 if there is none.
func ConsumeFieldValue(field Number, kind Type, b []byte) int { return value(field, kind, b, maxDepth) }

func value(field Number, kind Type, b []byte, depth int) int {
	switch kind {
	case VarintType:
		_, n := ConsumeVarint(b)
		return n
	case Fixed32Type:
		return fixed(b, 4)
	case Fixed64Type:
		return fixed(b, 8)
	case BytesType:
		_, n := ConsumeBytes(b)
		return n
	case StartGroupType:
		return group(field, b, depth)
	default:
		return malformed
	}
}

func fixed(b []byte, n int) int {
	if len(b) < n {
		return malformed
	}
	return n
}

// group returns the size of a group's fields and its end tag, in bytes.
func group(field Number, b []byte, depth int) int {
	if depth < 0 {
		return malformed
	}
	for rest := b; ; {
		inner, kind, n := ConsumeTag(rest)
		if n < 0 {
			return malformed
		}
		rest = rest[n:]
		if kind == EndGroupType {
			if inner != field {
				return malformed
			}
			return len(b) - len(rest)
		}
		size := value(inner, kind, rest, depth-1)
		if size < 0 {
			return malformed
		}
		rest = rest[size:]
	}
}
