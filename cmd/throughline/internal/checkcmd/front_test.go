package checkcmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/eventsv2local"
	"github.com/throughline/throughline/peertest"
)

// front stands before moto, writes down which operations are called, and is
// what moto is not: moto knows no LoggingConfig of functions and no class of log
// groups, fails where a rule sends to Lambda, has no dead-letter queues, and
// runs no functions without Docker. An account of a test's own.
type front struct {
	*httptest.Server                  // for the command: it is written down
	stage            *httptest.Server // for the test itself: it is not
	t                *testing.T
	account          string
	proxy            *httputil.ReverseProxy

	mu       sync.Mutex
	calls    []string
	deny     string                    // an operation that is refused
	logging  map[string]map[string]any // LoggingConfig, by function
	classes  map[string]string         // of log groups
	patterns map[string]string         // of rules
	failing  map[string]string         // dead-letter queues of targets that do not exist, by rule
	deaf     bool                      // dead-letter queues receive nothing
	replayed func()                    // what functions do once a replay was started
	fresh    *eventsv2local.Service    // new custom buses; nil: the Region has none
	physical *strings.Replacer         // in what a stack made: moto gives buses no ID, and rules none with their bus
}

func newFront(t *testing.T) *front {
	t.Helper()
	moto, err := url.Parse(peertest.Moto(t))
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, account: peertest.Account(), logging: map[string]map[string]any{}, classes: map[string]string{}, patterns: map[string]string{}, failing: map[string]string{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(moto)
			r.Out.Host = r.In.Host
			r.Out.Header.Set("x-moto-account-id", f.account)
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: f.complete,
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, true) }))
	f.stage = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, false) }))
	t.Cleanup(f.Close)
	t.Cleanup(f.stage.Close)
	return f
}

func (f *front) config() aws.Config {
	cfg, err := configure(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	cfg.Region, cfg.BaseEndpoint = "eu-west-1", &f.stage.URL
	return cfg
}

var scopeService = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/`)

const newBusAPI = "/service/AWSEventsV2/operation/"

// operation is what IAM calls the call: events:ListRules.
func operation(r *http.Request, body []byte) string {
	service := ""
	if m := scopeService.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		service = m[1]
	}
	if service == "monitoring" {
		service = "cloudwatch"
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, name, _ := strings.Cut(target, ".")
		return service + ":" + strings.TrimSuffix(name, "Batch") // IAM has one action for both
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		return service + ":" + form.Get("Action")
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, newBusAPI):
		return service + ":" + strings.TrimPrefix(path, newBusAPI)
	case service != "lambda":
	case strings.HasSuffix(path, "/configuration"):
		return "lambda:GetFunctionConfiguration"
	case strings.HasSuffix(path, "/policy"):
		return "lambda:GetPolicy"
	case strings.Contains(path, "/event-source-mappings"):
		return "lambda:ListEventSourceMappings"
	}
	return service + ":" + r.Method + " " + r.URL.Path
}

func (f *front) serve(w http.ResponseWriter, r *http.Request, recorded bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	name := operation(r, body)
	f.mu.Lock()
	if recorded {
		f.calls = append(f.calls, name)
	}
	denied := recorded && f.deny == name
	f.mu.Unlock()
	switch {
	case denied:
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":"AccessDeniedException","message":"not authorized to perform: %s"}`, name)
		return
	case strings.HasPrefix(r.URL.Path, newBusAPI) && f.fresh != nil:
		f.fresh.ServeHTTP(w, r)
		return
	case name == "events:PutRule" || name == "events:PutTargets" || name == "events:RemoveTargets":
		f.remember(name, body)
	case name == "events:PutEvents" && f.fail(w, body):
		return
	}
	r.Header.Set("X-Operation", name)
	f.proxy.ServeHTTP(w, r)
	if name == "events:StartReplay" && f.replayed != nil {
		f.replayed()
	}
}

