package records

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
)

// Two documents: a metrics line and an event, as functions log them.
const (
	emf   = `{"Service":"s","EventType":"A","PayloadSize":[1,2],"text":"a \"quoted\" {brace","_aws":{"Timestamp":1,"CloudWatchMetrics":[]}}`
	event = `{"version":"0","id":"e-1","detail-type":"A","source":"s","detail":{"event_id":"x","list":[{"a":[]}]}}`
)

func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func pretty(document, prefix string) string {
	var b bytes.Buffer
	_ = json.Indent(&b, []byte(document), "", "    ")
	return prefix + b.String()
}

// noise is a line that does not compress, of 100 KB.
func noise() string {
	text := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(text)
	return base64.StdEncoding.EncodeToString(text)
}

func half(s string) string { return s[:len(s)/2] }

func zip(parts ...string) string {
	var b bytes.Buffer
	for _, p := range parts {
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(p))
		_ = z.Close()
	}
	return b.String()
}

func utf16Text(s string, order binary.AppendByteOrder) string {
	out := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(s)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

// read returns the documents, compacted.
func read(t *testing.T, text string) ([]string, []bool, Left, error) {
	t.Helper()
	var list []string
	var queued []bool
	left, err := Read(strings.NewReader(text), func(d Document) error {
		var b bytes.Buffer
		if err := json.Compact(&b, d.JSON); err != nil {
			t.Errorf("%v: %q", err, d.JSON)
		}
		list, queued = append(list, b.String()), append(queued, d.Queued)
		return nil
	})
	return list, queued, left, err
}

// formats are what people have, each with emf and event in it, in that order.
func formats() map[string]string {
	csvField := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	logEvents := `[{"logStreamName":"2026/11/25/[$LATEST]ab","timestamp":1764104345082,"message":` + quote(emf+"\n") + `,"ingestionTime":1,"eventId":"1"},{"timestamp":1,"message":` + quote(event) + `}]`
	subscription := func(document string) string {
		return `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/lambda/a","logStream":"s","subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1,"message":` + quote(document) + `}]}`
	}
	encoded := func(document string) string {
		return base64.StdEncoding.EncodeToString([]byte(zip(subscription(document))))
	}
	return map[string]string{
		"Lines":            emf + "\n" + event + "\n",
		"CRLF":             emf + "\r\n\r\n" + event,
		"ByteOrderMark":    "\ufeff" + emf + "\n" + event,
		"UTF16LE":          utf16Text(emf+"\r\n"+event+"\r\n", binary.LittleEndian),
		"UTF16BE":          utf16Text(emf+"\r\n"+event+"\r\n", binary.BigEndian),
		"OnOneLine":        emf + event,
		"Pretty":           pretty(emf, "") + "\n" + pretty(event, "") + "\n",
		"PrettyArray":      pretty("["+emf+","+event+"]", ""),
		"TailShort":        "2026-11-25T20:59:05 " + emf + "\n2026-11-25T20:59:05 " + event + "\n",
		"TailDetailed":     "2026-11-25T20:59:05.082000+00:00 2026/11/25/[$LATEST]ab12 " + emf + "\n2026-11-25T20:59:05.083000+00:00 2026/11/25/[$LATEST]ab12 " + event + "\n",
		"TailJSON":         pretty(emf, "2026-11-25T20:59:05.082000+00:00 2026/11/25/[$LATEST]ab12 ") + "\n" + pretty(event, "2026-11-25T20:59:05.083000+00:00 2026/11/25/[$LATEST]ab12 ") + "\n",
		"TailColours":      "\x1b[32m2026-11-25T20:59:05\x1b[0m \x1b[36mab\x1b[0m " + emf + "\n\x1b[32m2026-11-25T20:59:05\x1b[0m " + event + "\n",
		"FilterLogEvents":  `{"events":` + logEvents + `,"searchedLogStreams":[]}`,
		"FilterPrinted":    pretty(`{"events":`+logEvents+`,"searchedLogStreams":[]}`, ""),
		"FilterAsText":     "EVENTS\t1\t1764104345082\t2026/11/25/[$LATEST]ab\t" + emf + "\t1764104345082\nEVENTS\t2\t" + event + "\t5\n",
		"GetLogEvents":     pretty(`{"events":`+logEvents+`,"nextForwardToken":"f/3","nextBackwardToken":"b/3"}`, ""),
		"InsightsAPI":      pretty(`{"results":[[{"field":"@timestamp","value":"1"},{"field":"@message","value":`+quote(emf)+`},{"field":"@ptr","value":"p"}],[{"field":"@message","value":`+quote(event)+`}]],"statistics":{"recordsMatched":2.0},"status":"Complete"}`, ""),
		"InsightsJSON":     pretty(`[{"@timestamp":"2026-11-25 20:59:05.082","@message":`+quote(emf)+`},{"@timestamp":"1","@message":`+event+`}]`, ""),
		"InsightsCSV":      "@timestamp,@message\r\n2026-11-25 20:59:05.082," + csvField(emf) + "\r\n2026-11-25 20:59:05.083," + csvField(pretty(event, "")) + "\r\n",
		"ConsoleCSV":       "timestamp,message\n1764104345082," + csvField(emf+"\n") + "\n1764104345083," + csvField(event) + "\n",
		"S3Export":         zip("2026-11-25T20:59:05.082Z "+emf+"\n", "2026-11-25T20:59:05.083Z "+event+"\n"),
		"Firehose":         zip(subscription(emf) + subscription(event)),
		"FirehoseMembers":  zip(subscription(emf), subscription(event)),
		"FirehoseTwice":    zip(zip(subscription(emf), subscription(event))),
		"Subscription":     subscription(emf) + "\n" + subscription(event),
		"ToLambda":         `{"awslogs":{"data":"` + encoded(emf) + `"}}` + "\n" + `{"awslogs":{"data":"` + encoded(event) + `"}}`,
		"ToKinesis":        `{"Records":[{"kinesis":{"partitionKey":"1","data":"` + encoded(emf) + `"},"eventID":"1"},{"kinesis":{"data":"` + encoded(event) + `"}}]}`,
		"ToFirehose":       `{"invocationId":"1","records":[{"recordId":"1","data":"` + encoded(emf) + `"},{"recordId":"2","data":"` + encoded(event) + `"}]}`,
		"SAM":              "2026/11/25/[$LATEST]ab12 2026-11-25T20:59:05.082000 " + emf + "\n2026/11/25/[$LATEST]ab12 2026-11-25T20:59:05.083000 " + event + "\n",
		"SAMPrinted":       pretty(emf, "\x1b[36m2026/11/25/[$LATEST]ab12\x1b[0m \x1b[33m2026-11-25T20:59:05.082000\x1b[0m ") + "\n" + pretty(event, "2026/11/25/[$LATEST]ab12 2026-11-25T20:59:05.083000 ") + "\n",
		"SAMJSON":          `{"timestamp":1,"message":` + quote(emf) + `,"logStreamName":"a"}` + "\n" + `{"timestamp":1,"message":` + quote(event) + `}`,
		"LambdaJSONFormat": `{"timestamp":"2026-11-25T20:59:05Z","level":"INFO","requestId":"r","message":` + quote(emf) + `}` + "\n" + `{"timestamp":"1","level":"INFO","message":` + event + `}`,
		"TelemetryAPI":     `[{"time":"1","type":"function","record":` + quote(emf) + `},{"time":"1","type":"function","record":` + event + `}]`,
		"Prefixed":         "[INFO]\t2026-11-25T20:59:05.082Z\t{not json} [x] " + emf + "\nReceived event: " + event + " END\n",
		"NaN":              strings.Replace(emf, "[1,2]", "[NaN,-Infinity]", 1) + "\n" + event,
	}
}

func TestFormats(t *testing.T) {
	for name, text := range formats() {
		t.Run(name, func(t *testing.T) {
			want := []string{emf, event}
			if name == "NaN" {
				want[0] = strings.Replace(emf, "[1,2]", "[null,null]", 1)
			}
			got, _, left, err := read(t, text)
			if err != nil || left != (Left{}) || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%v, %+v\n%s\nof\n%s", err, left, strings.Join(got, "\n"), text)
			}
		})
	}
}

