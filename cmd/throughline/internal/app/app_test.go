package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"go.uber.org/goleak"

	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/dlqcmd"
	"github.com/throughline/throughline/cmd/throughline/internal/spancollector"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/peertest"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "throughline-app")
	if err != nil {
		panic(err)
	}
	built.path = filepath.Join(dir, "throughline-extension")
	code := m.Run()
	_ = os.RemoveAll(dir)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// built is the extension, once for all tests.
var built struct {
	once sync.Once
	path string
	err  error
}

func extension(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		cmd := exec.Command("go", "build", "-tags", "nethttpomithttp2", "-o", built.path, "github.com/throughline/throughline/cmd/throughline-extension")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// output is what an application prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

// scene is an application that is played, with its page.
type scene struct {
	*App
	t         *testing.T
	dir       string
	out       *output
	page      string
	collector *spancollector.Collector
	server    *httptest.Server
	close     func()
}

// playing plays the application of a template.
func playing(t *testing.T, template string, f Flags) *scene {
	t.Helper()
	peertest.Module(t, "boto3")
	peertest.Command(t, "node")
	s := &scene{t: t, dir: t.TempDir(), out: &output{}}
	var err error
	if s.collector, err = spancollector.Start("", nil); err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	s.page = s.server.URL
	f.extension = extension(t)
	if f.concurrency == 0 {
		f.concurrency = 2
	}
	s.App, err = f.Start(t.Context(), template, Places{Page: s.page, OTLP: s.collector.URL, Dir: s.dir, Out: s.out})
	if err != nil {
		s.server.Close()
		s.collector.Close()
		t.Fatalf("%v\n%s", err, s.out)
	}
	handler = s.Handler()
	s.close = sync.OnceFunc(func() {
		s.App.Close()
		s.server.Close()
		s.collector.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(s.close)
	return s
}

// dlq runs throughline dlq on the application, and returns what it prints.
func (s *scene) dlq(args ...string) string {
	s.t.Helper()
	var out output
	cmd := dlqcmd.New(config.LoadDefaultConfig, time.Now)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append(args, "--dev="+s.dir))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	if err := cmd.ExecuteContext(s.t.Context()); err != nil && terminal.Code(err) != terminal.Found {
		s.t.Errorf("dlq %q: %v", args, err)
	}
	return fmt.Sprint(&out)
}

// run runs one of the commands, and returns what it prints.
func (s *scene) run(stdin string, args ...string) (string, error) {
	s.t.Helper()
	for _, cmd := range Commands() {
		if cmd.Name() != args[0] {
			continue
		}
		var out output
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append(args[1:], "--dir", s.dir))
		cmd.SetIn(strings.NewReader(stdin))
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(s.t.Context())
		return out.String(), err
	}
	s.t.Fatalf("there is no command %s", args[0])
	return "", nil
}

func (s *scene) must(stdin string, args ...string) string {
	s.t.Helper()
	out, err := s.run(stdin, args...)
	if err != nil {
		s.t.Fatalf("%q: %v\n%s\n%s", args, err, out, s.out)
	}
	return out
}

// settle waits until nothing is on its way.
func (s *scene) settle() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	if err := s.stage.Settle(ctx); err != nil {
		s.t.Fatalf("%v\n%s", err, s.out)
	}
}

// says waits until the functions' log has each of the texts.
func (s *scene) says(texts ...string) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		missing := ""
		for _, text := range texts {
			if !strings.Contains(s.out.String(), text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the log has no %q:\n%s", missing, s.out)
		}
	}
}

// quiet holds that the log has none of the texts.
func (s *scene) quiet(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if strings.Contains(s.out.String(), text) {
			s.t.Errorf("the log has %q:\n%s", text, s.out)
		}
	}
}

