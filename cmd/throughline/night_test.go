package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/sqslocal"
)

const nightShift = "../../docs/night-shift.md"

// nightQueue is a queue with dead letters of three hours ago.
func nightQueue(t *testing.T) (url string) {
	t.Helper()
	const ago = 3*time.Hour + 5*time.Minute + 20*time.Second
	queues := sqslocal.New(sqslocal.Options{Clock: clock.New(time.Now().Add(-ago), 1)})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/invocations"):
			w.WriteHeader(http.StatusAccepted)
		case strings.HasPrefix(r.URL.Path, "/2015-03-31/"):
			_, _ = fmt.Fprint(w, `{"Functions":[],"EventSourceMappings":[{"FunctionArn":"arn:aws:lambda:us-east-1:123456789012:function:charge"}]}`)
		default:
			queues.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { server.Close(); queues.Close() })
	failed, err := queues.Create("orders-failed", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := queues.Create("payments", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, failed.ARN())}); err != nil {
		t.Fatal(err)
	}
	letter := func(body string, attributes map[string]sqslocal.Attribute) {
		if _, err := failed.Send(sqslocal.Entry{MessageBody: body, MessageAttributes: attributes}, "Root=1-6b0cf0d4-8b174f2a87e3f9ab459536d0;Parent=9f8a6988371318cd;Sampled=1"); err != nil {
			t.Fatal(err)
		}
	}
	for _, event := range strings.Split(strings.TrimSpace(read(t, "testdata/night/events.jsonl")), "\n")[:4] {
		letter(event, map[string]sqslocal.Attribute{
			"RULE_ARN": sqslocal.String("arn:aws:events:us-east-1:123456789012:rule/orders/paid"), "TARGET_ARN": sqslocal.String("arn:aws:lambda:us-east-1:123456789012:function:fulfil"),
			"ERROR_CODE": sqslocal.String("NO_PERMISSIONS"), "ERROR_MESSAGE": sqslocal.String("User: events.amazonaws.com is not authorized to perform: lambda:InvokeFunction"),
		})
	}
	for i := range 2 {
		letter(fmt.Sprintf(`{"event_id":"payment-%d","event_type":"PaymentDue","correlation_id":"flow-%d"}`, i+1, i+1001), nil)
	}
	return server.URL
}

// varying are what differs each time: message IDs, when messages were sent, and how long ago.
var varying = regexp.MustCompile(`\d+[dh]\d+[hm]|[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|since {8}\S+`)

// TestNightShiftShowsWhatIsPrinted runs each command of the page, in its order, and holds
// what stands below it to what is printed; with THROUGHLINE_UPDATE it writes that there.
func TestNightShiftShowsWhatIsPrinted(t *testing.T) {
	page := read(t, nightShift)
	path, err := filepath.Abs(nightShift)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL", nightQueue(t))
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/night")); err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(read(t, "testdata/night/template.yaml"), "detail: {status: [paid]}", "detail: {status: [{equals-ignore-case: paid}]}", 1)
	if err := os.WriteFile(filepath.Join(dir, "changed.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	section := regexp.MustCompile("(?s)```text\n\\$ throughline ([^\n]*)\n(.*?)```")
	shown := 0
	updated := section.ReplaceAllStringFunc(page, func(text string) string {
		m := section.FindStringSubmatch(text)
		shown++
		var out bytes.Buffer
		run(t.Context(), strings.Fields(m[1]), environment{getenv: func(string) string { return "" }, stdin: strings.NewReader(""), stdout: &out, stderr: &out})
		got := out.String()
		if mask := func(s string) string { return varying.ReplaceAllString(s, "…") }; mask(got) != mask(m[2]) {
			t.Errorf("throughline %s prints\n%s\nand the page shows\n%s", m[1], got, m[2])
		}
		return "```text\n$ throughline " + m[1] + "\n" + got + "```"
	})
	const commands = 8
	if shown < commands {
		t.Errorf("%d commands", shown)
	}
	if os.Getenv("THROUGHLINE_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
