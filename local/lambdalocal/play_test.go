package lambdalocal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"context"
)

var (
	api    = "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API")
	client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
)

// play is the life of a process under test.
func play(name string) int {
	switch {
	case strings.HasPrefix(name, "ext"):
		return playExtension(name)
	case os.Getenv("TEST_LAMBDA_GO") != "":
		lambda.Start(func(ctx context.Context, event map[string]any) (any, error) {
			if message, ok := event["fail"].(string); ok {
				return nil, fmt.Errorf("%s", message)
			}
			lc, _ := lambdacontext.FromContext(ctx)
			deadline, _ := ctx.Deadline()
			return map[string]any{
				"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "tenant": lc.TenantID, "trace": os.Getenv("_X_AMZN_TRACE_ID"),
				"identity": lc.Identity.CognitoIdentityID, "client": lc.ClientContext.Client.AppTitle, "deadline": deadline.UnixMilli(),
			}, nil
		})
		return 0
	default:
		return playRuntime()
	}
}

func tell(from, kind string, status int, header http.Header, body []byte) {
	if !json.Valid(body) {
		body, _ = json.Marshal(string(body))
	}
	report, _ := json.Marshal(seen{from, kind, status, header, body})
	response, err := client.Post(os.Getenv("TEST_WORLD")+"/seen", "application/json", bytes.NewReader(report))
	if err == nil {
		_ = response.Body.Close()
	}
}

func waitAt(gate string) {
	response, err := client.Get(os.Getenv("TEST_WORLD") + "/gate/" + gate)
	if err == nil {
		_ = response.Body.Close()
	}
}

// send makes one API call and tells nobody.
func send(method, path string, headers map[string]string, body io.Reader) (int, http.Header, []byte) {
	request, _ := http.NewRequest(method, api+path, body)
	for k, v := range headers {
		request.Header.Set(k, v)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, []byte(err.Error())
	}
	defer func() { _ = response.Body.Close() }()
	content, _ := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, content
}

// script is what an extension under test does; TEST_<NAME> carries it.
type script struct {
	Events    []string // nil: both
	As        string   // registers by another name
	Features  string
	Subscribe string // the subscription, PORT in it replaced
	Reject    int    // this many telemetry deliveries are refused first
	InitGate  string // waited at before registering
	NextGate  string // waited at before the first next
	InitError bool
	WorkGate  string // waited at in every INVOKE
	ExitError bool   // at the first INVOKE
	Exit      bool   // exits at once
	Stay      bool   // does not end at SHUTDOWN
}

func (s script) String() string {
	b, _ := json.Marshal(s)
	return string(b)
}

func variable(name string) string {
	return "TEST_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func playExtension(name string) int {
	var s script
	_ = json.Unmarshal([]byte(os.Getenv(variable(name))), &s)
	if s.Exit {
		return 3
	}
	environment, _ := json.Marshal(os.Environ())
	tell(name, "environment", 0, nil, environment)
	if s.InitGate != "" {
		waitAt(s.InitGate)
	}
	if s.Events == nil {
		s.Events = []string{"INVOKE", "SHUTDOWN"}
	}
	register, _ := json.Marshal(map[string]any{"events": s.Events})
	headers := map[string]string{"Lambda-Extension-Name": name, "Lambda-Extension-Accept-Feature": s.Features}
	if s.As != "" {
		headers["Lambda-Extension-Name"] = s.As
	}
	status, header, body := send("POST", "/2020-01-01/extension/register", headers, bytes.NewReader(register))
	tell(name, "register", status, header, body)
	headers = map[string]string{extensionIdentifier: header.Get(extensionIdentifier)}
	if s.Subscribe != "" {
		port := listenForTelemetry(name, s.Reject)
		status, header, body = send("PUT", "/2022-07-01/telemetry", headers, strings.NewReader(strings.ReplaceAll(s.Subscribe, "PORT", port)))
		tell(name, "subscribe", status, header, body)
	}
	fmt.Println(name + " is up")
	if s.InitError {
		headers["Lambda-Extension-Function-Error-Type"] = "Extension.ConfigInvalid"
		status, _, body = send("POST", "/2020-01-01/extension/init/error", headers, strings.NewReader(`{"errorMessage":"bad"}`))
		tell(name, "init/error", status, nil, body)
		return 1
	}
	if s.NextGate != "" {
		waitAt(s.NextGate)
	}
	return s.loop(name, headers)
}

