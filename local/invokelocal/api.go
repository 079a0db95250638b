package invokelocal

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/local/internal/recent"
	"github.com/throughline/throughline/local/internal/wire"
	"github.com/throughline/throughline/local/lambdalocal"
)

// API serves the functions of a local Lambda. Use [New], and close it. Safe for
// concurrent use.
type API struct {
	// Keep is how many invocations the ledger keeps at least; older ones are removed. Zero:
	// all. Set it before the first use.
	Keep int

	lambda *lambdalocal.Service
	server wire.Server

	mu     sync.Mutex
	ledger []Invoked
}

// Invoked is one requested invocation.
type Invoked struct {
	Function, RequestID string
	Async               bool
	TraceHeader         string // of the call
	At                  time.Time
}

// New returns an API in front of the functions of service.
func New(service *lambdalocal.Service) *API { return &API{lambda: service} }

// Start listens on a free port of the loopback interface and returns the URL.
func (a *API) Start() (string, error) {
	url, err := a.server.Start(a)
	if err != nil {
		return "", fmt.Errorf("start the local Invoke API: %w", err)
	}
	return url, nil
}

// Close stops the server. Synchronous invocations continue without their caller.
func (a *API) Close() { a.server.Close() }

// Ledger returns the invocations, in order.
func (a *API) Ledger() []Invoked {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ledger)
}

// fault is an error of the API.
type fault struct {
	status        int
	code, message string
	more          map[string]string
}

const (
	maxBody    = 8 << 20 // more than Lambda's limit, which the Deployment enforces
	maxContext = 3583    // bytes of a client context in base64
)

// ServeHTTP serves Invoke and the old InvokeAsync.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, async, ok := route(r)
	if !ok {
		refuse(w, fault{status: http.StatusNotFound, code: "UnknownOperationException", message: "The operation is not known here: " + r.Method + " " + r.URL.Path})
		return
	}
	body, ok := wire.Body(w, r, maxBody)
	if !ok {
		refuse(w, tooLarge)
		return
	}
	kind := r.Header.Get("X-Amz-Invocation-Type")
	if async {
		kind = "Event"
	}
	d, problem := a.find(name, r.URL.Query().Get("Qualifier"))
	if problem == nil && len(body) == 0 {
		body = []byte("{}")
	} else if problem == nil && !json.Valid(body) {
		problem = &fault{status: http.StatusBadRequest, code: "InvalidRequestContentException", message: "Could not parse request body into json."}
	}
	if problem != nil {
		refuse(w, *problem)
		return
	}
	switch kind {
	case "DryRun":
		wire.Write(w, http.StatusNoContent, "", nil)
	case "Event":
		a.event(w, r, d, body, async)
	case "", "RequestResponse":
		a.requestResponse(w, r, d, body)
	default:
		refuse(w, fault{status: http.StatusBadRequest, code: "InvalidParameterValueException", message: "InvocationType is one of Event, RequestResponse, DryRun."})
	}
}

// route reads the name of the function from a path; it may be a percent-encoded ARN.
func route(r *http.Request) (name string, async, ok bool) {
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	if len(parts) != 4 || parts[1] != "functions" || r.Method != http.MethodPost {
		return "", false, false
	}
	name, err := url.PathUnescape(parts[2])
	invoke := parts[0] == "2015-03-31" && parts[3] == "invocations"
	async = parts[0] == "2014-11-13" && parts[3] == "invoke-async"
	return name, async, err == nil && (invoke || async)
}

var function = regexp.MustCompile(`^(?:(?:arn:aws[a-z-]*:lambda:[a-z0-9-]+:)?\d{12}:function:)?([A-Za-z0-9_-]{1,64})(?::(\$LATEST|[A-Za-z0-9_-]+))?$`)

// find returns the function with a name, a partial ARN or a full ARN.
func (a *API) find(name, qualifier string) (*lambdalocal.Deployment, *fault) {
	parts := function.FindStringSubmatch(name)
	if parts == nil {
		return nil, &fault{status: http.StatusBadRequest, code: "ValidationException", message: "1 validation error detected: Value '" + name + "' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern"}
	}
	if parts[2] != "" {
		qualifier = parts[2]
	}
	d := a.lambda.Deployment(parts[1])
	if d == nil || qualifier != "" && qualifier != "$LATEST" && qualifier != d.Function().Version {
		arn := "arn:aws:lambda:us-east-1:123456789012:function:" + parts[1]
		if d != nil {
			arn = d.Function().ARN() + ":" + qualifier
		}
		return nil, &fault{status: http.StatusNotFound, code: "ResourceNotFoundException", message: "Function not found: " + arn, more: map[string]string{"Type": "User"}}
	}
	return d, nil
}

