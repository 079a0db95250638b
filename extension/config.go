package extension

import (
	"io"
	"time"

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
	TempDir      string // /tmp of the environment

	// Disabled registers for SHUTDOWN alone and does nothing else.
	Disabled bool
	// OTLPAddr is where spans are received; empty switches the endpoint off.
	OTLPAddr string
	// Upstream is where spans go; an empty URL is nowhere.
	Upstream otlp.Config
	Flush    Flush
	Metrics  metrics.Config

	Out io.Writer // the function's log, for metric lines
	Log io.Writer // for what a person should know; nil for nothing
	Now func() time.Time
}

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

// The bounds of every wait.
const (
	exportBudget   = 500 * time.Millisecond // an export at the end of an invocation
	deadlineMargin = 100 * time.Millisecond // kept of an invocation's own deadline
	shutdownMargin = 300 * time.Millisecond // kept of SHUTDOWN's two seconds, to say what was lost
	apiPatience    = 5 * time.Second        // calls to the Extensions API that do not wait by design
	lastRecords    = 300 * time.Millisecond // for telemetry still on its way at SHUTDOWN
)
