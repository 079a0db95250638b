package protowire

import (
	"bytes"
	"math"
	"testing"

	peer "google.golang.org/protobuf/encoding/protowire"
)

// What is read is what protobuf's own package reads, and so is what is not.
func FuzzConsume(f *testing.F) {
	for _, b := range [][]byte{
		nil, {0}, {8, 1}, {0x0a, 3, 'a', 'b', 'c'}, {0x0a, 4, 'a'}, {0x0d, 1, 2, 3, 4}, {0x09, 1, 2, 3, 4, 5, 6, 7, 8}, {0x09, 1}, {0x0d, 1},
		{0x0b, 8, 1, 0x0c}, {0x0b, 0x13, 0x14, 0x0c}, {0x0b, 8, 1, 0x14}, {0x0b}, {0x0c}, {0x0e}, {0x80}, bytes.Repeat([]byte{0xff}, 9),
		append(bytes.Repeat([]byte{0xff}, 9), 1), append(bytes.Repeat([]byte{0xff}, 9), 2), bytes.Repeat([]byte{0xff}, 12), {0x80, 0}, {0x88, 0x80, 0, 1},
		append([]byte{0x0a}, append(bytes.Repeat([]byte{0xff}, 9), 1)...), {0xf8, 0xff, 0xff, 0xff, 0x3f, 1}, {0xf8, 0xff, 0xff, 0xff, 0x7f, 1},
		bytes.Repeat([]byte{0x0b}, maxDepth+2), append(bytes.Repeat([]byte{0x0b}, maxDepth+1), bytes.Repeat([]byte{0x0c}, maxDepth+1)...),
		append(bytes.Repeat([]byte{0x0b}, maxDepth+2), bytes.Repeat([]byte{0x0c}, maxDepth+2)...),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, ours, theirs int) {
			if ours != theirs && (ours >= 0 || theirs >= 0) {
				t.Errorf("%s of % x: %d bytes, protobuf's %d", what, b, ours, theirs)
			}
		}
		number, n := ConsumeVarint(b)
		theirs, m := peer.ConsumeVarint(b)
		if same("varint", n, m); n > 0 && number != theirs {
			t.Errorf("varint of % x: %d, protobuf's %d", b, number, theirs)
		}
		data, n := ConsumeBytes(b)
		other, m := peer.ConsumeBytes(b)
		if same("bytes", n, m); n > 0 && !bytes.Equal(data, other) {
			t.Errorf("bytes of % x: % x, protobuf's % x", b, data, other)
		}
		field, kind, n := ConsumeTag(b)
		number2, kind2, m := peer.ConsumeTag(b)
		if same("tag", n, m); n > 0 && (int(field) != int(number2) || int(kind) != int(kind2)) {
			t.Errorf("tag of % x: %d %d, protobuf's %d %d", b, field, kind, number2, kind2)
		}
		field, kind, n = ConsumeField(b)
		number2, kind2, m = peer.ConsumeField(b)
		if same("field", n, m); n > 0 && (int(field) != int(number2) || int(kind) != int(kind2)) {
			t.Errorf("field of % x: %d %d, protobuf's %d %d", b, field, kind, number2, kind2)
		}
	})
}

// What is appended is what protobuf's own package appends.
func FuzzAppend(f *testing.F) {
	for shift := range 64 {
		f.Add(int32(1+shift), uint64(1)<<shift, "text")
		f.Add(int32(math.MaxInt32>>(shift%31)), uint64(1)<<shift-1, "")
	}
	f.Fuzz(func(t *testing.T, field int32, v uint64, text string) {
		if field <= 0 {
			return
		}
		for name, pair := range map[string][2][]byte{
			"tag":     {AppendTag(nil, Number(field), BytesType), peer.AppendTag(nil, peer.Number(field), peer.BytesType)},
			"varint":  {AppendVarint(nil, v), peer.AppendVarint(nil, v)},
			"fixed32": {AppendFixed32(nil, uint32(v)), peer.AppendFixed32(nil, uint32(v))},
			"fixed64": {AppendFixed64(nil, v), peer.AppendFixed64(nil, v)},
			"bytes":   {AppendBytes(nil, []byte(text)), peer.AppendBytes(nil, []byte(text))},
			"string":  {AppendString(nil, text), peer.AppendString(nil, text)},
			"bool":    {AppendVarint(nil, EncodeBool(v != 0)), peer.AppendVarint(nil, peer.EncodeBool(v != 0))},
		} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("%s of %d, %d, %q: % x, protobuf's % x", name, field, v, text, pair[0], pair[1])
			}
		}
		if SizeVarint(v) != len(AppendVarint(nil, v)) || SizeTag(Number(field)) != len(AppendTag(nil, Number(field), VarintType)) {
			t.Errorf("%d takes %d bytes, a tag of %d %d", v, SizeVarint(v), field, SizeTag(Number(field)))
		}
	})
}
