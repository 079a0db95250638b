package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/code"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/internal/pause"
	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/invokelocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/snslocal"
	"github.com/throughline/throughline/local/sqslocal"
)

// makeFunctions finds the code of the functions, builds them where needed, and registers
// them. Their first invocation starts them.
func (s *Stage) makeFunctions(ctx context.Context) error {
	for _, f := range s.plan.Functions {
		c, err := s.finder.Find(ctx, f)
		if err != nil {
			return fmt.Errorf("the function %s: %w", f.ID, err)
		}
		if c.Note != "" {
			s.note("%s: %s", f.ID, c.Note)
		}
		s.codes[f.Name] = c
	}
	if err := s.build(ctx); err != nil {
		return err
	}
	for _, f := range s.plan.Functions {
		if f.Reserved == 0 {
			s.note("%s has a reserved concurrency of 0: it runs with one environment", f.ID)
		}
		if _, err := s.lambda.Create(s.function(f, s.codes[f.Name])); err != nil {
			return err
		}
	}
	return nil
}

// build compiles functions one after another, because the compiler itself uses every
// core.
func (s *Stage) build(ctx context.Context) error {
	for _, f := range s.plan.Functions {
		if s.codes[f.Name].Compiled() {
			s.say(f.Name, "go build: the first time takes a while")
		}
		if err := s.codes[f.Name].Build(ctx); err != nil {
			return fmt.Errorf("the function %s: %w", f.ID, err)
		}
	}
	return nil
}

const (
	initTimeout = time.Minute     // this machine starts many environments at once
	keepAlive   = 5 * time.Minute // how long an idle environment is kept
)

// function converts a function to one of the local Lambda.
func (s *Stage) function(f plan.Function, c *code.Code) lambdalocal.Function {
	most := s.options.Concurrency
	if f.Reserved >= 0 {
		most = max(1, min(most, f.Reserved))
	}
	retries := f.Retries
	if retries == 0 {
		retries = -1 // none
	}
	made := lambdalocal.Function{
		Name: f.Name, Handler: f.Handler, Runtime: c.Argv, Wrapper: s.finder.Wrapper, Extensions: append([]string{s.options.Extension}, c.Extensions...),
		Env: s.environment(f, c), TaskRoot: c.Root, ExecutionEnv: c.ExecutionEnv, Memory: f.Memory, Timeout: f.Timeout, InitTimeout: initTimeout,
		MaxEnvironments: most, KeepAlive: keepAlive, Retries: retries, RetryDelay: time.Second,
		Hook: s.hook(f.Name), OnAsync: s.destinations(f).Of(plan.FunctionARN(f.Name)),
	}
	if c.Library { // the library does the wrapper's work
		made.Wrapper = ""
	}
	if f.LogJSON {
		made.LogFormat = lambdalocal.JSON
	}
	if s.options.Credentials != nil {
		made.Credentials, made.Region = *s.options.Credentials, s.options.Region
	}
	return made
}

