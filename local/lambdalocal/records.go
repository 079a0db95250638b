package lambdalocal

import (
	"encoding/json"
	"math"
	"time"
)

// The bodies of telemetry records, according to AWS's Telemetry API schema
// reference, with the members that AWS's runtime interface emulator adds.

type tracing struct {
	SpanID string `json:"spanId,omitempty"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

func traceOf(header string) *tracing {
	if header == "" {
		return nil
	}
	return &tracing{Type: "X-Amzn-Trace-Id", Value: header}
}

type span struct {
	Name       string  `json:"name"`
	Start      string  `json:"start"`
	DurationMs float64 `json:"durationMs"`
}

type durationMetrics struct {
	DurationMs float64 `json:"durationMs"`
}

type initStart struct {
	InitializationType Mode   `json:"initializationType"`
	Phase              string `json:"phase"`
	RuntimeVersion     string `json:"runtimeVersion"`
	RuntimeVersionArn  string `json:"runtimeVersionArn"`
	FunctionName       string `json:"functionName"`
	FunctionArn        string `json:"functionArn"`
	FunctionVersion    string `json:"functionVersion"`
	InstanceID         string `json:"instanceId"`
	InstanceMaxMemory  int    `json:"instanceMaxMemory"`
}

type initRuntimeDone struct {
	InitializationType Mode   `json:"initializationType"`
	Phase              string `json:"phase"`
	Status             Status `json:"status"`
	ErrorType          string `json:"errorType,omitempty"`
}

type initReport struct {
	InitializationType Mode            `json:"initializationType"`
	Phase              string          `json:"phase"`
	Status             Status          `json:"status"`
	ErrorType          string          `json:"errorType,omitempty"`
	Metrics            durationMetrics `json:"metrics"`
}

type invokeStart struct {
	RequestID   string   `json:"requestId"`
	Version     string   `json:"version,omitempty"`
	TenantID    string   `json:"tenantId,omitempty"`
	FunctionArn string   `json:"functionArn,omitempty"`
	Tracing     *tracing `json:"tracing,omitempty"`
}

type runtimeDoneMetrics struct {
	DurationMs    float64 `json:"durationMs"`
	ProducedBytes int     `json:"producedBytes"`
}

type runtimeDone struct {
	RequestID string              `json:"requestId"`
	TenantID  string              `json:"tenantId,omitempty"`
	Status    Status              `json:"status"`
	ErrorType string              `json:"errorType,omitempty"`
	Metrics   *runtimeDoneMetrics `json:"metrics,omitempty"`
	Tracing   *tracing            `json:"tracing,omitempty"`
	Spans     []span              `json:"spans,omitempty"`
}

type reportMetrics struct {
	DurationMs        float64 `json:"durationMs"`
	BilledDurationMs  int64   `json:"billedDurationMs"`
	MemorySizeMB      int     `json:"memorySizeMB"`
	MaxMemoryUsedMB   int     `json:"maxMemoryUsedMB"`
	InitDurationMs    float64 `json:"initDurationMs,omitempty"`
	RestoreDurationMs float64 `json:"restoreDurationMs,omitempty"`
}

type report struct {
	RequestID string   `json:"requestId"`
	TenantID  string   `json:"tenantId,omitempty"`
	Status    Status   `json:"status"`
	ErrorType string   `json:"errorType,omitempty"`
	Metrics   any      `json:"metrics"` // reportMetrics; durationMetrics on Managed Instances
	Tracing   *tracing `json:"tracing,omitempty"`
	Spans     []span   `json:"spans,omitempty"`
}

type restoreStart struct {
	RuntimeVersion    string `json:"runtimeVersion"`
	RuntimeVersionArn string `json:"runtimeVersionArn"`
	FunctionName      string `json:"functionName"`
	FunctionVersion   string `json:"functionVersion"`
	InstanceID        string `json:"instanceId"`
	InstanceMaxMemory int    `json:"instanceMaxMemory"`
}

type restoreRuntimeDone struct {
	Status    Status `json:"status"`
	ErrorType string `json:"errorType,omitempty"`
}

type restoreReport struct {
	Status    Status          `json:"status"`
	ErrorType string          `json:"errorType,omitempty"`
	Metrics   durationMetrics `json:"metrics"`
}

type extensionRecord struct {
	Name      string   `json:"name"`
	State     string   `json:"state"`
	Events    []string `json:"events"`
	ErrorType string   `json:"errorType,omitempty"`
}

type subscriptionRecord struct {
	Name  string   `json:"name"`
	State string   `json:"state"`
	Types []string `json:"types"`
}

type logsDropped struct {
	DroppedBytes   int    `json:"droppedBytes"`
	DroppedRecords int    `json:"droppedRecords"`
	Reason         string `json:"reason"`
}

const telemetryTime = "2006-01-02T15:04:05.000Z"

// render returns the record in the subscriber's schema version.
func (r Record) render(schema string) []byte {
	body := r.Body
	if schema < schemaObjects && (r.Type == "function" || r.Type == "extension") && body[0] == '{' {
		// Before 2022-12-13 a log record is always a string.
		body, _ = json.Marshal(string(body))
	}
	rendered, _ := json.Marshal(struct {
		Time   string          `json:"time"`
		Type   string          `json:"type"`
		Record json.RawMessage `json:"record"`
	}{r.Time.UTC().Format(telemetryTime), r.Type, body})
	return rendered
}

// logBody returns a log line as the value of "record".
func logBody(line string, format LogFormat) json.RawMessage {
	if format == JSON && len(line) > 0 && line[0] == '{' && json.Valid([]byte(line)) {
		return json.RawMessage(line)
	}
	body, _ := json.Marshal(line + "\n")
	return body
}

// milliseconds returns d in milliseconds with three decimals, as in telemetry.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

func newSpan(name string, from, to time.Time) span {
	return span{Name: name, Start: from.UTC().Format(telemetryTime), DurationMs: milliseconds(to.Sub(from))}
}
