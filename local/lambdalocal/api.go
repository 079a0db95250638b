package lambdalocal

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// api returns the handler of an environment's server, whose address is AWS_LAMBDA_RUNTIME_API.
func (e *Environment) api() http.Handler {
	mux := http.NewServeMux()
	const extension, runtime = "/2020-01-01/extension", "/2018-06-01/runtime"
	mux.HandleFunc("POST "+extension+"/register", e.serveRegister)
	mux.HandleFunc("GET "+extension+"/event/next", e.asExtension(e.serveEventNext))
	mux.HandleFunc("POST "+extension+"/init/error", e.asExtension(e.serveExtensionError(agentInitError)))
	mux.HandleFunc("POST "+extension+"/exit/error", e.asExtension(e.serveExtensionError(agentExitError)))
	mux.HandleFunc("PUT /2022-07-01/telemetry", e.asExtension(e.serveSubscribe))

	mux.HandleFunc("GET "+runtime+"/invocation/next", e.serveInvocationNext)
	mux.HandleFunc("POST "+runtime+"/invocation/{id}/response", e.serveResponse)
	mux.HandleFunc("POST "+runtime+"/invocation/{id}/error", e.serveInvocationError)
	mux.HandleFunc("POST "+runtime+"/init/error", e.serveInitError)
	mux.HandleFunc("GET /2018-06-01/ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("pong")) })
	if e.mode == SnapStart {
		mux.HandleFunc("GET "+runtime+"/restore/next", e.serveRestoreNext)
		mux.HandleFunc("POST "+runtime+"/restore/error", e.serveRestoreError)
		mux.HandleFunc("GET "+credentialsPath, e.serveCredentials)
	}
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	encoded, _ := json.Marshal(body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encoded)
}

func accepted(w http.ResponseWriter) {
	answer(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

// apiError is an error response of Lambda's APIs.
type apiError struct {
	ErrorType    string `json:"errorType"`
	ErrorMessage string `json:"errorMessage"`
}

func fail(w http.ResponseWriter, status int, kind, format string, args ...any) {
	answer(w, status, apiError{kind, fmt.Sprintf(format, args...)})
}

func forbid(w http.ResponseWriter, kind, format string, args ...any) {
	fail(w, http.StatusForbidden, kind, format, args...)
}

// containerError responds to a call during which the environment ends.
func containerError(w http.ResponseWriter) {
	fail(w, http.StatusInternalServerError, "InternalServerError", "Internal Server Error")
}

// The forms of error types that processes may report. Other types, and none, are mapped.
var (
	functionErrorType  = regexp.MustCompile(`^(Runtime|Function)\.[A-Z][a-zA-Z]+$`)
	extensionErrorType = regexp.MustCompile(`^Extension\.[A-Z][a-zA-Z]+$`)
)

func mapErrorType(sent string) string {
	switch {
	case functionErrorType.MatchString(sent):
		return sent
	case strings.HasPrefix(sent, "Function."):
		return "Function.Unknown"
	default:
		return "Runtime.Unknown"
	}
}

const credentialsPath = "/2021-04-23/credentials"

// serveCredentials serves the container credentials endpoint that SnapStart uses.
func (e *Environment) serveCredentials(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != e.token {
		http.Error(w, "cannot get credentials for the provided token", http.StatusNotFound)
		return
	}
	credentials := e.deployment.credentials()
	expiration := credentials.Expiration
	if expiration.IsZero() {
		expiration = time.Now().Add(6 * time.Hour)
	}
	answer(w, http.StatusOK, map[string]string{
		"AccessKeyId":     credentials.AccessKeyID,
		"SecretAccessKey": credentials.SecretAccessKey,
		"Token":           credentials.SessionToken,
		"Expiration":      expiration.UTC().Format(time.RFC3339),
	})
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// newTraceHeader returns a new trace header, as Lambda creates it if the caller sent
// none and tracing is not active.
func newTraceHeader(now time.Time) string {
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", now.Unix(), randomHex(12), randomHex(8))
}
