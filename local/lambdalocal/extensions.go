package lambdalocal

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// agentState is the state of an extension. Its values are the states in
// platform.extension and in error messages.
type agentState string

const (
	agentStarted    agentState = "Started"
	agentRegistered agentState = "Registered"
	agentReady      agentState = "Ready"   // waits in next
	agentRunning    agentState = "Running" // has an event
	agentInitError  agentState = "InitError"
	agentExitError  agentState = "ExitError"
	agentLaunch     agentState = "LaunchError"
	agentExited     agentState = "Exited"
)

// agent is one extension of a generation; guarded by the environment's lock.
type agent struct {
	id, name  string
	external  bool
	state     agentState
	events    []string
	errorType string
	pending   []*agentEvent // not yet fetched; may contain both INVOKE and SHUTDOWN
	polling   bool
	process   *process
}

// agentEvent is a response of next.
type agentEvent struct {
	EventType          string   `json:"eventType"`
	DeadlineMs         int64    `json:"deadlineMs"`
	RequestID          string   `json:"requestId,omitempty"`
	InvokedFunctionArn string   `json:"invokedFunctionArn,omitempty"`
	Tracing            *tracing `json:"tracing,omitempty"`
	ShutdownReason     string   `json:"shutdownReason,omitempty"`
}

func (a *agent) wants(event string) bool { return slices.Contains(a.events, event) }

// idle is true when the agent has fetched its events and waits for the next.
func (a *agent) idle() bool { return a.state == agentReady && len(a.pending) == 0 }

const extensionIdentifier = "Lambda-Extension-Identifier"

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// registration is the request body of register.
type registration struct {
	Events            []string `json:"events"`
	ConfigurationKeys []string `json:"configurationKeys"`
}

type registered struct {
	FunctionName    string `json:"functionName"`
	FunctionVersion string `json:"functionVersion"`
	Handler         string `json:"handler"`
	AccountID       string `json:"accountId,omitempty"`
}

func parseRegistration(body []byte) (registration, error) {
	var r registration
	if err := json.Unmarshal(body, &r); err != nil {
		return r, err
	}
	if len(r.ConfigurationKeys) > 0 {
		return r, errors.New("configurationKeys are deprecated; use environment variables instead")
	}
	return r, nil
}

func (e *Environment) serveRegister(w http.ResponseWriter, r *http.Request) {
	name := r.Header.Get("Lambda-Extension-Name")
	if name == "" {
		forbid(w, "Extension.InvalidExtensionName", "Empty extension name")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		containerError(w)
		return
	}
	wanted, err := parseRegistration(body)
	if err != nil {
		forbid(w, "InvalidRequestFormat", "%v", err)
		return
	}
	a, refusal := e.register(name, wanted.Events)
	if refusal != nil {
		answer(w, http.StatusForbidden, refusal)
		return
	}
	// The hook is called first: the runtime starts once the state is Registered.
	e.hook(Event{Point: ExtensionRegistered, Extension: name})
	e.change(func() { a.state = agentRegistered })
	body200 := registered{FunctionName: e.function.Name, FunctionVersion: e.function.Version, Handler: e.function.Handler}
	for feature := range strings.SplitSeq(r.Header.Get("Lambda-Extension-Accept-Feature"), ",") {
		if strings.TrimSpace(feature) == "accountId" {
			body200.AccountID = e.function.AccountID
		}
	}
	w.Header().Set(extensionIdentifier, a.id)
	answer(w, http.StatusOK, body200)
}

// register returns the external extension with that name or creates an internal one.
func (e *Environment) register(name string, events []string) (*agent, *apiError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.boot
	if b == nil || b.over {
		return nil, &apiError{"Extension.RegistrationClosed", "Extension registration closed already"}
	}
	a := b.agentNamed(name)
	for _, event := range events {
		// Internal extensions cannot get SHUTDOWN: they run in the runtime, which gets
		// SIGTERM. Managed Instances have no INVOKE: they run invocations concurrently.
		known := event == "INVOKE" && e.mode != ManagedInstances || event == "SHUTDOWN" && a != nil && a.external
		if !known {
			return nil, &apiError{"Extension.InvalidEventType", event + ": event is not supported"}
		}
	}
	switch {
	case a != nil && a.state == agentStarted && a.id == "":
		a.id, a.events = newUUID(), events
		return a, nil
	case a != nil:
		return nil, &apiError{"Extension.InvalidExtensionState", "State transition from " + string(a.state) +
			" to Registered failed for extension " + name + ". Error: State transition is not allowed"}
	case !b.registering:
		return nil, &apiError{"Extension.RegistrationClosed", "Extension registration closed already"}
	case len(b.agents) >= maxExtensions:
		return nil, &apiError{"Extension.TooManyExtensions", "Extension limit (10) reached"}
	}
	a = &agent{id: newUUID(), name: name, state: agentStarted, events: events}
	b.agents = append(b.agents, a)
	return a, nil
}

