// Package records finds the JSON documents in logs, events and metrics, for every command
// that reads any of them. It reads:
//
//   - JSON: one document a line, several a line, or one over several lines, with
//     any text before and after it: a function's log, `aws logs tail` in each of
//     its formats, `sam logs`, an export of CloudWatch Logs to S3;
//   - exports, whose log events, messages and entries are documents themselves:
//     filter-log-events, get-log-events, Logs Insights (API and console, JSON and
//     CSV), subscriptions (also base64, as Lambda and Kinesis receive them),
//     Firehose's objects, receive-message, the entries of put-events;
//   - any of them with CRLF, a byte order mark, in UTF-16, or compressed with gzip,
//     in one or several members, also twice.
//
// It does not interpret documents: that is the caller's task.
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
	JSON   []byte // valid until visit returns
	Queued bool   // the document was the body of a queue's message
}

// Left counts what was skipped. The zero value means nothing.
type Left struct {
	Lines     int  // lines, log events, messages and rows without a document
	TooLong   int  // lines and documents of more than [MaxDocument] bytes
	Truncated bool // the compressed data is truncated
}

// Add adds the counts of another file.
func (l *Left) Add(o Left) {
	l.Lines += o.Lines
	l.TooLong += o.TooLong
	l.Truncated = l.Truncated || o.Truncated
}

// String describes what was skipped, or returns "".
func (l Left) String() string {
	var parts []string
	if l.Lines > 0 {
		parts = append(parts, phrase.Count(l.Lines, "line")+" without a JSON document")
	}
	if l.TooLong > 0 {
		parts = append(parts, fmt.Sprintf("%s longer than %d MiB", phrase.Count(l.TooLong, "line"), MaxDocument>>20))
	}
	if l.Truncated {
		parts = append(parts, "the rest after truncated compressed data")
	}
	return strings.Join(parts, ", ")
}

// MaxDocument is the maximum size of a line and of a document, in bytes.
const MaxDocument = 128 << 20

// Read calls visit with each document in r, in order, until visit returns an error. It
// returns what was skipped, and an error of r, of decompressing it, or of visit.
func Read(r io.Reader, visit func(Document) error) (Left, error) {
	s := scan{visit: visit}
	err := s.readFile(r)
	if errors.Is(err, errTruncated) {
		s.left.Truncated = true
		err = nil
	}
	return s.left, err
}

// scan is the state of one read.
type scan struct {
	visit func(Document) error
	left  Left
	block block
	err   error // the error of visit
}

// Lines returns r as one document a line, for readers of that form only. The caller must
// close it, even at the end.
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
		_ = in.CloseWithError(err) // never fails
	}()
	return out
}
