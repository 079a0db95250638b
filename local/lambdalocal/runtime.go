package lambdalocal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxResponse limits a runtime's response, and the others the payload of a caller.
	maxResponse     = 6*1024*1024 + 100
	maxRequest      = 6 * 1024 * 1024
	maxAsyncRequest = 1024 * 1024

	functionErrorHeader = "Lambda-Runtime-Function-Error-Type"
	functionErrorBody   = "Lambda-Runtime-Function-Error-Body"
	responseModeHeader  = "Lambda-Runtime-Function-Response-Mode"
)

// serveInvocationNext records that the runtime is done and blocks until there is an event.
func (e *Environment) serveInvocationNext(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	b := e.boot
	if b == nil {
		e.mu.Unlock()
		containerError(w)
		return
	}
	if e.mode != ManagedInstances {
		for _, inv := range b.active {
			if inv.handed && inv.settled.IsZero() {
				e.mu.Unlock()
				forbid(w, "InvalidStateTransition", "State transition from RuntimeRunning to RuntimeReady failed for runtime. Error: State transition is not allowed")
				return
			}
			if inv.handed && inv.readied.IsZero() {
				inv.readied = time.Now()
			}
		}
	}
	b.ready = true
	e.notify()
	err := e.await(r.Context(), func() bool { return len(b.queue) > 0 || b.over })
	if err != nil || b.over {
		e.mu.Unlock()
		containerError(w)
		return
	}
	inv := b.queue[0]
	b.queue = b.queue[1:]
	inv.handed = true
	e.mu.Unlock()
	e.deployment.update(inv, func(truth *Invocation) { truth.Fetched = time.Now() })
	e.writeInvocation(w, inv)
}

func (e *Environment) writeInvocation(w http.ResponseWriter, inv *invocation) {
	o, h := inv.options, w.Header()
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", e.function.ARN())
	set("Lambda-Runtime-Trace-Id", inv.trace)
	set("Lambda-Runtime-Client-Context", o.ClientContext)
	set("Lambda-Runtime-Aws-Tenant-Id", o.TenantID)
	if o.CognitoIdentityID != "" || o.CognitoPoolID != "" {
		identity, _ := json.Marshal(map[string]string{"cognitoIdentityId": o.CognitoIdentityID, "cognitoIdentityPoolId": o.CognitoPoolID})
		h.Set("Lambda-Runtime-Cognito-Identity", string(identity))
	}
	h.Set("Content-Type", "application/json")
	set("Content-Type", o.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(inv.payload)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(inv.payload)
}

// answering returns the invocation that a response or an error is for. If there is
// none, or it has a response already, answering responds with an error itself.
func (e *Environment) answering(w http.ResponseWriter, r *http.Request) *invocation {
	e.mu.Lock()
	var inv *invocation
	if e.boot != nil {
		inv = e.boot.active[r.PathValue("id")]
	}
	if inv != nil && !inv.handed {
		inv = nil
	}
	again := inv != nil && inv.answering
	if inv != nil {
		inv.answering = true
	}
	e.mu.Unlock()
	switch {
	case inv == nil:
		fail(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil
	case again:
		forbid(w, "InvalidStateTransition", "State transition from RuntimeResponseSent to RuntimeInvocationResponse failed for runtime. Error: State transition is not allowed")
		return nil
	}
	return inv
}

// serveResponse accepts a response: as a whole, or in parts if it is streamed.
func (e *Environment) serveResponse(w http.ResponseWriter, r *http.Request) {
	inv := e.answering(w, r)
	if inv == nil {
		return
	}
	mode := r.Header.Get(responseModeHeader)
	if mode != "" && mode != "streaming" {
		e.settleError(inv, "Runtime.InvalidResponseModeHeader", "Invalid function response mode")
		fail(w, http.StatusBadRequest, "InvalidFunctionResponseMode", "Invalid function response mode")
		return
	}
	body, err := e.readResponse(inv, r.Body, mode == "streaming")
	switch {
	case errors.Is(err, errTooLong):
		_, _ = io.Copy(io.Discard, r.Body) // a client that is still writing would miss the response
		e.settleError(inv, "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size ("+strconv.Itoa(maxResponse)+" bytes).")
		fail(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size (%d bytes).", maxResponse)
		return
	case err != nil:
		e.settleError(inv, "Runtime.TruncatedResponse", "the response was cut off")
		fail(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
		return
	}
	result := Result{Payload: body}
	if sent := r.Trailer.Get(functionErrorHeader); sent != "" {
		result.FunctionError, result.ErrorType = "Unhandled", mapErrorType(sent)
		if cause, err := base64.StdEncoding.DecodeString(r.Trailer.Get(functionErrorBody)); err == nil && len(body) == 0 {
			result.Payload = cause
		}
	}
	e.settle(inv, result, len(body))
	e.hook(Event{Point: ResponseSent, RequestID: inv.id})
	accepted(w)
}

var errTooLong = errors.New("the response is too long")

// readResponse reads the runtime's response and passes its parts to a caller with a Stream.
func (e *Environment) readResponse(inv *invocation, body io.Reader, streaming bool) ([]byte, error) {
	var whole []byte
	chunk := make([]byte, 32<<10)
	for {
		n, err := body.Read(chunk)
		if n > 0 {
			e.mu.Lock()
			if inv.firstByte.IsZero() {
				inv.firstByte = time.Now()
			}
			e.mu.Unlock()
			whole = append(whole, chunk[:n]...)
			if !streaming && len(whole) > maxResponse {
				return nil, errTooLong
			}
			if inv.options.Stream != nil {
				_, _ = inv.options.Stream.Write(chunk[:n])
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return whole, nil
		case err != nil:
			return whole, err
		}
	}
}

// settleError returns an error of the platform to the caller.
func (e *Environment) settleError(inv *invocation, kind, message string) {
	payload, _ := json.Marshal(apiError{kind, message})
	e.settle(inv, Result{FunctionError: "Unhandled", ErrorType: kind, Payload: payload}, 0)
}

// serveInvocationError accepts an error of the handler.
func (e *Environment) serveInvocationError(w http.ResponseWriter, r *http.Request) {
	inv := e.answering(w, r)
	if inv == nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		e.settleError(inv, "Runtime.TruncatedResponse", "the response was cut off")
		fail(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
		return
	}
	e.settle(inv, Result{FunctionError: "Unhandled", ErrorType: mapErrorType(r.Header.Get(functionErrorHeader)), Payload: body}, len(body))
	e.hook(Event{Point: ResponseSent, RequestID: inv.id})
	accepted(w)
}
