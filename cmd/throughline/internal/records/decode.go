package records

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	gzipMagic = []byte{0x1f, 0x8b}
	utf8Mark  = []byte{0xef, 0xbb, 0xbf}
	utf16LE   = []byte{0xff, 0xfe}
	utf16BE   = []byte{0xfe, 0xff}
)

var errTruncated = errors.New("the compressed data is truncated")

const buffer = 1 << 20

// decoded returns r as UTF-8 without a byte order mark. It decompresses gzip up to twice:
// CloudWatch Logs compresses what it sends to Firehose, and Firehose can compress again.
func decoded(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, buffer)
	for range 2 {
		if magic, _ := in.Peek(len(gzipMagic)); !bytes.Equal(magic, gzipMagic) {
			break
		}
		unzipped, err := unzip(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReaderSize(unzipped, buffer)
	}
	mark, _ := in.Peek(len(utf8Mark))
	switch {
	case bytes.Equal(mark, utf8Mark):
		_, _ = in.Discard(len(utf8Mark)) // already peeked
	case bytes.HasPrefix(mark, utf16LE), bytes.HasPrefix(mark, utf16BE):
		_, _ = in.Discard(len(utf16LE))
		return bufio.NewReaderSize(&fromUTF16{in: in, big: bytes.HasPrefix(mark, utf16BE)}, buffer), nil
	}
	return in, nil
}

// The maximum uncompressed size: a fixed size, or a multiple of the compressed size. Logs
// compress by a factor of five to fifty, gzip by at most 1032.
const (
	anyway   = 256 << 20
	inflated = 400
)

type unzipping struct {
	*gzip.Reader
	in  *counting
	out int64
}

type counting struct {
	io.ByteReader
	io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counting) ReadByte() (byte, error) {
	b, err := c.ByteReader.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func unzip(in *bufio.Reader) (io.Reader, error) {
	counted := &counting{ByteReader: in, Reader: in}
	z, err := gzip.NewReader(counted)
	if err != nil {
		return nil, unzipError(err)
	}
	return &unzipping{Reader: z, in: counted}, nil
}

func (u *unzipping) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if u.out += int64(n); u.out > anyway && u.out > inflated*u.in.n {
		return 0, fmt.Errorf("unzip: the data is more than %d times its compressed size, %d MiB so far, unlike any log: reading stopped", inflated, u.out>>20)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if err = unzipError(err); errors.Is(err, gzip.ErrHeader) {
			err = errTruncated // padding, or other data, after the compressed data
		}
	}
	return n, err
}

func unzipError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errTruncated
	}
	return fmt.Errorf("unzip: %w", err)
}

// fromUTF16 converts UTF-16, which PowerShell's > writes, to UTF-8.
type fromUTF16 struct {
	in      io.Reader
	big     bool
	pending []byte // UTF-8 that was not read yet
	high    rune   // the first half of a pair
}

func (u *fromUTF16) Read(p []byte) (int, error) {
	var unit [2]byte
	for len(u.pending) < len(p) && len(u.pending) < buffer {
		if _, err := io.ReadFull(u.in, unit[:]); err != nil {
			if len(u.pending) > 0 {
				break
			}
			return 0, io.EOF
		}
		r := rune(unit[0]) | rune(unit[1])<<8
		if u.big {
			r = rune(unit[1]) | rune(unit[0])<<8
		}
		switch {
		case u.high != 0:
			r, u.high = utf16.DecodeRune(u.high, r), 0
		case utf16.IsSurrogate(r):
			u.high = r
			continue
		}
		u.pending = utf8.AppendRune(u.pending, r)
	}
	n := copy(p, u.pending)
	u.pending = append(u.pending[:0], u.pending[n:]...)
	return n, nil
}
