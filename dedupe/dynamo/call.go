package dynamo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/throughline/throughline/dedupe"
)

const (
	// attempts limits how often a call is sent: a connection may break once because
	// Lambda froze the process, and throttling is temporary.
	attempts  = 3
	backoff   = 25 * time.Millisecond // doubled each time, with jitter
	maxAnswer = 512 << 10             // an item has at most 400 KB
)

// answer is DynamoDB's response to a write.
type answer struct {
	Type       string     `json:"__type"`
	Message    string     `json:"message"`
	Capital    string     `json:"Message"` // the spelling of some errors
	Attributes attributes // before the write
	Item       attributes // the existing item, if the condition failed
	failed     bool       // whether the condition failed
}

func (a *answer) old() dedupe.Record {
	if a.failed {
		return a.Item.record()
	}
	return a.Attributes.record()
}

// request sends an operation, and retries it if that may help. A failed
// condition is a result, not an error.
func (t *Table) request(ctx context.Context, operation string, r *request) (*answer, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("dedupe table: write the request: %w", err)
	}
	var a *answer
	for attempt := range attempts {
		if attempt > 0 && !pause(ctx, backoff<<(attempt-1)) {
			return nil, err
		}
		a, err = t.send(ctx, operation, body)
		if err == nil || ctx.Err() != nil || !again(err, operation == "UpdateItem" && r.ReturnValues != "") {
			break
		}
	}
	return a, err
}

// again reports whether a failed call is sent again. A call that increments a count
// is not sent again if its response was lost, because it may have been applied.
func again(err error, counts bool) bool {
	if problem, ok := errors.AsType[*Error](err); ok {
		return problem.Temporary
	}
	return !counts
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (t *Table) send(ctx context.Context, operation string, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.config.Endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("dedupe table: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	credentials, err := t.config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("dedupe table: get credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := t.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), "dynamodb", t.config.Region, t.config.Now()); err != nil {
		return nil, fmt.Errorf("dedupe table: sign: %w", err)
	}
	resp, err := t.config.Client.Do(req)
	if err != nil {
		var cause *url.Error // it has the URL, which may contain a key
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, fmt.Errorf("dedupe table %s: %w", t.config.Table, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("dedupe table: read the answer: %w", err)
	}
	a := new(answer)
	if err := json.Unmarshal(data, a); err != nil && resp.StatusCode == http.StatusOK {
		return nil, fmt.Errorf("dedupe table: read the answer: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return a, nil
	}
	code := a.Type[strings.LastIndexByte(a.Type, '#')+1:]
	if code == "ConditionalCheckFailedException" {
		a.failed = true
		return a, nil
	}
	return nil, t.problem(resp.StatusCode, code, a.Message+a.Capital)
}

// Error is DynamoDB's error response to a write.
type Error struct {
	Code      string // DynamoDB's name of the error, or the HTTP status
	Temporary bool   // throttling or an internal error of DynamoDB: a retry may succeed
	text      string
}

// Error returns what is wrong and what to do about it.
func (e *Error) Error() string { return e.text }

// Throttled reports whether DynamoDB throttled the write.
func Throttled(err error) bool {
	var e *Error
	return errors.As(err, &e) && throttling(e.Code)
}

func throttling(code string) bool {
	switch code {
	case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "Throttling", "TooManyRequestsException":
		return true
	}
	return false
}

func (t *Table) problem(status int, code, message string) *Error {
	e := &Error{Code: code}
	if code == "" {
		e.Code = fmt.Sprint("HTTP ", status)
	}
	name := t.config.Table
	switch {
	case throttling(code):
		e.Temporary = true
		e.text = fmt.Sprintf("the dedupe table %s is throttled (%s): make it on-demand or raise its write capacity", name, code)
	case status >= http.StatusInternalServerError:
		e.Temporary = true
		e.text = fmt.Sprintf("DynamoDB failed to write to the dedupe table %s (%s): if that lasts, see the AWS health dashboard", name, e.Code)
	case code == "ResourceNotFoundException":
		e.text = fmt.Sprintf("there is no dedupe table %s in %s: make it with `throughline dedupe create-table --table %s`, or correct THROUGHLINE_DEDUPE", name, t.config.Region, name)
	case code == "ValidationException" && !strings.Contains(message, "size"): // the requests differ only in their values
		e.text = fmt.Sprintf("the dedupe table %s has not the string pk as its only key (%s): use one that `throughline dedupe create-table` makes", name, message)
	case code == "AccessDeniedException":
		e.text = fmt.Sprintf("access to the dedupe table %s is denied: allow the function's role dynamodb:PutItem and dynamodb:UpdateItem on it", name)
	case code == "UnrecognizedClientException", code == "ExpiredTokenException", code == "InvalidSignatureException", code == "MissingAuthenticationTokenException", code == "IncompleteSignatureException":
		e.text = fmt.Sprintf("DynamoDB does not take the credentials for the dedupe table %s (%s): see the function's role and clock", name, code)
	default:
		e.text = fmt.Sprintf("DynamoDB refused a write to the dedupe table %s (%s: %s)", name, e.Code, message)
	}
	return e
}