func (s *scene) printed() string {
	var b strings.Builder
	if err := s.Print(&b); err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

// events writes events to a file.
func (s *scene) file(content string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "given.json")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func TestFanOut(t *testing.T) {
	s := playing(t, "testdata/fan-out/template.yaml", Flags{})
	out := s.must("", "send", s.file(`{"source":"web","detail-type":"OrderPlaced","detail":{"order_id":"o-1","total":5,"customer":"gold"}}`))
	if !strings.Contains(out, "was sent to the bus shop") || !strings.Contains(out, "it matches Placed") {
		t.Errorf("%s", out)
	}
	s.says("audited o-1 by Placed", "packed o-1", "mailed o-1")
	s.settle()
	s.quiet("texted")
	out = s.must(`{"Source":"web","DetailType":"OrderPlaced","Detail":"{\"order_id\":\"o-2\",\"total\":-1}"}`, "send", "-", "--bus", "shop")
	if !strings.Contains(out, "no rule matches; the nearest is rule Placed: detail.total") {
		t.Errorf("%s", out)
	}
	s.settle()
	s.quiet("o-2")
}

func TestSaga(t *testing.T) {
	s := playing(t, "testdata/saga/template.yaml", Flags{})
	s.must("", "send", "TripRequested", "--detail", `{"correlation_id": "trip-1", "event_id": "e-1", "nights": 9}`)
	s.must("", "send", "TripRequested", "--detail", `{"correlation_id": "trip-2", "event_id": "e-2", "nights": 2}`)
	s.says("cancelled LH1 of trip-1", "confirmed trip-2")
	s.settle()
	s.quiet("cancelled LH1 of trip-2", "confirmed trip-1")
	s.close()
	_, spans, err := s.collector.Spans()
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]bool{}
	for _, span := range spans {
		if span.Text("throughline.correlation.id") == "trip-1" {
			functions[span.Service] = true
		}
	}
	if !functions["BookFlight"] || !functions["BookHotel"] || !functions["CancelFlight"] || functions["Confirm"] {
		t.Errorf("spans of trip-1 are of %v", functions)
	}
}

func TestFIFO(t *testing.T) {
	s := playing(t, "testdata/fifo/template.yaml", Flags{})
	if out := s.must("", "invoke", "Submit", s.file(`{"jobs": 4}`)); strings.TrimSpace(out) != "null" {
		t.Errorf("%s", out)
	}
	s.says("worked a3", "worked b3")
	s.settle() // the bad one comes twice and is buried
	for _, group := range []string{"a", "b"} {
		last := -1
		for n := range 4 {
			at := strings.Index(s.out.String(), fmt.Sprintf("worked %s%d", group, n))
			if at < last {
				t.Errorf("%s%d was worked before the one before it:\n%s", group, n, s.out)
			}
			last = at
		}
	}
	if visible, _, _ := s.stage.Count("JobsFailed.fifo"); visible != 1 {
		t.Errorf("%d messages are buried\n%s", visible, s.out)
	}
}

