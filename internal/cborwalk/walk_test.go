package cborwalk

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
)

var seeds = []string{
	"a0", "bfff", "80", "9fff", "60", "7fff", "40", "5fff", "f4", "f5", "f6", "f7", "f97e00", "fa7f800000", "fb7ff0000000000000", "00", "17", "1818", "1903e8", "1a000f4240", "1bffffffffffffffff",
	"20", "3bfffffffffffffffe", "c11a514b67b0", "c1fb41d452d9ec200000", "a161610a", "bf61610aff", "a2616101616102", "9f019f02ff8203ffff", "7f61616162ff", "5f41014102ff", "7f4161ff", "7f7f6161ffff",
	"", "ff", "f8", "f8ff", "e0", "fc", "1c", "3f", "df", "81", "a1", "a16161", "a10102", "a1416101", "6261", "4201", "9f", "bf", "7f", "5f", "7f61", "9bffffffffffffffff", "bbffffffffffffffff",
	"9b7fffffffffffffff00", "9affffffff00", "baffffffff", "7bffffffffffffffff", "5a80000000", "c1", "d9d9f7", "b801616100", "98020102", "b9000161610a", "a17f6161ff01",
}

// build is raw, a whole data item, as smithy's decoder would have it. It goes by
// the walks.
func build(t *testing.T, data []byte, i int) cbor.Value {
	t.Helper()
	end := Skip(data, i)
	raw := data[i:end]
	h, _ := HeadAt(data, i)
	switch h.Major {
	case Uint:
		return cbor.Uint(h.Argument)
	case NegInt:
		return cbor.NegInt(h.Argument + 1)
	case Bytes, Text:
		s, ok := StringOf(raw)
		if !ok {
			t.Fatalf("%x: no string", raw)
		}
		if h.Major == Text {
			return cbor.String(s)
		}
		return cbor.Slice(s)
	case List:
		list := cbor.List{}
		e := ElementsOf(data, i)
		for e.Next() {
			list = append(list, build(t, data, e.At))
		}
		if e.After != end {
			t.Fatalf("%x: the list ends at %d, skipped to %d", data, e.After, end)
		}
		return list
	case Map:
		m := cbor.Map{}
		w := MembersOf(data, i)
		for w.Next() {
			m[string(w.Key)] = build(t, data, w.At)
		}
		if w.After != end {
			t.Fatalf("%x: the map ends at %d, skipped to %d", data, w.After, end)
		}
		return m
	case Tag:
		return &cbor.Tag{ID: h.Argument, Value: build(t, data, i+h.Size)}
	}
	switch {
	case IsNull(raw) && raw[0] == 0xf6:
		return &cbor.Nil{}
	case IsNull(raw):
		return &cbor.Undefined{}
	case h.Size == 1:
		return cbor.Bool(h.Argument == isTrue)
	case h.Size == 9:
		return cbor.Float64(math.Float64frombits(h.Argument))
	}
	value, err := cbor.Decode(raw) // half and single precision
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// overflows reports whether smithy's decoder may take a count that it cannot
// hold for none: of a list or a map of 2^63 parts or more.
func overflows(data []byte) bool {
	for i := 0; i+1 < len(data); i++ {
		if (data[i] == 0x9b || data[i] == 0xbb) && data[i+1] >= 0x80 {
			return true
		}
	}
	return false
}

// FuzzWalk holds the walks to smithy's decoder: the same verdict, and the same
// values.
func FuzzWalk(f *testing.F) {
	for _, seed := range seeds {
		data, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		end := Skip(data, 0)
		want, err := cbor.Decode(data)
		if end < 0 != (err != nil) {
			if end < 0 && overflows(data) {
				return
			}
			t.Fatalf("%x: skipped to %d, smithy says %v", data, end, err)
		}
		if end < 0 {
			return
		}
		if end > len(data) || end == 0 {
			t.Fatalf("%x: skipped to %d", data, end)
		}
		// Encoded, so that one NaN is as good as another.
		if got := build(t, data, 0); !reflect.DeepEqual(got, want) && !bytes.Equal(cbor.Encode(got), cbor.Encode(want)) {
			t.Fatalf("%x: %#v, smithy has %#v", data, got, want)
		}
		for cut := range min(end, 64) { // a part of an item is none
			if Skip(data[:cut], 0) >= 0 {
				t.Fatalf("%x: whole after %d of %d bytes", data, cut, end)
			}
		}
	})
}