var tooLarge = fault{status: http.StatusRequestEntityTooLarge, code: "RequestTooLargeException", message: "Request must be smaller than the limit of the invocation type: 6291456 bytes, or 1048576 for Event", more: map[string]string{"Type": "User"}}

// Event invokes a function asynchronously, as services do. name is its name or
// ARN. It returns the request ID.
func (a *API) Event(name string, payload []byte, header string) (requestID string, err error) {
	d, problem := a.find(name, "")
	if problem != nil {
		return "", fmt.Errorf("%s: %s", problem.code, problem.message)
	}
	return a.async(d, payload, header)
}

func (a *API) async(d *lambdalocal.Deployment, payload []byte, header string) (string, error) {
	id, err := d.InvokeAsync(payload, lambdalocal.InvokeOptions{TraceHeader: handOn(header)})
	if err == nil {
		a.note(Invoked{Function: d.Function().Name, RequestID: id, Async: true, TraceHeader: header, At: time.Now()})
	}
	return id, err
}

func (a *API) note(i Invoked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ledger, _ = recent.Append(a.ledger, a.Keep, i)
}

// event queues an invocation. It drops a client context, as Lambda does.
func (a *API) event(w http.ResponseWriter, r *http.Request, d *lambdalocal.Deployment, body []byte, old bool) {
	id, err := a.async(d, body, r.Header.Get("X-Amzn-Trace-Id"))
	if err != nil {
		refuse(w, asFault(err))
		return
	}
	w.Header().Set(wire.RequestID, id)
	if old {
		wire.Write(w, http.StatusAccepted, "application/json", []byte(`{"Status":202}`))
		return
	}
	w.Header().Set("X-Amzn-Remapped-Content-Length", "0")
	wire.Write(w, http.StatusAccepted, "application/json", nil)
}

func (a *API) requestResponse(w http.ResponseWriter, r *http.Request, d *lambdalocal.Deployment, body []byte) {
	options := lambdalocal.InvokeOptions{RequestID: wire.UUID(), TraceHeader: handOn(r.Header.Get("X-Amzn-Trace-Id"))}
	if text := r.Header.Get("X-Amz-Client-Context"); text != "" {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(text) > maxContext || !json.Valid(decoded) {
			refuse(w, fault{status: http.StatusBadRequest, code: "InvalidRequestContentException", message: "Client context must be a valid Base64-encoded JSON object."})
			return
		}
		options.ClientContext = string(decoded)
	}
	a.note(Invoked{Function: d.Function().Name, RequestID: options.RequestID, TraceHeader: r.Header.Get("X-Amzn-Trace-Id"), At: time.Now()})
	result, err := d.Invoke(r.Context(), body, options)
	if err != nil {
		refuse(w, asFault(err))
		return
	}
	header := w.Header()
	header.Set(wire.RequestID, result.RequestID)
	header.Set("X-Amz-Executed-Version", result.ExecutedVersion)
	header.Set("X-Amzn-Remapped-Content-Length", "0")
	if result.FunctionError != "" {
		header.Set("X-Amz-Function-Error", result.FunctionError)
	}
	wire.Write(w, http.StatusOK, "application/json", result.Payload)
}

// handOn returns the trace header of a function for that of a call: the same root,
// sampling decision and lineage, and a parent of Lambda's own.
func handOn(header string) string {
	var root, rest string
	sampled := "0"
	for part := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Root":
			root = value
		case "Sampled":
			sampled = value
		case "Lineage":
			rest = ";Lineage=" + value
		}
	}
	if root == "" {
		return ""
	}
	return "Root=" + root + ";Parent=" + strings.ReplaceAll(wire.UUID(), "-", "")[16:] + ";Sampled=" + sampled + rest
}

func asFault(err error) fault {
	switch {
	case errors.Is(err, lambdalocal.ErrThrottled):
		return fault{status: http.StatusTooManyRequests, code: "TooManyRequestsException", message: "Rate Exceeded.", more: map[string]string{"Type": "User", "Reason": "ConcurrentInvocationLimitExceeded"}}
	case errors.Is(err, lambdalocal.ErrTooLarge):
		return tooLarge
	case errors.Is(err, context.Canceled):
		return fault{status: http.StatusRequestTimeout, code: "RequestTimeout", message: "the caller is gone"}
	default:
		return fault{status: http.StatusInternalServerError, code: "ServiceException", message: err.Error(), more: map[string]string{"Type": "Service"}}
	}
}

func refuse(w http.ResponseWriter, f fault) {
	w.Header().Set("X-Amzn-Errortype", f.code)
	body := map[string]string{"Message": f.message, "message": f.message}
	for name, value := range f.more {
		body[name] = value
	}
	wire.WriteJSON(w, f.status, "application/json", body)
}