func (s script) loop(name string, headers map[string]string) int {
	for {
		status, header, body := send("GET", "/2020-01-01/extension/event/next", headers, nil)
		tell(name, "event", status, header, body)
		var event agentEvent
		_ = json.Unmarshal(body, &event)
		switch {
		case status != http.StatusOK:
			return 4
		case event.EventType == "SHUTDOWN" && s.Stay:
			hang()
		case event.EventType == "SHUTDOWN":
			return 0
		case s.ExitError:
			headers["Lambda-Extension-Function-Error-Type"] = "Extension.OutOfIdeas"
			status, _, body = send("POST", "/2020-01-01/extension/exit/error", headers, strings.NewReader("{}"))
			tell(name, "exit/error", status, nil, body)
			return 5
		case s.WorkGate != "":
			waitAt(s.WorkGate)
		}
	}
}

func listenForTelemetry(name string, reject int) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var count atomic.Int32
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if int(count.Add(1)) <= reject {
				tell(name, "rejected", 0, r.Header, body)
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			tell(name, "telemetry", 0, r.Header, body)
		}))
	}()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// task is what a runtime under test does with a payload; anything else is echoed.
type task struct {
	Log       []string          `json:"log"`
	Gate      string            `json:"gate"`
	Touch     string            `json:"touch"` // a file in TMPDIR, made before the answer
	Fail      *string           `json:"fail"`
	Exit      *int              `json:"exit"`
	ExitOnce  *int              `json:"exitOnce"` // unless TMPDIR has the file "once", which it makes
	ExitAfter *int              `json:"exitAfter"`
	Hang      bool              `json:"hang"`
	HangOnce  bool              `json:"hangOnce"`
	Size      int               `json:"size"`
	Stream    []string          `json:"stream"`
	Trailer   map[string]string `json:"trailer"`
	Mode      string            `json:"mode"`
	Twice     bool              `json:"twice"`
	WrongID   bool              `json:"wrongID"`
	TooSoon   bool              `json:"tooSoon"` // next before the answer
	Env       bool              `json:"env"`
}

func playRuntime() int {
	environment, _ := json.Marshal(os.Environ())
	tell("runtime", "environment", 0, nil, environment)
	if os.Getenv("TEST_SIGTERM") != "" {
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		go func() {
			<-terminated
			tell("runtime", "sigterm", 0, nil, nil)
			if os.Getenv("TEST_SIGTERM") != "ignore" {
				os.Exit(0)
			}
		}()
	}
	if name := os.Getenv("TEST_INTERNAL"); name != "" {
		status, header, body := send("POST", "/2020-01-01/extension/register", map[string]string{"Lambda-Extension-Name": name}, strings.NewReader(`{"events":["INVOKE"]}`))
		tell(name, "register", status, header, body)
		go script{}.loop(name, map[string]string{extensionIdentifier: header.Get(extensionIdentifier)})
	}
	if code, failed := failInit(os.Getenv("TEST_INIT")); failed {
		return code
	}
	if mode := os.Getenv("TEST_RESTORE"); mode != "" {
		status, header, body := send("GET", "/2018-06-01/runtime/restore/next", nil, nil)
		tell("runtime", "restore", status, header, body)
		switch mode {
		case "hang":
			hang()
		case "error":
			status, _, body = send("POST", "/2018-06-01/runtime/restore/error", map[string]string{functionErrorHeader: "Runtime.RestoreHookFailed"}, strings.NewReader(`{"errorMessage":"no"}`))
			tell("runtime", "restore/error", status, nil, body)
			return 1
		}
	}
	loops, _ := strconv.Atoi(os.Getenv("AWS_LAMBDA_MAX_CONCURRENCY"))
	var group sync.WaitGroup
	for range max(loops, 1) {
		group.Go(func() {
			for once() {
			}
		})
	}
	group.Wait()
	return 0
}

// failInit fails in the given way: exit, error, hang; with "-once" only in the first generation.
func failInit(way string) (int, bool) {
	way, once := strings.CutSuffix(way, "-once")
	if once && !firstTime() {
		return 0, false
	}
	switch way {
	case "exit":
		return 7, true
	case "error":
		status, _, body := send("POST", "/2018-06-01/runtime/init/error", map[string]string{functionErrorHeader: "Function.BadImport"},
			strings.NewReader(`{"errorType":"ImportError","errorMessage":"no module"}`))
		tell("runtime", "init/error", status, nil, body)
		return 8, true
	case "hang":
		hang()
	}
	return 0, false
}