func TestSeedsHaveSmithysVerdict(t *testing.T) {
	valid := 0
	for _, seed := range seeds {
		data, err := hex.DecodeString(seed)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cbor.Decode(data)
		if end := Skip(data, 0); end < 0 != (err != nil) && !overflows(data) {
			t.Errorf("%s: skipped to %d, smithy says %v", seed, end, err)
		} else if end >= 0 {
			valid++
		}
	}
	if valid < 30 {
		t.Errorf("%d seeds are valid", valid)
	}
}

// What is nested deeper than Smithy's own decoders go, and what names more parts
// than there are bytes, costs neither stack nor memory nor time.
func TestWhatIsReadIsBounded(t *testing.T) {
	for _, open := range []string{"\x81", "\x9f", "\xc1", "\xa1\x61a", "\xbf\x61a"} {
		tail := ""
		if open[0] == 0x9f || open[0] == 0xbf {
			tail = "\xff"
		}
		deep := func(n int) []byte {
			return []byte(strings.Repeat(open, n) + "\x00" + strings.Repeat(tail, n))
		}
		if data := deep(MaxDepth); Skip(data, 0) != len(data) {
			t.Errorf("%x: %d levels are refused", open, MaxDepth)
		}
		for _, n := range []int{MaxDepth + 1, 1 << 20} {
			if end := Skip(deep(n), 0); end >= 0 {
				t.Errorf("%x: %d levels are read to %d", open, n, end)
			}
		}
	}
	for _, head := range []string{"9b00000000ffffffff", "bb00000000ffffffff", "9bffffffffffffffff", "7bffffffffffffffff"} {
		data, _ := hex.DecodeString(head)
		data = append(data, 0, 0, 0)
		if n := testing.AllocsPerRun(10, func() {
			if Skip(data, 0) >= 0 {
				t.Errorf("%s is read", head)
			}
			for e := ElementsOf(data, 0); e.Next(); {
				continue
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", head, n)
		}
	}
}

func TestGrown(t *testing.T) {
	for in, want := range map[string]string{
		"80": "82", "9fff": "9f", "96" + strings.Repeat("00", 22): "9818", "9800": "9802", "990000": "990002", "9a00000000": "9a00000002", "98fe" + strings.Repeat("00", 254): "990100",
	} {
		data, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		e := ElementsOf(data, 0)
		if got := hex.EncodeToString(e.Grown(2)); got != want {
			t.Errorf("%s: %s, want %s", in[:min(len(in), 20)], got, want)
		}
	}
}

func TestAppendHeadIsSmithys(t *testing.T) {
	for _, n := range []uint64{0, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64} {
		if got, want := AppendHead(nil, Uint, n, 0), cbor.Encode(cbor.Uint(n)); !bytes.Equal(got, want) {
			t.Errorf("%d: %x, want %x", n, got, want)
		}
	}
	if got, want := AppendText(nil, "hops"), cbor.Encode(cbor.String("hops")); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// BenchmarkSkip is over a request of one entry of 1 KB.
func BenchmarkSkip(b *testing.B) {
	data := cbor.Encode(cbor.Map{"EventBusArn": cbor.String(strings.Repeat("a", 90)), "Entries": cbor.List{cbor.Map{
		"Source": cbor.String("s"), "DetailType": cbor.String("T"), "Detail": cbor.String(strings.Repeat("x", 1<<10)), "Resources": cbor.List{cbor.String("a"), cbor.String("b")}}}})
	b.ReportAllocs()
	for b.Loop() {
		if Skip(data, 0) != len(data) {
			b.Fatal("refused")
		}
	}
}