func TestMessagesAndEntries(t *testing.T) {
	entry := `{"Source":"s","DetailType":"A","Detail":` + quote(`{"a":1}`) + `,"EventBusName":"b"}`
	for name, tt := range map[string]struct {
		text   string
		want   string
		queued bool
	}{
		"ReceiveMessage": {pretty(`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":`+quote(event)+`}]}`, ""), event, true},
		"Entries":        {`{"Entries":[` + entry + `]}`, entry, false},
		"EntriesArray":   {pretty(`[`+entry+`]`, ""), entry, false},
		"Delivered":      {`{"Records":[{"messageId":"m","body":"x","eventSource":"aws:sqs"}]}`, `{"Records":[{"messageId":"m","body":"x","eventSource":"aws:sqs"}]}`, false},
		"Notification":   {`{"Type":"Notification","TopicArn":"t","Message":"{\"a\":1}"}`, `{"Type":"Notification","TopicArn":"t","Message":"{\"a\":1}"}`, false},
	} {
		got, queued, left, err := read(t, tt.text)
		if err != nil || left != (Left{}) || len(got) != 1 || got[0] != tt.want || queued[0] != tt.queued {
			t.Errorf("%s: %v %+v %s %v", name, err, left, got, queued)
		}
	}
}

// TestTheRestIsRead: what is broken is counted, and what follows it is read.
func TestTheRestIsRead(t *testing.T) {
	cut := event[:len(event)-12]
	for name, tt := range map[string]struct {
		text string
		docs int
		left Left
	}{
		"Text":              {"START RequestId: 1 Version: $LATEST\n" + emf + "\nEND RequestId: 1\n", 1, Left{Lines: 2}},
		"HalfALine":         {emf + "\n" + cut, 1, Left{Lines: 1}},
		"HalfALineBetween":  {emf + "\n" + cut + "\n" + event, 2, Left{Lines: 1}},
		"HalfAString":       {emf + "\n" + event[:len(event)-25] + "\n" + event, 2, Left{Lines: 1}},
		"HalfADocument":     {"{\n  \"a\": [\n    1,\n" + emf + "\n" + event, 2, Left{Lines: 3}},
		"PrettyToItsHalf":   {emf + "\n{\n  \"a\": 1,\n", 1, Left{Lines: 2}},
		"NoBrackets":        {"{\n[\n]]\n}\n", 0, Left{Lines: 4}},
		"LogEventsOfText":   {`{"events":[{"message":"START"},{"message":` + quote(emf) + `},{"message":7}]}`, 1, Left{Lines: 2}},
		"RowWithoutMessage": {`{"results":[[{"field":"a","value":"1"}],[{"field":"@message","value":` + quote(emf) + `}]]}`, 1, Left{Lines: 1}},
		"ShortRow":          {"@timestamp,@message\n1\n2," + `"{""a"":1}"` + "\n", 1, Left{Lines: 1}},
		"HalfAnArchive":     {half(zip(emf + "\n" + noise())), 1, Left{Lines: 1, Truncated: true}},
		"NoBase64":          {`{"awslogs":{"data":"H4sI!!!"}}`, 0, Left{Truncated: true}},
		"ControlMessage":    {`{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`, 0, Left{Lines: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, left, err := read(t, tt.text)
			if err != nil || len(got) != tt.docs || left != tt.left {
				t.Errorf("%v %+v %d documents %s", err, left, len(got), got)
			}
		})
	}
}