func TestDeadLetters(t *testing.T) {
	s := playing(t, "testdata/dlq/template.yaml", Flags{})
	s.must("", "send", "OrderPlaced")
	s.says("mourned after 2: it always fails", `told Success {"ok": true}`)
	s.settle()
	for queue, want := range map[string]int{"Letters": 1, "Buried": 1, "Failures": 0, "Work": 0, "FailsAnyQueue": 0} {
		if visible, _, _ := s.stage.Count(queue); visible != want {
			t.Errorf("%s has %d messages\n%s", queue, visible, s.out)
		}
	}
	// throughline dlq reads, names the function that is behind a queue or uses one, and redrives.
	for queue, want := range map[string]string{"Buried": "received too often, function Poison, OrderPlaced", "Letters": "function Fails, OrderPlaced"} {
		if out := s.dlq(queue); !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if out := s.dlq("redrive", "Buried", "--all", "--dry-run"); !strings.Contains(out, "1 to queue Work") {
		t.Error(out)
	}
	if out, err := s.run("", "invoke", "Poison"); err == nil || !strings.Contains(out, "it always fails") {
		t.Errorf("%v %s", err, out)
	}
}

func TestAPIToBus(t *testing.T) {
	s := playing(t, "testdata/api-to-bus/template.yaml", Flags{})
	if out := s.printed(); !strings.Contains(out, "ServerlessHttpApi answers at http://127.0.0.1:") || !strings.Contains(out, "HookUrl answers at") {
		t.Errorf("%s", out)
	}
	_, api := s.stage.Endpoints()
	for target, want := range map[string]string{
		api + "/ServerlessHttpApi/orders/o-7": `202 {"order_id": "o-7", "to": "Rome"} /orders/o-7`, api + "/ServerlessRestApi/old/a/b": "410 a/b ", api + "/HookUrl/x": `200 {"method": "POST", "path": "/x"} `,
	} {
		resp, err := http.Post(target, "application/json", strings.NewReader(`{"to": "Rome"}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if got := fmt.Sprintf("%d %s %s", resp.StatusCode, body, resp.Header.Get("Location")); got != want {
			t.Errorf("%s: %s\n%s", target, got, s.out)
		}
	}
	s.says("shipped o-7 to Rome")
}

func TestSchedules(t *testing.T) {
	s := playing(t, "testdata/schedules/template.yaml", Flags{})
	for _, schedule := range []string{"SweepHourly", "SweepMorning", "PlainDaily", "Tick"} {
		s.must("", "fire", schedule)
	}
	s.must("", "invoke", "Plan", s.file(`{"of": "the milk"}`))
	s.says("swept hourly", "swept morning", "Scheduled Event from aws.events", `ticked {"a": 1}`, "reminded of the milk")
	if _, err := s.run("", "fire", "Nobody"); err == nil || !strings.Contains(err.Error(), "the schedules are SweepHourly") {
		t.Errorf("%v", err)
	}
}

func TestMixedLanguages(t *testing.T) {
	s := playing(t, "testdata/mixed/template.yaml", Flags{})
	s.says("go build: the first time takes a while")
	s.must("", "send", "Words", "--detail", `{"text": "Hello World"}`)
	s.says("2 words: HELLO WORLD", "whispered hello world")
	s.must("", "send", "Words", "--detail", `{"text": "Alone"}`)
	s.says("whispered alone")
	s.settle()
	s.quiet("ALONE")
}

func TestLayers(t *testing.T) {
	s := playing(t, "testdata/layers/template.yaml", Flags{})
	if out := s.must("", "invoke", "Py"); strings.TrimSpace(out) != `"hello from the layer"` {
		t.Errorf("%s", out)
	}
	if out := s.must("", "invoke", "Js"); strings.TrimSpace(out) != `"hello from node_modules"` {
		t.Errorf("%s", out)
	}
	if out := s.printed(); !strings.Contains(out, "Py runs without its layer arn:aws:lambda:us-east-1:017000801446:layer:AWSLambdaPowertoolsPythonV3:1") {
		t.Errorf("%s", out)
	}
}

func TestNested(t *testing.T) {
	s := playing(t, "testdata/nested/template.yaml", Flags{})
	s.must("", "invoke", "Outer", s.file(`{"name": "world"}`))
	s.says("Inner-Greet: hello world")
	if out := s.printed(); !strings.Contains(out, "not played: Missing, AWS::Serverless::Application: the template of the nested stack was not found") {
		t.Errorf("%s", out)
	}
}

func TestContainers(t *testing.T) {
	s := playing(t, "testdata/containers/template.yaml", Flags{})
	out := s.printed()
	for _, want := range []string{"Image, AWS::Serverless::Function: functions from container images", "Cluster, AWS::ECS::Cluster: containers", "Task, AWS::ECS::TaskDefinition: containers", "Flow, AWS::Serverless::StateMachine: state machines", "Orders, AWS::RDS::DBInstance: only DynamoDB databases", "Rule, target: arn:aws:ecs", "Rule, target: arn:aws:states"} {
		if !strings.Contains(out, "not played: "+want) {
			t.Errorf("nothing says %q:\n%s", want, out)
		}
	}
	s.must("", "send", s.file(`{"source":"shop","detail-type":"Anything","detail":{}}`))
	s.says("routed Anything")
}

// TestReplay plays recorded events back as an archive does.
func TestReplay(t *testing.T) {
	s := playing(t, "testdata/fan-out/template.yaml", Flags{})
	record := `{"version":"0","id":"11111111-2222-3333-4444-555555555555","detail-type":"OrderPlaced","source":"web","account":"1","time":"2026-01-02T03:04:05Z","region":"eu-west-1","resources":["r"],"detail":{"order_id":"o-%d","total":5,"customer":"gold"}}` + "\n"
	out := s.must("", "replay", s.file(fmt.Sprintf(record+record, 1, 2)+`{"detail-type":"Other","source":"x","detail":{}}`), "--name", "monday")
	if out != "3 events played back, 2 matched a rule\n" {
		t.Errorf("%s", out)
	}
	s.says("mailed o-1", "mailed o-2")
}

// TestControl: without this start's token nothing is told and nothing is done.
func TestControl(t *testing.T) {
	s := playing(t, "testdata/containers/template.yaml", Flags{})
	call := func(method, path, token string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, s.page+path, strings.NewReader(`{"event":"{\"source\":\"shop\",\"detail-type\":\"T\",\"detail\":{}}"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(TokenHeader, token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	data, err := os.ReadFile(filepath.Join(s.dir, devfolder.ApplicationFile))
	if err != nil {
		t.Fatal(err)
	}
	if out := s.printed(); !strings.Contains(out, "throughline dev send EVENT.json --dir "+s.dir+"\n") {
		t.Errorf("what it prints does not reach it: %s", out)
	}
	if info, err := os.Stat(filepath.Join(s.dir, devfolder.ApplicationFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", err, info.Mode())
	}
	var own devfolder.Application
	if err := json.Unmarshal(data, &own); err != nil || len(own.Token) != 48 {
		t.Fatalf("%v %s", err, data)
	}
	for _, path := range []string{"GET /app/state", "POST /app/send", "POST /app/invoke?function=Router", "POST /app/fire?schedule=x", "POST /app/replay"} {
		method, path, _ := strings.Cut(path, " ")
		for _, token := range []string{"", "x", own.Token[:47], own.Token + "0"} {
			if status, body := call(method, path, token); status != http.StatusUnauthorized || strings.Contains(body, "Router") {
				t.Errorf("%s %s with %q: %d %s", method, path, token, status, body)
			}
		}
	}
	if status, page := call("GET", "/app/", ""); status != http.StatusOK || strings.Contains(page, own.Token) || strings.Contains(page, "{{") {
		t.Errorf("the page: %d", status)
	}
	if status, body := call("GET", "/app/state", own.Token); status != http.StatusOK || strings.Contains(body, "null") {
		t.Errorf("of an application that plays whole and has done nothing: %d %s", status, body) // the page reads lists, and null is none
	}
	if status, body := call("POST", "/app/send", own.Token); status != http.StatusOK || !strings.Contains(body, `"rules":["Rule"]`) {
		t.Errorf("%d %s", status, body)
	}
	s.says("routed T")
	status, body := call("GET", "/app/state", own.Token)
	if status != http.StatusOK || !strings.Contains(body, `"text":"routed T"`) || !strings.Contains(body, `"name":"Router","runtime":"python3.12"`) {
		t.Errorf("%d %s", status, body)
	}
	s.close()
	if _, err := os.Stat(filepath.Join(s.dir, devfolder.ApplicationFile)); err == nil {
		t.Error("the file of the start is left")
	}
	if _, err := s.run("", "invoke", "Router"); err == nil || !strings.Contains(err.Error(), "start one with throughline dev TEMPLATE") {
		t.Errorf("%v", err)
	}
}

// TestCodeChanges are taken at the next invocation.
func TestCodeChanges(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/mixed")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go", "go.mod"), []byte("module example.com/whisper\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := playing(t, filepath.Join(dir, "template.yaml"), Flags{})
	if out := s.must("", "send", "Words", "--detail", `{"text": "One two"}`); !strings.Contains(out, `its detail is {"text":"One two"}`) {
		t.Errorf("%s", out)
	}
	s.says("2 words: ONE TWO", "whispered one two")
	s.settle()
	for file, change := range map[string][2]string{"node/shout.mjs": {"words: ", "WORDS: "}, "go/main.go": {"whispered", "murmured"}} {
		path := filepath.Join(dir, file)
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.ReplaceAll(source, []byte(change[0]), []byte(change[1])), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.must("", "send", "Words", "--detail", `{"text": "Three four"}`) // which looks at the code first
	s.says("Shout: its code has changed", "Whisper: its code has changed", "2 WORDS: THREE FOUR", "murmured three four")
}

// TestTheTemplateChanges: it is played as it was, and the terminal and the page say so, of
// nested templates too, until it is as it was.
func TestTheTemplateChanges(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/nested")); err != nil {
		t.Fatal(err)
	}
	s := playing(t, filepath.Join(dir, "template.yaml"), Flags{quiet: true})
	changed := func() (news []string) {
		t.Helper()
		var state struct{ Changed []string }
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.page+"/app/state", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(TokenHeader, s.control.file.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&state); err != nil || state.Changed == nil {
			t.Fatalf("%v %+v", err, state)
		}
		return state.Changed
	}
	if news := changed(); len(news) != 0 {
		t.Errorf("%q", news)
	}
	for _, name := range []string{"template.yaml", filepath.Join("inner", "template.yaml")} {
		path := filepath.Join(dir, name)
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before := strings.Count(s.out.String(), "as it was at the start again")
		if err := os.WriteFile(path, append(was, "# more\n"...), 0o644); err != nil {
			t.Fatal(err)
		}
		for len(changed()) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if news := changed(); len(news) != 1 || news[0] != restartFor(path) {
			t.Errorf("%q", news)
		}
		s.says(restartFor(path))
		if err := os.WriteFile(path, was, 0o644); err != nil {
			t.Fatal(err)
		}
		for len(changed()) > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if again := strings.Count(s.out.String(), "as it was at the start again"); again != before+1 {
			t.Errorf("it was said %d times\n%s", again-before, s.out)
		}
	}
}

// TestRealAWS is said loudly, and gives the user's credentials; without, there are none.
func TestRealAWS(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDMINE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "")
	t.Setenv("AWS_REGION", "eu-west-3")
	t.Setenv("AWS_PROFILE", "")
	dir := t.TempDir()
	template := filepath.Join(dir, "template.yaml")
	if err := os.WriteFile(template, []byte(`
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: |
        import os
        def handler(event, context):
            return [os.environ.get(n, "") for n in ("AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_PROFILE")]
`), 0o644); err != nil {
		t.Fatal(err)
	}
	s := playing(t, template, Flags{})
	if out := s.must("", "invoke", "F"); strings.TrimSpace(out) != `["ASIALOCALLAMBDALOCAL","us-east-1",""]` {
		t.Errorf("%s", out)
	}
	s.quiet("REAL AWS")
	s.close()
	s = playing(t, template, Flags{aws: "real"})
	if out := s.must("", "invoke", "F"); strings.TrimSpace(out) != `["AKIDMINE","eu-west-3",""]` {
		t.Errorf("%s", out)
	}
	s.says("REAL AWS: functions have your credentials (AKIDMINE)")
	if _, err := (Flags{aws: "unreal", extension: extension(t)}).Start(t.Context(), template, Places{Dir: dir, Out: io.Discard}); err == nil {
		t.Error("--aws unreal was taken")
	}
}

// TestRefuses says what to do where an application cannot be played.
func TestRefuses(t *testing.T) {
	extension := extension(t)
	dir := t.TempDir()
	for name, c := range map[string]struct{ template, extension, want string }{
		"NoFile":      {"", extension, "read the template"},
		"NoExtension": {"Resources: {}", filepath.Join(dir, "none"), "make build"},
		"NotYAML":     {"a: [", extension, "not YAML"},
		"NoFunction":  {"Resources: {M: {Type: AWS::StepFunctions::StateMachine}}", extension, "not played: M, AWS::StepFunctions::StateMachine: state machines are not played"},
		"NoCode":      {"Resources: {F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, CodeUri: gone/}}}", extension, "sam build"},
		"NoPython":    {"Resources: {F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, InlineCode: x}}}", extension, "--python"},
		"BadPattern":  {"Resources: {F: {Type: AWS::Serverless::Function, Properties: {Runtime: provided.al2023, Handler: a, CodeUri: code, Events: {E: {Type: EventBridgeRule, Properties: {Pattern: {source: x}}}}}}}", extension, "source"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "template.yaml")
			if c.template != "" {
				if err := os.WriteFile(path, []byte(c.template), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.MkdirAll(filepath.Join(dir, "code"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "code", "bootstrap"), []byte("x"), 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := Flags{extension: c.extension, python: "no-such-python", concurrency: 1}.Start(t.Context(), path, Places{Dir: dir, Out: io.Discard})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
