// Package records finds the JSON documents in what people have of logs, events and
// metrics, for every command that reads any of them. It reads:
//
//   - JSON, one document a line, several a line, or one over several lines, with
//     whatever stands before and behind it: a function's log, `aws logs tail` in
//     each of its formats, `sam logs`, an export of CloudWatch Logs to S3;
//   - exports, whose log events, messages and entries are documents of their own:
//     filter-log-events, get-log-events, Logs Insights (API and console, JSON and
//     CSV), subscriptions (also base64, as Lambda and Kinesis hand them over),
//     Firehose's objects, receive-message, the entries of put-events;
//   - any of them with CRLF, a byte order mark, in UTF-16, or compressed with gzip,
//     in one or several members, also twice.
//
// It judges no document: what a document says is for the caller to read.
package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
)

// Document is one JSON document, an object.
type Document struct {
	JSON   []byte // valid until the function that was given it returns
	Queued bool   // it was the body of a message of a queue
}

// Left counts what was left out. The zero value is nothing.
type Left struct {
	Lines     int  // lines, log events, messages and rows without a document
	TooLong   int  // lines and documents of more than [MaxDocument] bytes
	Truncated bool // the compressed data ended in the middle
}

// Add counts what was left out of another file too.
func (l *Left) Add(o Left) {
	l.Lines += o.Lines
	l.TooLong += o.TooLong
	l.Truncated = l.Truncated || o.Truncated
}

// String says what was left out, "" for nothing.
func (l Left) String() string {
	var parts []string
	if l.Lines > 0 {
		parts = append(parts, phrase.Count(l.Lines, "line")+" without a JSON document")
	}
	if l.TooLong > 0 {
		parts = append(parts, fmt.Sprintf("%s longer than %d MiB", phrase.Count(l.TooLong, "line"), MaxDocument>>20))
	}
	if l.Truncated {
		parts = append(parts, "what follows where the compressed data ends in the middle")
	}
	return strings.Join(parts, ", ")
}

// MaxDocument bounds a line and a document, in bytes.
const MaxDocument = 128 << 20

// Read calls visit with each document in r, in order, until visit returns an
// error. It returns what was left out, and an error of r, of what is compressed,
// or of visit.
func Read(r io.Reader, visit func(Document) error) (Left, error) {
	s := scan{visit: visit}
	err := s.readFile(r)
	if errors.Is(err, errTruncated) {
		s.left.Truncated = true
		err = nil
	}
	return s.left, err
}

// scan is one reading.
type scan struct {
	visit func(Document) error
	left  Left
	block block
	err   error // visit's
}

// Lines is r as one document a line, for what reads nothing else. It must be
// closed, also where it was read to its end.
func Lines(r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	go func() {
		var line bytes.Buffer
		_, err := Read(r, func(d Document) error {
			line.Reset()
			if err := json.Compact(&line, d.JSON); err != nil {
				return fmt.Errorf("read: %w", err)
			}
			line.WriteByte('\n')
			_, err := in.Write(line.Bytes())
			return err
		})
		_ = in.CloseWithError(err) // it never fails
	}()
	return out
}
