package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// api is the client of the Extensions API 2020-01-01 and the Telemetry API
// 2022-07-01 (Lambda developer guide).
type api struct {
	base   string
	name   string
	id     string
	client *http.Client // without a time-out: next blocks while the environment sleeps
}

// registered is what Lambda tells an extension that registers.
type registered struct {
	FunctionName    string `json:"functionName"`
	FunctionVersion string `json:"functionVersion"`
	Handler         string `json:"handler"`
}

// event is what next returns.
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

// statusError is an answer other than 200.
type statusError struct {
	call   string
	status int
	body   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: Lambda answered %d: %s", e.call, e.status, e.body)
}

func (a *api) do(ctx context.Context, method, path string, headers map[string]string, body any, into any) (http.Header, error) {
	var payload io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		payload = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, payload)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer resp.Body.Close()
	const longest = 1 << 20
	data, err := io.ReadAll(io.LimitReader(resp.Body, longest))
	if err != nil {
		return nil, fmt.Errorf("%s: read answer: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{path, resp.StatusCode, string(data[:min(len(data), 300)])}
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			return nil, fmt.Errorf("%s: read answer: %w", path, err)
		}
	}
	return resp.Header, nil
}

func (a *api) register(ctx context.Context, events []string) (registered, error) {
	ctx, cancel := context.WithTimeout(ctx, apiPatience)
	defer cancel()
	var r registered
	header, err := a.do(ctx, http.MethodPost, "/2020-01-01/extension/register", map[string]string{"Lambda-Extension-Name": a.name}, map[string]any{"events": events}, &r)
	if err != nil {
		return r, err
	}
	a.id = header.Get("Lambda-Extension-Identifier")
	return r, nil
}

func (a *api) subscribe(ctx context.Context, schema, destination string) error {
	ctx, cancel := context.WithTimeout(ctx, apiPatience)
	defer cancel()
	// Function and extension logs are left out: our own lines would come back.
	_, err := a.do(ctx, http.MethodPut, "/2022-07-01/telemetry", map[string]string{"Lambda-Extension-Identifier": a.id}, map[string]any{
		"schemaVersion": schema, "types": []string{"platform"},
		"buffering":   map[string]int{"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25},
		"destination": map[string]string{"protocol": "HTTP", "URI": destination},
	}, nil)
	return err
}

func (a *api) next(ctx context.Context) (event, error) {
	var e event
	_, err := a.do(ctx, http.MethodGet, "/2020-01-01/extension/event/next", map[string]string{"Lambda-Extension-Identifier": a.id}, nil, &e)
	return e, err
}

func (e event) deadline() time.Time { return time.UnixMilli(e.DeadlineMS) }
