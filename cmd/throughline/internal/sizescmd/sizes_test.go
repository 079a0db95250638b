package sizescmd

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run is the command over files of the given contents; "-" is the first of them.
func run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := New()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func quote(s string) string { text, _ := json.Marshal(s); return string(text) }

const (
	detail   = `{"event_id": "e-1",  "big": 12345678901234567890}`
	entry    = `{"Source":"orders","DetailType":"Placed","Detail":"{\"event_id\": \"e-1\",  \"big\": 12345678901234567890}","Resources":["r1"],"Time":1}`
	envelope = `{"version":"0","id":"i-1","detail-type":"Placed","source":"orders","resources":["r1"],"time":"2026-02-13T20:45:03Z","detail":` + detail + `}`
	weight   = len("orders") + len("Placed") + len(detail) + len("r1")
)

func notification() string {
	return `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":` + quote(envelope) + `}`
}

// TestWhatIsRead: every form of the same event weighs the same.
func TestWhatIsRead(t *testing.T) {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(entry), "", "  "); err != nil {
		t.Fatal(err)
	}
	insights := `{"results":[[{"field":"@timestamp","value":"x"},{"field":"@message","value":` + quote(envelope) + `}]]}`
	for _, tt := range []struct {
		name, in    string
		size, count int
	}{
		{"Envelope", envelope, weight, 1},
		{"JSONLines", envelope + "\n\n" + strings.Replace(envelope, "e-1", "e-2", 1), weight, 2},
		{"Entry", entry, weight + 14, 1},
		{"EntryPrinted", pretty.String() + "\n", weight + 14, 1},
		{"PutEvents", `{"Entries":[` + entry + `]}`, weight + 14, 1},
		{"ListOfEnvelopes", "[\n" + envelope + "\n]", weight, 1},
		{"FilterLogEvents", `{"events":[{"timestamp":1,"message":` + quote("START RequestId: x") + `},{"timestamp":1,"message":` + quote(envelope+"\n") + `}],"searchedLogStreams":[]}`, weight, 1},
		{"Subscription", `{"logGroup":"g","logEvents":[{"id":"1","timestamp":1,"message":` + quote(envelope) + `}]}`, weight, 1},
		{"LogsInsights", insights, weight, 1},
		{"S3Export", "2026-02-13T20:45:03.123Z START RequestId: x\n2026-02-13T20:45:03.124Z " + envelope, weight, 1},
		{"Prefixed", "[INFO] [x] got " + envelope, weight, 1},
		{"LambdaJSONLog", `{"timestamp":"x","level":"INFO","message":` + quote(envelope) + `}`, weight, 1},
		{"SQS", `{"Messages":[{"MessageId":"m","Body":` + quote(envelope) + `},{"MessageId":"n","Body":"plain text"}]}`, weight, 1},
		{"SQSBareDetail", `{"MessageId":"m","Body":` + quote(detail) + `}`, len(detail), 1},
		{"SNSInSQS", `{"Messages":[{"Body":` + quote(notification()) + `}]}`, weight, 1},
		{"LambdaSQSEvent", `{"Records":[{"eventSource":"aws:sqs","messageId":"m","body":` + quote(envelope) + `}]}`, weight, 1},
		{"MetricsLines", `{"Service":"s","EventType":"Placed","PayloadSize":[5,70],"PayloadSizeMax":70,"LargestEventID":"e-1","_aws":{"Timestamp":1,"CloudWatchMetrics":[]}}`, 70, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := run(t, tt.in, "--json", "-")
			if err != nil {
				t.Fatal(err)
			}
			var s summary
			if err := json.Unmarshal([]byte(out), &s); err != nil {
				t.Fatal(err)
			}
			if len(s.Types) != 1 || s.Types[0].Max != tt.size || s.Types[0].Events != int64(tt.count) || s.Largest[0].Size != tt.size || s.Largest[0].EventID != "e-1" {
				t.Errorf("want %d events of %d bytes, got %s", tt.count, tt.size, out)
			}
		})
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	for _, in := range []string{"", "hello", `{"throughline":"repeat","event_id":"e","correlation_id":"c"}`, `{"level":"INFO","correlation_id":"c","message":"done"}`, "{\n\"open\":1", `{"EventType":"T","PayloadSize":"x","_aws":{}}`} {
		if out, err := run(t, in, "-"); err == nil || !strings.Contains(err.Error(), "no events in -") {
			t.Errorf("%q: %s, %v", in, out, err)
		}
	}
	if _, err := run(t, "", "--limit", "0", "-"); err == nil {
		t.Error("a limit of zero")
	}
	if _, err := run(t, "", filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("no such file")
	}
	if _, err := run(t, "\x1f\x8bnot what gzip writes", "-"); err == nil || !strings.Contains(err.Error(), "unzip") {
		t.Errorf("broken gzip: %v", err)
	}
	if _, err := run(t, "\x1f\x8b", "-"); err == nil || !strings.Contains(err.Error(), "is truncated") {
		t.Errorf("half a gzip: %v", err)
	}
}

func TestTable(t *testing.T) {
	paths, err := filepath.Glob("../../../../testdata/events/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recorded events: %v", err)
	}
	out, err := run(t, "", append([]string{"--limit", "262144", "--top", "2"}, paths...)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"OF 256\u00a0KiB", "SignalGenerated\n", "  all\n", "under 256 KiB", "█", "\nlargest\n", "TradeExecuted"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	_, largest, _ := strings.Cut(out, "\nlargest\n")
	if lines := strings.Count(largest, "\n"); lines != 2 || !strings.Contains(largest, "SignalGenerated  signal-") || !strings.Contains(largest, "DataLakeUpdateCompleted") {
		t.Errorf("largest:\n%s", largest)
	}
}

func TestGzipAndFilesTogether(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(envelope + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "export.gz")
	if err := os.WriteFile(path, zipped.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, strings.Replace(envelope, "Placed", "Shipped", 1)+"\nnoise", path, "-")
	if err != nil || !strings.Contains(out, "Placed") || !strings.Contains(out, "Shipped") || !strings.Contains(out, "1 lines or documents are not events") {
		t.Errorf("%v\n%s", err, out)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{envelope, entry, notification(), `{"Messages":[{"Body":"{}"}]}`, "{\n}\n[\n", `{"results":[[{"field":"@message","value":"{"}]]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newReport(3)
		if err := r.read(bytes.NewReader(data)); err != nil && !bytes.HasPrefix(data, []byte("\x1f\x8b")) {
			t.Error(err)
		}
		if s := r.summary(100); len(s.Largest) > 3 || (len(s.Types) == 0) != (s.Histogram == nil) {
			t.Errorf("%+v", s)
		}
	})
}
