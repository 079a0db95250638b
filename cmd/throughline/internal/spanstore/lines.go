package spanstore

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// readLines visits the spans of the wanted lines; nil means all. It searches the text of
// a line before it parses it, because most lines of a large file belong to other
// workflows.
func readLines(r io.Reader, wanted func(line []byte) bool, visit func(encoded) error) error {
	const ahead = 1 << 20
	in := bufio.NewReaderSize(r, ahead)
	var long []byte
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		if len(line) > 1 && (wanted == nil || wanted(line)) && json.Valid(line) {
			if _, err := eachSpan(line, visit); err != nil {
				return err
			}
		}
		long = long[:0]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// saying returns a filter for documents that can contain one of the texts.
func saying(texts ...string) func([]byte) bool {
	if slices.ContainsFunc(texts, func(text string) bool { return strings.ContainsFunc(text, mayBeEscaped) }) {
		return nil
	}
	return func(document []byte) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return bytes.Contains(document, jsonwalk.Bytes(text)) }) || bytes.Contains(document, []byte(`\u`))
	}
}

// ofTraces returns a filter for documents with a span of one of the traces, or a link to
// one, by trace IDs in lower-case hex.
func ofTraces(traces map[string]bool) func([]byte) bool {
	const name, size = `"traceId":"`, 32
	return func(document []byte) bool {
		for {
			i := bytes.Index(document, []byte(name))
			if i < 0 {
				return false
			}
			if document = document[i+len(name):]; len(document) >= size && traces[w3c(string(document[:size]))] {
				return true
			}
		}
	}
}