// remember keeps the rules with a target that does not exist.
func (f *front) remember(name string, body []byte) {
	var in struct {
		Name, Rule, EventPattern string
		Targets                  []struct {
			Arn              string
			DeadLetterConfig struct{ Arn string }
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch name {
	case "events:PutRule":
		f.patterns[in.Name] = in.EventPattern
	case "events:RemoveTargets":
		delete(f.failing, in.Rule)
	default:
		for _, target := range in.Targets {
			if strings.HasSuffix(target.Arn, "is-not-there") {
				f.failing[in.Rule] = target.DeadLetterConfig.Arn
			}
		}
	}
}

// fail answers for EventBridge where a rule that matches has a target that does
// not exist: the event goes to its dead-letter queue.
func (f *front) fail(w http.ResponseWriter, body []byte) bool {
	var in struct {
		Entries []struct {
			Source, DetailType, Detail, EventBusName string
			Resources                                []string
		}
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.Entries) != 1 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := in.Entries[0]
	for rule, queue := range f.failing {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", time.Now().UnixNano()%1e12)
		envelope, err := json.Marshal(map[string]any{"version": "0", "id": id, "source": e.Source, "detail-type": e.DetailType, "detail": json.RawMessage(e.Detail), "resources": e.Resources})
		if err != nil {
			f.t.Error(err)
		}
		p, err := eventpattern.Compile([]byte(f.patterns[rule]))
		if err != nil || !p.Match(envelope) {
			f.t.Errorf("the rule %s %s does not match %s: %v", rule, f.patterns[rule], envelope, err)
			continue
		}
		if !f.deaf {
			go f.send(queue, string(envelope), map[string]string{"RULE_ARN": arnOf("events", "rule/"+e.EventBusName+"/"+rule), "ERROR_CODE": "NO_RESOURCE", "ERROR_MESSAGE": "there is no such function"})
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprintf(w, `{"FailedEntryCount":0,"Entries":[{"EventId":%q}]}`, id)
		return true
	}
	return false
}

func (f *front) send(queue, body string, attributes map[string]string) {
	client := sqs.NewFromConfig(f.config())
	found, err := client.GetQueueUrl(f.t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(arn.Name(queue))})
	if err != nil {
		f.t.Error(err)
		return
	}
	in := &sqs.SendMessageInput{QueueUrl: found.QueueUrl, MessageBody: &body, MessageAttributes: map[string]sqstypes.MessageAttributeValue{}}
	for name, value := range attributes {
		in.MessageAttributes[name] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	if _, err := client.SendMessage(f.t.Context(), in); err != nil {
		f.t.Error(err)
	}
}

// complete adds to moto's answers what it does not know.
func (f *front) complete(r *http.Response) error {
	name := r.Request.Header.Get("X-Operation")
	if r.StatusCode != http.StatusOK || !slices.Contains([]string{"lambda:GetFunctionConfiguration", "logs:DescribeLogGroups", "cloudformation:ListStackResources"}, name) {
		return nil
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if name == "cloudformation:ListStackResources" {
		data = []byte(f.physical.Replace(string(data)))
	} else if data, err = f.completed(data); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	r.Header.Set("Content-Length", fmt.Sprint(len(data)))
	return nil
}

func (f *front) completed(data []byte) ([]byte, error) {
	var answer map[string]any
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if fn, ok := answer["FunctionName"].(string); ok && f.logging[fn] != nil {
		answer["LoggingConfig"] = f.logging[fn]
	}
	groups, _ := answer["logGroups"].([]any)
	for _, g := range groups {
		group := g.(map[string]any)
		if class := f.classes[fmt.Sprint(group["logGroupName"])]; class != "" {
			group["logGroupClass"] = class
		}
	}
	f.mu.Unlock()
	return json.Marshal(answer)
}

// called are the distinct operations since the last call of called.
func (f *front) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Compact(slices.Sorted(slices.Values(f.calls)))
	f.calls = nil
	return list
}

// log writes lines as a function's extension does.
func (f *front) log(function string, lines ...string) {
	f.t.Helper()
	client, group, stream := logs.NewFromConfig(f.config()), "/aws/lambda/"+function, "stream"
	_, _ = client.CreateLogGroup(f.t.Context(), &logs.CreateLogGroupInput{LogGroupName: &group}) // it may be there
	_, _ = client.CreateLogStream(f.t.Context(), &logs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream})
	in := &logs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream}
	for _, line := range lines {
		in.LogEvents = append(in.LogEvents, logstypes.InputLogEvent{Timestamp: aws.Int64(time.Now().UnixMilli()), Message: &line})
	}
	if _, err := client.PutLogEvents(f.t.Context(), in); err != nil {
		f.t.Error(err)
	}
}

// role makes a role, which moto wants of a function. The project has no client
// of IAM.
func (f *front) role() string {
	f.t.Helper()
	form := url.Values{"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"functions"}, "AssumeRolePolicyDocument": {`{"Version":"2012-10-17","Statement":[]}`}}
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.stage.URL, strings.NewReader(form.Encode()))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIALOCAL/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusConflict {
		text, _ := io.ReadAll(resp.Body)
		f.t.Fatalf("make a role: %s %s", resp.Status, text)
	}
	return "arn:aws:iam::" + f.account + ":role/functions"
}
