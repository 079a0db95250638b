package extension

import (
	"context"
	"crypto/tls"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

// Config is the configuration of the extension. RuntimeAPI and Name are required.
type Config struct {
	RuntimeAPI string // AWS_LAMBDA_RUNTIME_API: host:port
	Name       string // the file name of the executable, which is the extension's name in Lambda
	// InitType is the value of AWS_LAMBDA_INITIALIZATION_TYPE.
	InitType     string
	FunctionName string
	MemoryMB     int
	Region       string
	TempDir      string // for temporary files; empty means /tmp
	HostsFile    string // the file of host names; empty means /etc/hosts

	// Disabled makes the extension register only for SHUTDOWN and do nothing else.
	Disabled bool
	// The addresses of the endpoints as host:port; an empty one turns its endpoint off.
	OTLPAddr, EventsAddr, AlpacaAddr, RuntimeAddr string
	// OTLPElsewhere uses another free port for the otlp endpoint if OTLPAddr is in
	// use, without a warning.
	OTLPElsewhere bool
	// EventsUpstream and AlpacaUpstream are base URLs to call instead of EventBridge
	// and Alpaca, for tests. If they are empty, EventBridge and Alpaca are called.
	EventsUpstream, AlpacaUpstream string
	// AlpacaFaults are the faults that the alpaca endpoint injects into calls, in the
	// syntax of its faults resource: delay=2s,error=503:10%,rate-limit=100.
	AlpacaFaults string
	// Credentials are used to sign calls to EventBridge again after they are stamped.
	// If it is nil, signed calls are forwarded unchanged.
	Credentials Credentials
	// Tracing configures how lineage is read and stamped. Its TracerProvider is not used.
	Tracing lineage.Config
	// API describes the HTTP APIs that the function calls.
	API outbound.API
	// Hops configures how calls to services other than EventBridge are traced.
	Hops Hops
	// Sample decides whether a span is sampled if no upstream service has decided; nil
	// samples all spans.
	Sample func(trace.TraceID) bool
	// SizeLimit is the event size, in bytes, that utilisation is measured against, and
	// SizeWarn the size from which an event counts as oversized. 0 means sizemeter's
	// default.
	SizeLimit, SizeWarn int
	// Dedupe detects repeats of the events that pass the runtime endpoint; nil detects
	// none.
	Dedupe *dedupe.Checker
	// Upstream is the backend for spans. If its URL is empty, spans are not exported.
	Upstream otlp.Config
	// Signals is the backend for the metrics and logs of the function's SDKs. If its URL
	// is empty, they are not forwarded.
	Signals Signals
	Flush   Flush
	Metrics metrics.Config

	Out io.Writer // gets the metric lines: the function's log; nil discards them
	Log io.Writer // gets the extension's log lines; nil discards them
	// LogLevel is the level of the lines that are written to Log.
	LogLevel LogLevel
	Now      func() time.Time
	// Invoked is called once, when the first invocation has begun; it may be nil.
	Invoked func()
}

// LogLevel is the log level of the extension. The zero value is LogWarn.
type LogLevel int

// The log levels. Each level includes those before it.
const (
	LogWarn  LogLevel = iota // problems that need a fix, each once
	LogInfo                  // the addresses of the endpoints, and where spans are exported
	LogDebug                 // every invocation and every export
)

// Signals is the OTLP/HTTP backend for metrics and logs. URL is the base URL without
// /v1/…; the zero value is no backend.
type Signals struct {
	URL     string
	Headers map[string]string // added to requests that do not have them
	TLS     *tls.Config       // nil trusts the system's certificates
}

// Hops is the way in which calls to SQS, SNS, Kinesis, Lambda, Step Functions and
// Scheduler are traced that the shims report. The zero value is HopsJoin.
type Hops string

// The values of Hops.
const (
	// HopsJoin makes spans with the IDs that the services return.
	HopsJoin Hops = "join"
	// HopsCarry also makes messages to SQS and SNS carry the context of their span.
	HopsCarry Hops = "carry"
	HopsOff   Hops = "off"
)

// Flush is the time at which spans are exported. The zero value is FlushAuto.
type Flush string

// The values of Flush.
const (
	// FlushAuto exports at the end of an invocation until the traffic is steady, and
	// then during the next invocation.
	FlushAuto Flush = "auto"
	// FlushEnd exports at the end of each invocation.
	FlushEnd Flush = "end"
	// FlushPeriodic exports during the next invocation.
	FlushPeriodic Flush = "periodic"
)

// ManagedInstances is the InitType of Lambda Managed Instances: an environment handles
// several invocations at once, and extensions can register only for SHUTDOWN.
const ManagedInstances = "lambda-managed-instances"

// Credentials returns the current credentials of the function's role.
type Credentials func(context.Context) (aws.Credentials, error)

// requestBudget bounds the bytes that all requests together hold at one time.
const requestBudget = 10 << 20

// eventsBudget bounds the bytes that the events of large batches hold while they are
// handled: a batch of 6 MB takes 2 MiB.
const eventsBudget = 12 << 20

// The bounds of all waits.
const (
	exportBudget   = 500 * time.Millisecond // an export at the end of an invocation
	besideBudget   = 5 * time.Second        // an export during an invocation
	drainBudget    = 20 * time.Millisecond  // for the shims' reports that are still in transit
	warmBudget     = 2 * time.Second        // for opening connections in advance
	deadlineMargin = 100 * time.Millisecond // left before an invocation's deadline
	shutdownMargin = 300 * time.Millisecond // left of SHUTDOWN's two seconds, to record what was dropped
	apiPatience    = 5 * time.Second        // calls to the Extensions API other than next
	lastRecords    = 300 * time.Millisecond // for telemetry that is still in transit at SHUTDOWN
	// longestInvocation is Lambda's maximum timeout. It bounds waits after the clock
	// was set back.
	longestInvocation = 15 * time.Minute
)
