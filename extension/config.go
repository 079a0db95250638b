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

// Config is what the extension needs to know. RuntimeAPI and Name are required.
type Config struct {
	RuntimeAPI string // AWS_LAMBDA_RUNTIME_API: host:port
	Name       string // the executable's file name, under which Lambda knows it
	// InitType is AWS_LAMBDA_INITIALIZATION_TYPE.
	InitType     string
	FunctionName string
	MemoryMB     int
	Region       string
	TempDir      string // for temporary files; empty means /tmp
	HostsFile    string // where host names are looked up; empty means /etc/hosts

	// Disabled registers for SHUTDOWN alone and does nothing else.
	Disabled bool
	// The addresses of the endpoints; an empty one switches its endpoint off.
	OTLPAddr, EventsAddr, AlpacaAddr, RuntimeAddr string
	// OTLPElsewhere takes another free port for the otlp endpoint, without a word,
	// where OTLPAddr is in use.
	OTLPElsewhere bool
	// EventsUpstream and AlpacaUpstream are base URLs to call instead of AWS's
	// and Alpaca's, for tests; empty for those.
	EventsUpstream, AlpacaUpstream string
	// AlpacaFaults is what the alpaca endpoint does to calls, in the words of its
	// faults resource: delay=2s,error=503:10%,rate-limit=100.
	AlpacaFaults string
	// Credentials are those that calls to EventBridge are signed again with; nil
	// means that they pass as they came.
	Credentials Credentials
	// Tracing says how lineage is read and stamped. Its TracerProvider is not used.
	Tracing lineage.Config
	// API is what is known of the HTTP APIs that the function calls.
	API outbound.API
	// Hops says what is done about calls that leave the bus.
	Hops Hops
	// Sample decides about spans that nothing upstream has decided; nil records all.
	Sample func(trace.TraceID) bool
	// SizeLimit and SizeWarn are sizes of events in bytes: for utilisation, and
	// from which one counts as oversized. 0 means sizemeter's defaults.
	SizeLimit, SizeWarn int
	// Dedupe detects repeats of the events that the runtime endpoint sees; nil detects
	// none.
	Dedupe *dedupe.Checker
	// Upstream is where spans go; an empty URL is nowhere.
	Upstream otlp.Config
	// Signals is where the function's SDKs send metrics and logs, the base URL
	// without /v1/…; empty is nowhere.
	Signals Signals
	Flush   Flush
	Metrics metrics.Config

	Out io.Writer // where metric lines go: the function's log; nil drops them
	Log io.Writer // for what a person should know; nil for nothing
	// LogLevel is how much of it.
	LogLevel LogLevel
	Now      func() time.Time
	// Invoked is called once, when the first invocation has begun; nil does nothing.
	Invoked func()
}

// LogLevel is the log level of the extension. The zero value is LogWarn.
type LogLevel int

// The levels, each with what those before it tell.
const (
	LogWarn  LogLevel = iota // what somebody should mend, once
	LogInfo                  // what answers where, and where spans go
	LogDebug                 // each invocation and each export
)

// Signals is the OTLP/HTTP backend of what is not a span.
type Signals struct {
	URL     string
	Headers map[string]string // added where a request does not carry them
	TLS     *tls.Config       // nil: the system's certificates are trusted
}

// Hops says what is done about calls to SQS, SNS, Kinesis, Lambda, Step Functions
// and Scheduler that the shims see. The zero value is HopsJoin.
type Hops string

// What is done about hops.
const (
	// HopsJoin makes spans with the IDs that the services give.
	HopsJoin Hops = "join"
	// HopsCarry has messages to SQS and SNS carry their span, too.
	HopsCarry Hops = "carry"
	HopsOff   Hops = "off"
)

// Flush says when spans are exported. The zero value is FlushAuto.
type Flush string

// The ways to flush.
const (
	// FlushAuto exports at the end of an invocation until the traffic is steady,
	// then beside the next one.
	FlushAuto Flush = "auto"
	// FlushEnd exports at the end of each invocation.
	FlushEnd Flush = "end"
	// FlushPeriodic exports beside the next invocation.
	FlushPeriodic Flush = "periodic"
)

// ManagedInstances is the InitType under which an environment takes many
// invocations at once and extensions hear of SHUTDOWN alone.
const ManagedInstances = "lambda-managed-instances"

// Credentials tells the credentials of the function's role at each call.
type Credentials func(context.Context) (aws.Credentials, error)

// requestBudget bounds the bytes of the requests that are held at once.
const requestBudget = 10 << 20

// eventsBudget bounds the bytes of the events of large batches that are being
// handled: a batch of 6 MB takes two of them.
const eventsBudget = 12 << 20

// The bounds of every wait.
const (
	exportBudget   = 500 * time.Millisecond // an export at the end of an invocation
	besideBudget   = 5 * time.Second        // one beside invocations, which nobody waits for
	drainBudget    = 20 * time.Millisecond  // for the shims' reports that are still on their way
	warmBudget     = 2 * time.Second        // connections that are opened ahead
	deadlineMargin = 100 * time.Millisecond // kept of an invocation's own deadline
	shutdownMargin = 300 * time.Millisecond // kept of SHUTDOWN's two seconds, to say what was lost
	apiPatience    = 5 * time.Second        // calls to the Extensions API that do not wait by design
	lastRecords    = 300 * time.Millisecond // for telemetry still on its way at SHUTDOWN
	// longestInvocation is Lambda's; a clock that was set back gives no longer wait.
	longestInvocation = 15 * time.Minute
)