func TestLeftSays(t *testing.T) {
	for want, left := range map[string]Left{
		"": {}, "1 line without a JSON document": {Lines: 1},
		"3 lines without a JSON document, 2 lines longer than 128 MiB, the rest after truncated compressed data": {3, 2, true},
	} {
		if got := left.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// zeros is endless and compresses to nothing.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(len(p), z.left)
	clear(p[:n])
	if z.left -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestABombEnds(t *testing.T) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	if _, err := io.Copy(z, &zeros{8 << 20}); err != nil {
		t.Fatal(err)
	}
	_ = z.Close()
	_, err := Read(bytes.NewReader(bytes.Repeat(member.Bytes(), 1000)), func(Document) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "the data is more than 400 times its compressed size, 256 MiB so far") {
		t.Errorf("%v", err)
	}
}

// What follows compressed data and is none is left out, as gzip does with padding.
func TestPaddingAfterCompressedData(t *testing.T) {
	for _, padding := range []string{strings.Repeat("\x00", 512), "\x00", "\n", "more", emf} {
		list, _, left, err := read(t, zip(event, "\n", emf)+padding)
		if err != nil || len(list) != 2 || left != (Left{Truncated: true}) {
			t.Errorf("%q: %v, %q, %+v", padding, err, list, left)
		}
	}
}

// Docker and Fluent Bit write a line of output as the member log.
func TestLinesOfContainers(t *testing.T) {
	line, _ := json.Marshal(map[string]string{"log": event + "\n", "stream": "stdout", "time": "2026-11-27T10:00:00Z"})
	if list, _, left, err := read(t, string(line)+"\n"); err != nil || len(list) != 1 || left != (Left{}) || !strings.Contains(list[0], "detail-type") {
		t.Errorf("%v, %q, %+v", err, list, left)
	}
}

func TestALongLineIsLeftOut(t *testing.T) {
	in := io.MultiReader(strings.NewReader(emf+"\n"), &zeros{MaxDocument + 10}, strings.NewReader("\n"+event+"\n"))
	n := 0
	left, err := Read(in, func(Document) error { n++; return nil })
	if err != nil || n != 2 || left != (Left{TooLong: 1}) {
		t.Errorf("%v, %d documents, %+v", err, n, left)
	}
}

func TestVisitEndsTheReading(t *testing.T) {
	enough := errors.New("enough")
	for name, text := range formats() {
		n := 0
		if _, err := Read(strings.NewReader(text), func(Document) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
			t.Errorf("%s: %v after %d", name, err, n)
		}
	}
	broken := errors.New("broken")
	if _, err := Read(io.MultiReader(strings.NewReader(emf), errReader{broken}), func(Document) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, err := Read(strings.NewReader("\x1f\x8bxxxxxxxxxxxxxxxxxx"), func(Document) error { return nil }); err == nil || !strings.Contains(err.Error(), "unzip") {
		t.Errorf("%v", err)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func FuzzRead(f *testing.F) {
	for _, text := range formats() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Read(bytes.NewReader(data), func(d Document) error {
			if !json.Valid(d.JSON) || d.JSON[0] != '{' {
				return fmt.Errorf("%q", d.JSON)
			}
			return nil
		})
	})
}

func BenchmarkRead(b *testing.B) {
	text := strings.Repeat(emf+"\n"+event+"\n", 10_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Read(strings.NewReader(text), func(Document) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