// environment returns the variables of a function: the user's, then the template's, then
// those that keep its calls on this machine and export its spans to the page. The last
// take precedence.
func (s *Stage) environment(f plan.Function, c *code.Code) map[string]string {
	env := map[string]string{"PATH": os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE": "1"}
	maps.Copy(env, f.Env)
	maps.Copy(env, s.options.Env)
	for name, value := range env {
		if rest, ok := strings.CutPrefix(value, "/opt/"); ok && c.Opt != "" && name != "AWS_LAMBDA_EXEC_WRAPPER" {
			env[name] = filepath.Join(c.Opt, rest)
		}
	}
	if own := env["AWS_LAMBDA_EXEC_WRAPPER"]; own != "" && own != "/opt/throughline/wrapper" {
		if rest, ok := strings.CutPrefix(own, "/opt/"); ok {
			own = filepath.Join(c.Opt, rest)
		}
		env["THROUGHLINE_NEXT_WRAPPER"] = own
	}
	maps.DeleteFunc(env, func(name, _ string) bool {
		return name == "AWS_LAMBDA_EXEC_WRAPPER" || name == "AWS_PROFILE" || strings.HasPrefix(name, "AWS_ENDPOINT_URL") || reserved(name) ||
			strings.HasPrefix(name, "OTEL_EXPORTER_OTLP") || name == "THROUGHLINE_TRACES" || name == "THROUGHLINE_ENDPOINTS" || strings.HasSuffix(name, "_ADDR") && strings.HasPrefix(name, "THROUGHLINE_")
	})
	nowhere := filepath.Join(s.options.Dir, "home", "none")
	proxy := "http://" + s.gateway.Address
	maps.Copy(env, map[string]string{
		"HOME": filepath.Join(s.options.Dir, "home"), "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere,
		"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "http_proxy": proxy, "https_proxy": proxy, "NO_PROXY": "127.0.0.1,localhost,::1", "no_proxy": "127.0.0.1,localhost,::1",
		"SSL_CERT_FILE": s.gateway.CA, "REQUESTS_CA_BUNDLE": s.gateway.CA, "CURL_CA_BUNDLE": s.gateway.CA, "AWS_CA_BUNDLE": s.gateway.CA, "NODE_EXTRA_CA_CERTS": s.gateway.CA,
		"OTEL_EXPORTER_OTLP_ENDPOINT": s.options.OTLP, "THROUGHLINE_ENDPOINTS": "otlp,runtime", "THROUGHLINE_FLUSH": "end",
		"THROUGHLINE_OTLP_ADDR": "127.0.0.1:0", // its default is the port of dev: the extension would send no spans to what it takes for itself
	})
	for name, url := range s.urls {
		env["AWS_ENDPOINT_URL_"+name] = url
	}
	switch {
	case c.Library:
		env["THROUGHLINE_ENDPOINTS"] = "otlp"
	case f.Language == plan.Custom: // it has no shim: its EventBridge calls go through the extension
		delete(env, "AWS_ENDPOINT_URL_EVENTBRIDGE")
		delete(env, "AWS_ENDPOINT_URL_EVENTBRIDGEV2")
		env["THROUGHLINE_ENDPOINTS"], env["THROUGHLINE_EVENTS_UPSTREAM"] = "otlp,runtime,events", s.urls["EVENTBRIDGE"]
	default:
		guard, _ := json.Marshal(map[string]any{"gateway": s.gateway.Address, "played": []string{"*.alpaca.markets"}, "allow": s.allowed()}) // these values always marshal
		env["_DEV_GUARD"] = string(guard)
	}
	maps.Copy(env, c.Env)
	return env
}

// reserved reports whether Lambda sets a variable itself. Lambda refuses a function that
// sets one.
func reserved(name string) bool {
	return slices.Contains([]string{
		"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "AWS_REGION",
		"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "TMPDIR",
	}, name) || strings.HasPrefix(name, "AWS_LAMBDA_") && name != "AWS_LAMBDA_EXEC_WRAPPER" && name != "AWS_LAMBDA_LOG_LEVEL"
}

// destinations returns the destinations of a function's asynchronous invocations.
func (s *Stage) destinations(f plan.Function) invokelocal.Destinations {
	return invokelocal.Destinations{OnSuccess: s.destination(f.ID, f.OnSuccess), OnFailure: s.destination(f.ID, f.OnFailure), DeadLetter: s.deadLetters(f)}
}

func (s *Stage) deadLetters(f plan.Function) *sqslocal.Queue {
	if f.DeadLetter == "" {
		return nil
	}
	q := s.queues.Queue(f.DeadLetter)
	if q == nil || plan.ServiceOf(f.DeadLetter) != "sqs" {
		s.note("%s: its dead-letter target %s is not played", f.ID, f.DeadLetter)
		return nil
	}
	return q
}

func (s *Stage) destination(id, arn string) invokelocal.Destination {
	switch service := plan.ServiceOf(arn); {
	case arn == "":
		return nil
	case service == "sqs" && s.queues.Queue(arn) != nil:
		return invokelocal.ToQueue(s.queues.Queue(arn))
	case service == "events":
		return func(function, condition string, record []byte) {
			invokelocal.ToBus(s.bus, plan.NameOf(arn))(function, condition, record)
		}
	case service == "lambda":
		return func(_, _ string, record []byte) { _, _ = s.async(arn, record, "") } // Lambda drops it too
	case service == "sns":
		return func(_, _ string, record []byte) {
			_, _ = s.topics.Publish(arn, snslocal.Message{Message: string(record)}, "")
		}
	}
	s.note("%s: its destination %s is not played", id, arn)
	return nil
}

// makeMappings starts the event source mappings of queues.
func (s *Stage) makeMappings() error {
	for _, m := range s.plan.Mappings {
		if plan.ServiceOf(m.Source) == "dynamodb" {
			continue // readStream reads it
		}
		q := s.queues.Queue(m.Source)
		if q == nil || plan.ServiceOf(m.Source) != "sqs" {
			s.note("%s: its source %s is not played", m.ID, m.Source)
			continue
		}
		var filters []*eventpattern.Pattern
		for _, text := range m.Filters {
			pattern, err := eventpattern.Compile([]byte(text))
			if err != nil {
				return fmt.Errorf("the filter of %s: %w", m.ID, err)
			}
			filters = append(filters, pattern)
		}
		concurrency := s.options.Concurrency
		if m.Concurrency > 0 {
			concurrency = min(concurrency, m.Concurrency)
		}
		mapping := sqslocal.Mapping{Queue: q, BatchSize: min(m.BatchSize, 10), Concurrency: concurrency, Retry: s.options.Retry, Attempts: s.options.Attempts, Consume: s.consume(m, filters)}
		mapping.GaveUp = func(sqslocal.Message) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.gaveUp[GaveUp{Function: m.Function, Queue: q.Name()}]++
		}
		s.running.Go(func() { mapping.Run(s.ctx) })
	}
	return nil
}

