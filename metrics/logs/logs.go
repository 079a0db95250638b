// Package logs writes metric lines to CloudWatch Logs with PutLogEvents. Use it
// if the function's own log is filtered: Lambda's JSON log format drops lines
// below ApplicationLogLevel. CloudWatch extracts metrics from the lines as from
// a function's log.
package logs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Patience is the default time limit of one Write: the caller is an invocation
// that has ended.
const Patience = 250 * time.Millisecond

// Bounds of one request ("PutLogEvents", CloudWatch Logs API reference), and
// the pauses after failures.
const (
	maxBatchBytes  = 1_048_576
	eventOverhead  = 26
	maxBatchEvents = 10_000
	threshold      = 3
	firstPause     = time.Second
	longestPause   = time.Minute
	maxAnswer      = 64 << 10
)

// Config of a [Writer]. Group, Region and Credentials are required.
type Config struct {
	Group       string // the log group's name
	Region      string
	Credentials aws.CredentialsProvider // called for each request: it should cache
	Endpoint    string                  // empty: CloudWatch Logs' in the Region
	Client      *http.Client            // nil: a client of its own
	Now         func() time.Time        // the wall clock; nil: time.Now
	Warn        func(string)            // called once per problem that prevents writing; may be nil
	Patience    time.Duration           // of one Write; zero: Patience
}

// Writer is an io.Writer of whole lines. Each Write sends its lines at once,
// within its patience. Lines that could not be sent are an error and are not
// kept. After three failures in a row the Writer pauses for a second, then
// two, up to a minute. It is safe for concurrent use. Use [New].
type Writer struct {
	config Config
	signer *v4.Signer

	mu     sync.Mutex
	stream string // empty until there is one
	failed int    // in a row
	until  time.Time
	warned bool
}

var _ io.Writer = (*Writer)(nil)

// New returns a Writer. It sends nothing: the first Write creates the log
// stream, so that each restored SnapStart environment has its own. The error
// names what the configuration lacks.
func New(config Config) (*Writer, error) {
	switch {
	case config.Group == "":
		return nil, errors.New("metric lines: no log group is known; write THROUGHLINE_METRICS_SINK=logs:<group>")
	case config.Region == "":
		return nil, errors.New("metric lines: no region is given; set AWS_REGION")
	case config.Credentials == nil:
		return nil, errors.New("metric lines: no credentials are given")
	}
	if config.Endpoint == "" {
		suffix := "amazonaws.com"
		if strings.HasPrefix(config.Region, "cn-") {
			suffix += ".cn"
		}
		config.Endpoint = "https://logs." + config.Region + "." + suffix
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	config.Patience = cmp.Or(config.Patience, Patience)
	if config.Client == nil {
		config.Client = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	return &Writer{config: config, signer: v4.NewSigner()}, nil
}

var errPaused = errors.New("CloudWatch Logs failed repeatedly and is left alone for a while")

// Write implements io.Writer.
func (w *Writer) Write(lines []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.config.Now().Round(0) // the wall clock continues while an environment is frozen
	if now.Before(w.until) {
		return 0, errPaused
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.config.Patience)
	defer cancel()
	err := w.send(ctx, lines, now)
	if err == nil {
		w.failed = 0
		return len(lines), nil
	}
	if w.failed++; w.failed >= threshold {
		w.until = now.Add(min(firstPause<<min(w.failed-threshold, 16), longestPause))
	}
	if w.config.Warn != nil && !w.warned {
		w.warned = true
		w.config.Warn(err.Error())
	}
	return 0, err
}

type event struct {
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// send puts the lines, in as many requests as they need.
func (w *Writer) send(ctx context.Context, lines []byte, now time.Time) error {
	if w.stream == "" {
		if err := w.open(ctx, now); err != nil {
			return err
		}
	}
	var batch []event
	size := 0
	put := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := w.call(ctx, "PutLogEvents", map[string]any{"logGroupName": w.config.Group, "logStreamName": w.stream, "logEvents": batch})
		batch, size = nil, 0
		return err
	}
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) == 0 {
			continue
		}
		if size+len(line)+eventOverhead > maxBatchBytes || len(batch) == maxBatchEvents {
			if err := put(); err != nil {
				return err
			}
		}
		batch, size = append(batch, event{now.UnixMilli(), string(line)}), size+len(line)+eventOverhead
	}
	return put()
}

// open creates the log stream.
func (w *Writer) open(ctx context.Context, now time.Time) error {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	stream := now.UTC().Format("throughline/2006/01/02/") + hex.EncodeToString(id)
	if err := w.call(ctx, "CreateLogStream", map[string]any{"logGroupName": w.config.Group, "logStreamName": stream}); err != nil {
		return err
	}
	w.stream = stream
	return nil
}

// call sends one signed request to the CloudWatch Logs API.
func (w *Writer) call(ctx context.Context, operation string, input any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("metric lines: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.Endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("metric lines: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	req.Header.Set("X-Amzn-Logs-Format", "json/emf")
	credentials, err := w.config.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("metric lines: get credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := w.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), "logs", w.config.Region, w.config.Now()); err != nil {
		return fmt.Errorf("metric lines: sign: %w", err)
	}
	resp, err := w.config.Client.Do(req)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok {
			err = cause.Err
		}
		return fmt.Errorf("metric lines: %s: %w", operation, err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // part of a response is enough
	return w.judge(operation, resp, answer)
}

func (w *Writer) judge(operation string, resp *http.Response, answer []byte) error {
	var problem struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(answer, &problem) // problem is empty if the response is not JSON
	kind := problem.Type[strings.LastIndexByte(problem.Type, '#')+1:]
	switch {
	case resp.StatusCode == http.StatusOK, kind == "ResourceAlreadyExistsException":
		return nil
	case kind == "ResourceNotFoundException":
		w.stream = "" // it may have been deleted: the next call creates another one
		return fmt.Errorf("metric lines: the log group %s is not there; name the function's group in THROUGHLINE_METRICS_SINK=logs:<group>", w.config.Group)
	case kind == "AccessDeniedException":
		return fmt.Errorf("metric lines: the role may not call logs:%s on %s; grant logs:CreateLogStream and logs:PutLogEvents", operation, w.config.Group)
	default:
		return fmt.Errorf("metric lines: %s: CloudWatch Logs answered %s: %s %s", operation, resp.Status, kind, problem.Message)
	}
}
