package records

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// maxNesting bounds the depth of exports in exports.
const maxNesting = 8

// unwrap visits each document in a value: the documents of an export, or the value itself
// if it is an object.
func (s *scan) unwrap(value []byte, queued bool, depth int) {
	if s.err != nil || depth > maxNesting {
		return
	}
	if value[0] == '[' {
		for e := jsonwalk.ElementsOf(value, 0); e.Next() && s.err == nil; {
			if e.Value[0] == '{' || e.Value[0] == '[' {
				s.unwrap(e.Value, queued, depth+1)
			}
		}
		return
	}
	e := membersOf(value)
	switch {
	case e.document:
		s.err = s.visit(Document{JSON: value, Queued: queued})
	case e.logEvents != nil: // filter-log-events, get-log-events, a subscription
		s.each(e.logEvents, func(event []byte) { s.readLogEvent(event, depth+1) })
	case e.list != nil: // receive-message, put-events
		s.unwrap(e.list, queued, depth+1)
	case e.results != nil: // Logs Insights' API
		s.each(e.results, func(row []byte) { s.readRow(row, depth+1) })
	case e.data != nil: // a subscription's data in Lambda and Kinesis
		s.readCompressed(e.data, depth+1)
	case e.body != nil: // a message of SQS
		s.readText(jsonwalk.Inner(e.body), true, depth+1)
	case e.message != nil && !queued && !e.topic:
		s.readLogLine(e.message, value, depth+1)
	default:
		s.err = s.visit(Document{JSON: value, Queued: queued})
	}
}

func (s *scan) each(list []byte, f func([]byte)) {
	for e := jsonwalk.ElementsOf(list, 0); e.Next() && s.err == nil; {
		f(e.Value)
	}
}

// readLogEvent reads one event of CloudWatch Logs.
func (s *scan) readLogEvent(event []byte, depth int) {
	for m := jsonwalk.MembersOf(event, 0); m.Next(); {
		if string(m.Key) == "message" {
			s.readMessage(m.Value, depth)
			return
		}
	}
	s.unwrapAny(event, depth)
}

// unwrapAny is unwrap for a value that may not be an object.
func (s *scan) unwrapAny(value []byte, depth int) {
	if value[0] == '{' || value[0] == '[' {
		s.unwrap(value, false, depth)
		return
	}
	s.left.Lines++
}

// readMessage reads a message: a text, or JSON that was parsed already.
func (s *scan) readMessage(message []byte, depth int) {
	if message[0] == '"' {
		s.readText(jsonwalk.Inner(message), false, depth)
		return
	}
	s.unwrapAny(message, depth)
}

// readLogLine reads a log line that has its message in a member. If the message has no
// document, the line itself is the document.
func (s *scan) readLogLine(message, line []byte, depth int) {
	switch {
	case message[0] == '{':
		if inner := membersOf(message); inner.document {
			s.unwrap(message, false, depth)
			return
		}
	case message[0] == '"' && bytes.IndexByte(message, '{') >= 0:
		if s.readDocuments(jsonwalk.Inner(message), false, depth) || s.err != nil {
			return
		}
	}
	s.err = s.visit(Document{JSON: line})
}

// readRow reads one row of GetQueryResults.
func (s *scan) readRow(row []byte, depth int) {
	for column := jsonwalk.ElementsOf(row, 0); column.Next(); {
		field, value := "", []byte(nil)
		for m := jsonwalk.MembersOf(column.Value, 0); m.Next(); {
			switch string(m.Key) {
			case "field":
				field = jsonwalk.Text(m.Value)
			case "value":
				value = m.Value
			}
		}
		if field == "@message" && value != nil {
			s.readMessage(value, depth)
			return
		}
	}
	s.left.Lines++
}

// readCompressed reads a base64 text of a gzipped document.
func (s *scan) readCompressed(text []byte, depth int) {
	inner := jsonwalk.Inner(text)
	decoder := base64.NewDecoder(base64.StdEncoding, bytes.NewReader(inner))
	part := scan{visit: s.visit}
	if depth > maxNesting {
		return
	}
	err := part.readFile(decoder)
	s.left.Lines += part.left.Lines
	s.left.TooLong += part.left.TooLong
	switch {
	case part.err != nil:
		s.err = part.err
	case errors.Is(err, errTruncated):
		s.left.Truncated = true
	case err != nil:
		s.left.Lines++ // not base64, or not gzip
	}
}

// export has the members by which kinds of exports are recognized.
type export struct {
	document                       bool // it is a document of interest itself
	logEvents, list, results, data []byte
	body, message                  []byte
	topic                          bool // it is an SNS notification
}

// own reports whether key is a top-level member that only documents of interest have:
// metrics, Throughline's log lines, events, spans.
func own(key []byte) bool {
	switch string(key) {
	case "_aws", "throughline", "detail-type", "resourceSpans", "spanId", "DetailType":
		return true
	}
	return false
}

func membersOf(value []byte) (e export) {
	for m := jsonwalk.MembersOf(value, 0); m.NextKey(); {
		if own(m.Key) {
			return export{document: true}
		}
		key := m.Key
		if !m.Skip() {
			break
		}
		array, text := m.Value[0] == '[', m.Value[0] == '"'
		switch string(key) {
		case "events", "logEvents":
			if array {
				e.logEvents = m.Value
			}
		case "Messages", "Entries":
			if array {
				e.list = m.Value
			}
		case "results":
			if array {
				e.results = m.Value
			}
		case "Records", "records":
			if array && bytes.Contains(m.Value, []byte(`"`+zipped)) {
				e.list = m.Value
			}
		case "awslogs", "kinesis":
			e.data = zippedData(m.Value)
		case "data":
			if text && bytes.HasPrefix(m.Value[1:], []byte(zipped)) {
				e.data = m.Value
			}
		case "Body", "body":
			if text {
				e.body = m.Value
			}
		case "message", "@message", "record", "log": // "log" is Docker's and Fluent Bit's
			if text || m.Value[0] == '{' {
				e.message = m.Value
			}
		case "TopicArn":
			e.topic = true
		}
	}
	return e
}

// zipped is the beginning of the base64 text of gzip data.
const zipped = "H4sI"

func zippedData(value []byte) []byte {
	if value[0] != '{' {
		return nil
	}
	for m := jsonwalk.MembersOf(value, 0); m.Next(); {
		if string(m.Key) == "data" && bytes.HasPrefix(m.Value, []byte(`"`+zipped)) {
			return m.Value
		}
	}
	return nil
}
