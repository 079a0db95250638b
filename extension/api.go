package extension

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/throughline/throughline/extension/internal/oneconn"
	"github.com/throughline/throughline/internal/jsonwalk"
)

// api is the client of the Extensions API 2020-01-01 and the Telemetry API
// 2022-07-01 (Lambda developer guide).
type api struct {
	name   string
	id     string
	client oneconn.Client // without a timeout: next blocks while the environment is frozen
}

// event is an event of the Extensions API, which next returns.
type event struct {
	EventType          string `json:"eventType"`
	DeadlineMS         int64  `json:"deadlineMs"`
	RequestID          string `json:"requestId"`
	InvokedFunctionARN string `json:"invokedFunctionArn"`
	ShutdownReason     string `json:"shutdownReason"`
	Tracing            struct {
		Value string `json:"value"`
	} `json:"tracing"`
}

// statusError is a response with a status other than 200.
type statusError struct {
	call   string
	status int
	body   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: Lambda answered %d: %s", e.call, e.status, e.body)
}

func (a *api) do(ctx context.Context, r oneconn.Request) (oneconn.Answer, error) {
	answer, err := a.client.Do(ctx, r)
	if err != nil {
		return answer, fmt.Errorf("%s: %w", r.Path, err)
	}
	if answer.Status != http.StatusOK {
		return answer, &statusError{r.Path, answer.Status, string(answer.Body[:min(len(answer.Body), 300)])}
	}
	return answer, nil
}

// register registers the extension for events and returns the function's name.
func (a *api) register(ctx context.Context, events []string) (function string, err error) {
	ctx, cancel := context.WithTimeout(ctx, apiPatience)
	defer cancel()
	answer, err := a.do(ctx, oneconn.Request{
		Method: http.MethodPost, Path: "/2020-01-01/extension/register", Header: [][2]string{{"Lambda-Extension-Name", a.name}},
		Body: []byte(`{"events":["` + strings.Join(events, `","`) + `"]}`),
	})
	if err != nil {
		return "", err
	}
	m := jsonwalk.MembersOf(answer.Body, 0)
	for m.Next() {
		if string(m.Key) == "functionName" {
			function = jsonwalk.Text(m.Value)
		}
	}
	if m.After == 0 {
		return "", errors.New("read the answer: it is no JSON object")
	}
	a.id = answer.Header.Get("Lambda-Extension-Identifier")
	return function, nil
}

func (a *api) subscribe(ctx context.Context, schema, destination string) error {
	ctx, cancel := context.WithTimeout(ctx, apiPatience)
	defer cancel()
	// Function and extension logs are left out: they contain the extension's own
	// lines. The values in this JSON need no escapes.
	_, err := a.do(ctx, oneconn.Request{
		Method: http.MethodPut, Path: "/2022-07-01/telemetry", Header: a.identified(),
		Body: []byte(`{"schemaVersion":"` + schema + `","types":["platform"],"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":25},` +
			`"destination":{"protocol":"HTTP","URI":"` + destination + `"}}`),
	})
	return err
}

// next waits for the next event. asked is called after the request is written; it
// may be nil.
func (a *api) next(ctx context.Context, asked func()) (event, error) {
	var e event
	answer, err := a.do(ctx, oneconn.Request{Method: http.MethodGet, Path: "/2020-01-01/extension/event/next", Header: a.identified(), Wrote: asked})
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(answer.Body, &e); err != nil {
		return e, fmt.Errorf("read the answer: %w", err)
	}
	return e, nil
}

func (a *api) identified() [][2]string {
	return [][2]string{{"Lambda-Extension-Identifier", a.id}}
}

func (e event) deadline() time.Time { return time.UnixMilli(e.DeadlineMS) }