// asExtension accepts only requests of registered extensions.
func (e *Environment) asExtension(serve func(http.ResponseWriter, *http.Request, *boot, *agent)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(extensionIdentifier)
		if id == "" {
			forbid(w, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
			return
		}
		if !uuidForm.MatchString(id) {
			forbid(w, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
			return
		}
		b, a := e.agentWithID(id)
		if a == nil {
			forbid(w, "Extension.UnknownExtensionIdentifier", "Unknown extension %s", id)
			return
		}
		serve(w, r, b, a)
	}
}

func (e *Environment) agentWithID(id string) (*boot, *agent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.boot == nil {
		return nil, nil
	}
	for _, a := range e.boot.agents {
		if a.id == id {
			return e.boot, a
		}
	}
	return nil, nil
}

func forbidTransition(w http.ResponseWriter, a *agent, from, to agentState) {
	forbid(w, "Extension.InvalidExtensionState",
		"State transition from %s to %s failed for extension %s. Error: State transition is not allowed", from, to, a.id)
}

// serveEventNext records that the extension is done and blocks until there is an event for it.
func (e *Environment) serveEventNext(w http.ResponseWriter, r *http.Request, b *boot, a *agent) {
	e.mu.Lock()
	from := a.state
	allowed := from == agentRegistered || from == agentRunning || from == agentReady && !a.polling
	if !allowed {
		e.mu.Unlock()
		forbidTransition(w, a, from, agentReady)
		return
	}
	a.state, a.polling = agentReady, true
	e.notify()
	err := e.await(r.Context(), func() bool { return len(a.pending) > 0 || b.over })
	a.polling = false
	if err != nil || len(a.pending) == 0 {
		e.mu.Unlock()
		containerError(w)
		return
	}
	event := a.pending[0]
	a.pending, a.state = a.pending[1:], agentRunning
	e.notify()
	e.mu.Unlock()
	w.Header().Set("Lambda-Extension-Event-Identifier", newUUID())
	answer(w, http.StatusOK, event)
}

// serveExtensionError handles init/error and exit/error. Both end the environment.
func (e *Environment) serveExtensionError(to agentState) func(http.ResponseWriter, *http.Request, *boot, *agent) {
	kind := "Extension.InitError"
	if to == agentExitError {
		kind = "Extension.ExitError"
	}
	return func(w http.ResponseWriter, r *http.Request, b *boot, a *agent) {
		errorType := r.Header.Get("Lambda-Extension-Function-Error-Type")
		if errorType == "" {
			forbid(w, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if !extensionErrorType.MatchString(errorType) {
			errorType = "Extension.UnknownReason"
		}
		e.mu.Lock()
		from := a.state
		failed := from == agentInitError || from == agentExitError
		if failed || to == agentInitError && from != agentRegistered {
			e.mu.Unlock()
			forbidTransition(w, a, from, to)
			return
		}
		a.state, a.errorType = to, errorType
		e.faultLocked(b, fault{kind: kind, message: "extension " + a.name + ": " + errorType})
		e.mu.Unlock()
		accepted(w)
	}
}

// serveSubscribe serves the Telemetry API.
func (e *Environment) serveSubscribe(w http.ResponseWriter, r *http.Request, b *boot, a *agent) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		containerError(w)
		return
	}
	if e.function.Telemetry.Answer == NotSupported {
		fail(w, http.StatusAccepted, "Telemetry.NotSupported", "Telemetry API is not supported")
		return
	}
	want, err := parseSubscription(body, e.mode)
	switch refuse := e.function.Telemetry.Answer; {
	case err != nil:
	case refuse == Refuse, refuse == RefuseNewest && want.SchemaVersion == schemaNewest:
		err = errors.New("the subscription is refused")
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "ValidationError", "%v", err)
		return
	}
	e.mu.Lock()
	open := b.subscribing && !b.stopping
	if open {
		e.relay.subscribe(newSubscriber(a.name, want, e.relay))
	}
	e.mu.Unlock()
	if !open {
		forbid(w, "Telemetry.SubscriptionClosed", "Telemetry API subscription is closed")
		return
	}
	e.emit("platform.telemetrySubscription", subscriptionRecord{Name: a.name, State: "Subscribed", Types: want.Types})
	answer(w, http.StatusOK, "OK")
}