func firstTime() bool {
	path := filepath.Join(os.TempDir(), "once")
	if _, err := os.Stat(path); err == nil {
		return false
	}
	_ = os.WriteFile(path, nil, 0o600)
	return true
}

// once handles one invocation.
func once() bool {
	status, header, payload := send("GET", "/2018-06-01/runtime/invocation/next", nil, nil)
	if status != http.StatusOK {
		tell("runtime", "next", status, header, payload)
		return false
	}
	tell("runtime", "invocation", status, header, payload)
	var do task
	_ = json.Unmarshal(payload, &do)
	for _, line := range do.Log {
		fmt.Println(line)
	}
	if do.Touch != "" {
		_ = os.WriteFile(filepath.Join(os.TempDir(), do.Touch), nil, 0o600)
	}
	if do.Gate != "" {
		waitAt(do.Gate)
	}
	switch {
	case do.Exit != nil:
		os.Exit(*do.Exit)
	case do.ExitOnce != nil && firstTime():
		os.Exit(*do.ExitOnce)
	case do.Hang, do.HangOnce && firstTime():
		hang()
	}
	do.answer("/2018-06-01/runtime/invocation/"+header.Get("Lambda-Runtime-Aws-Request-Id"), payload)
	if do.ExitAfter != nil {
		os.Exit(*do.ExitAfter)
	}
	return true
}

func (do task) answer(base string, payload []byte) {
	if do.TooSoon {
		status, _, body := send("GET", "/2018-06-01/runtime/invocation/next", nil, nil)
		tell("runtime", "too soon", status, nil, body)
	}
	if do.WrongID {
		status, _, body := send("POST", "/2018-06-01/runtime/invocation/0b0e2b42-3f6a-4a43-8d3a-000000000000/response", nil, strings.NewReader("{}"))
		tell("runtime", "wrong id", status, nil, body)
	}
	if do.Fail != nil {
		status, _, body := send("POST", base+"/error", map[string]string{functionErrorHeader: *do.Fail}, strings.NewReader(`{"errorType":"Oops","errorMessage":"failed"}`))
		tell("runtime", "error", status, nil, body)
		return
	}
	if do.Stream != nil || do.Trailer != nil {
		do.stream(base)
		return
	}
	body := payload
	switch {
	case do.Size > 0:
		body = bytes.Repeat([]byte{'x'}, do.Size)
	case do.Env:
		body, _ = json.Marshal(os.Environ())
	}
	headers := map[string]string{}
	if do.Mode != "" {
		headers[responseModeHeader] = do.Mode
	}
	status, _, answer := send("POST", base+"/response", headers, bytes.NewReader(body))
	tell("runtime", "response", status, nil, answer)
	if do.Twice {
		status, _, answer = send("POST", base+"/response", headers, bytes.NewReader(body))
		tell("runtime", "again", status, nil, answer)
	}
}

// stream writes the response in parts, each after the gate that its index names.
func (do task) stream(base string) {
	reader, writer := io.Pipe()
	request, _ := http.NewRequest(http.MethodPost, api+base+"/response", reader)
	request.Header.Set(responseModeHeader, "streaming")
	request.Trailer = http.Header{functionErrorHeader: nil, functionErrorBody: nil}
	go func() {
		for i, part := range do.Stream {
			waitAt(fmt.Sprintf("part%d", i))
			_, _ = io.WriteString(writer, part)
		}
		if do.Trailer != nil {
			request.Trailer.Set(functionErrorHeader, do.Trailer["type"])
			request.Trailer.Set(functionErrorBody, base64.StdEncoding.EncodeToString([]byte(do.Trailer["body"])))
		}
		_ = writer.Close()
	}()
	response, err := client.Do(request)
	if err != nil {
		tell("runtime", "response", 0, nil, []byte(err.Error()))
		return
	}
	_ = response.Body.Close()
	tell("runtime", "response", response.StatusCode, nil, nil)
}

// hang never returns. Without cgo the runtime would call select{} a deadlock,
// and end the process, where nothing else is left to do.
func hang() {
	for {
		time.Sleep(time.Hour)
	}
}