// consume invokes a function with the messages of a batch that match a filter. The others
// count as handled, as in an event source mapping.
func (s *Stage) consume(m plan.Mapping, filters []*eventpattern.Pattern) func(context.Context, []byte, []string) []string {
	d := s.lambda.Deployment(m.Function)
	return func(ctx context.Context, event []byte, ids []string) []string {
		if len(filters) > 0 {
			if event, ids = filtered(event, filters); len(ids) == 0 {
				return nil
			}
		}
		on := s.options.Faults.Delivery(m.Function, plan.NameOf(m.Source))
		if on.Fail || pause.For(ctx, on.Delay) != nil {
			return ids
		}
		result, err := d.Invoke(ctx, event, lambdalocal.InvokeOptions{Wait: true})
		if on.Duplicate { // as if the response of DeleteMessage were lost
			result, err = d.Invoke(ctx, event, lambdalocal.InvokeOptions{Wait: true})
		}
		switch {
		case err != nil || result.FunctionError != "":
			return ids
		case m.Failures:
			return result.FailedMessages(ids)
		}
		return nil
	}
}

// filtered returns a batch without the messages that no filter matches. A JSON body is
// matched as JSON (Lambda developer guide, "Using event filtering with an Amazon SQS
// event source").
func filtered(event []byte, filters []*eventpattern.Pattern) (left []byte, ids []string) {
	var batch struct{ Records []map[string]json.RawMessage }
	if json.Unmarshal(event, &batch) != nil {
		return event, nil
	}
	kept := []map[string]json.RawMessage{}
	for _, record := range batch.Records {
		seen := maps.Clone(record)
		var body string
		if json.Unmarshal(record["body"], &body) == nil && json.Valid([]byte(body)) {
			seen["body"] = json.RawMessage(body)
		}
		document, err := json.Marshal(seen)
		if err != nil || !matchesAny(filters, document) {
			continue
		}
		var id string
		_ = json.Unmarshal(record["messageId"], &id) // the local queue writes it
		kept, ids = append(kept, record), append(ids, id)
	}
	left, _ = json.Marshal(map[string]any{"Records": kept}) // unmarshalled values always marshal
	return left, ids
}

func matchesAny(filters []*eventpattern.Pattern, document []byte) bool {
	return slices.ContainsFunc(filters, func(p *eventpattern.Pattern) bool { return p.Match(document) })
}

// restart shuts down a function's environments, so that the next invocation starts a new
// one.
func (s *Stage) restart(name string) {
	var ending sync.WaitGroup
	for _, e := range s.lambda.Deployment(name).Environments() {
		ending.Go(func() { e.Shutdown("") })
	}
	ending.Wait()
}
