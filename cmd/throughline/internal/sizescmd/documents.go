package sizescmd

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Documents calls f with each JSON document in r: one a line, whatever stands
// before its first brace as in an export of logs, or over several lines that end
// in a brace or bracket alone. gzip is undone. It returns how many lines held none.
func Documents(r io.Reader, f func(document []byte)) (skipped int, err error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := lines.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(lines)
		if err != nil {
			return 0, fmt.Errorf("unzip: %w", err)
		}
		lines = bufio.NewReaderSize(unzipped, 64<<10)
	}
	var block []byte // of a document over several lines
	blockLines := 0
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return skipped, fmt.Errorf("read: %w", err)
		}
		last := err != nil
		trimmed := bytes.TrimSpace(line)
		switch {
		case len(trimmed) == 0:
		case block != nil:
			block, blockLines = append(block, line...), blockLines+1
			if closes(line) {
				skipped += emit(block, blockLines, f)
				block = nil
			}
		case startsBlock(trimmed):
			block, blockLines = bytes.Clone(line), 1
		default:
			skipped += emit(trimmed, 1, f)
		}
		if last {
			if block != nil {
				skipped += blockLines
			}
			return skipped, nil
		}
	}
}

// startsBlock says that a line opens a printed document.
func startsBlock(line []byte) bool {
	return string(line) == "{" || string(line) == "[" || string(line) == "[{"
}

// closes says that a line is the brace or bracket that ends a printed document.
func closes(line []byte) bool {
	line = bytes.TrimRight(line, " \t\r\n")
	return len(line) == 1 && (line[0] == '}' || line[0] == ']')
}

func emit(text []byte, lines int, f func([]byte)) (skipped int) {
	begin := bytes.IndexAny(text, "{[")
	for tries := 0; begin >= 0 && tries < 4; tries++ { // a prefix may hold brackets, as [INFO]
		if text = text[begin:]; json.Valid(text) && text[0] == '{' || lines > 1 && json.Valid(text) {
			f(text)
			return 0
		}
		if begin = bytes.IndexAny(text[1:], "{["); begin >= 0 {
			begin++
		}
	}
	return lines
}

// Unwrap calls f with each document inside an export: of CloudWatch Logs
// (filter-log-events, a subscription, Logs Insights), of an SQS queue
// (receive-message), of PutEvents. What is in nothing is itself. queued says that it
// was the body of a message.
func Unwrap(document []byte, f func(document []byte, queued bool)) {
	unwrap(document, false, 0, f)
}

// maxNesting bounds exports within exports.
const maxNesting = 8

func unwrap(document []byte, queued bool, depth int, f func([]byte, bool)) {
	var list []json.RawMessage
	if depth > maxNesting {
		return
	}
	if json.Unmarshal(document, &list) == nil {
		for _, item := range list {
			unwrap(item, queued, depth+1, f)
		}
		return
	}
	var o struct {
		Events, LogEvents, Messages, Entries []json.RawMessage
		Results                              [][]struct{ Field, Value string }
		Message                              json.RawMessage
		Body                                 *string
		AWS                                  json.RawMessage `json:"_aws"`
		DetailType                           json.RawMessage `json:"detail-type"`
	}
	if json.Unmarshal(document, &o) != nil || o.AWS != nil || o.DetailType != nil {
		f(document, queued)
		return
	}
	var message string
	_ = json.Unmarshal(o.Message, &message) // any other is no log event's
	switch {
	case len(o.Events)+len(o.LogEvents)+len(o.Messages)+len(o.Entries) > 0:
		for _, items := range [][]json.RawMessage{o.Events, o.LogEvents, o.Messages, o.Entries} {
			for _, item := range items {
				unwrap(item, queued, depth+1, f)
			}
		}
	case len(o.Results) > 0:
		for _, row := range o.Results {
			for _, column := range row {
				if column.Field == "@message" {
					text(column.Value, queued, depth, f)
				}
			}
		}
	case o.Body != nil:
		text(*o.Body, true, depth, f)
	case !queued && bytes.IndexByte([]byte(message), '{') >= 0 && !bytes.Contains(document, []byte(`"TopicArn"`)):
		text(message, queued, depth, f)
	default:
		f(document, queued)
	}
}

// text unwraps what a log event or a message says.
func text(s string, queued bool, depth int, f func([]byte, bool)) {
	_, _ = Documents(bytes.NewReader([]byte(s)), func(document []byte) { // reading memory does not fail
		unwrap(document, queued, depth+1, f)
	})
}
