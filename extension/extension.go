package extension

import (
	"cmp"
	"context"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/extension/internal/hops"
	"github.com/throughline/throughline/extension/internal/inflight"
	"github.com/throughline/throughline/extension/internal/invocations"
	"github.com/throughline/throughline/extension/internal/notice"
	"github.com/throughline/throughline/extension/internal/oneconn"
	"github.com/throughline/throughline/extension/internal/pipe"
	"github.com/throughline/throughline/extension/internal/runtimeapi"
	"github.com/throughline/throughline/extension/internal/sdkcalls"
	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/extension/internal/shims"
	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/internal/handshake"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing/otlp"
)

// extension is the state of one call of Run or of Sidecar.
type extension struct {
	config      Config
	log         *notice.Log
	metrics     *metrics.Set
	api         *api
	exporter    *otlp.Exporter // nil: spans are not exported
	provider    *otlp.Provider
	tracing     lineage.Config
	handling    handling.Handling
	invocations *invocations.Tracker
	inFlight    *inflight.Invocations
	calls       *sdkcalls.Calls
	hops        *hops.Hops
	budget      *server.Budget
	pipe        pipe.Pipe // of the shims' reports

	servers   map[string]*server.Server // the open endpoints, by name
	runtime   *runtimeapi.Endpoint      // nil: off
	shims     *shims.Endpoint           // nil: off
	telemetry *server.Server            // nil: telemetry is not received
	sidecar   bool                      // Sidecar runs it, outside Lambda
	invoking  bool                      // an invocation has begun, and its end was not seen
	last      event                     // the last INVOKE event

	flushing   flushStrategy
	exporting  atomic.Bool
	background sync.WaitGroup // work that runs during invocations
	stop       context.CancelFunc
}

func newExtension(config Config) *extension {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Out == nil {
		config.Out = io.Discard
	}
	config.SizeLimit = cmp.Or(config.SizeLimit, sizemeter.LimitMiB)
	config.SizeWarn = cmp.Or(config.SizeWarn, sizemeter.WarnDefault)
	x := &extension{
		config: config, log: notice.New(config.Log, notice.Level(config.LogLevel)), metrics: metrics.New(config.Metrics),
		api:      &api{name: config.Name, client: oneconn.Client{Address: config.RuntimeAPI}},
		inFlight: inflight.New(filepath.Join(handshake.Dir(config.TempDir), "current")),
		budget:   server.NewBudget(requestBudget), servers: map[string]*server.Server{}, flushing: flushStrategy{flush: config.Flush},
	}
	if config.Upstream.URL != "" {
		config.Upstream.Now = config.Now
		x.exporter = otlp.NewExporter(config.Upstream)
	}
	x.invocations = invocations.New(invocations.Config{
		Metrics: x.metrics, Export: x.export, Function: config.FunctionName, Service: config.Metrics.Service,
		InitType: config.InitType, Region: config.Region, MemoryMB: config.MemoryMB,
	})
	x.provider = &otlp.Provider{Resource: x.invocations.Resource, Sample: config.Sample, Export: x.recorded}
	x.tracing = config.Tracing
	if x.exporter != nil {
		x.tracing.TracerProvider = x.provider
	}
	x.handling = handling.Handling{
		Reader: lineage.NewReader(x.tracing), Tracing: x.tracing, Metrics: x.metrics, Dedupe: config.Dedupe, Now: config.Now,
	}
	x.hops = &hops.Hops{
		Off: config.Hops == HopsOff, Carry: config.Hops == HopsCarry, XRay: config.Tracing.XRay, Nowhere: x.exporter == nil,
		Metrics: x.metrics, Spans: x.provider, Now: config.Now,
	}
	x.inFlight.Carried = x.hops.Carried
	x.calls = sdkcalls.New(stamping.Stamping{
		Stamper: lineage.NewStamper(x.tracing), Metrics: x.metrics, Limit: config.SizeLimit, Warn: config.SizeWarn, Now: config.Now,
	})
	return x
}

// export queues spans that the extension made.
func (x *extension) export(request []byte) {
	if x.exporter != nil {
		x.exporter.Add(request, false)
	}
}

// recorded queues a span that an endpoint made, and passes it to the tracker.
func (x *extension) recorded(request []byte) {
	x.export(request)
	x.invocations.Spans(request, false, x.config.Now())
}

// received queues an OTLP request from the function's SDKs, and passes it to the tracker.
func (x *extension) received(request []byte, isJSON bool) {
	if x.exporter != nil {
		x.exporter.Add(request, isJSON)
	}
	if !isJSON {
		x.invocations.Spans(request, true, x.config.Now())
	}
}

func (x *extension) close() {
	x.rest()
	for _, s := range x.servers {
		s.Close()
	}
	if x.telemetry != nil {
		x.telemetry.Close()
	}
	x.inFlight.Close()
	x.pipe.Close()
	x.api.client.Close()
}

// settle processes the reports that the shims have written to the pipe.
func (x *extension) settle() {
	x.pipe.Read(func(line []byte) { x.guard(func() { x.shims.Line(line) }) })
}

// rest stops the background work and waits for its end.
func (x *extension) rest() {
	if x.stop != nil {
		x.stop()
	}
	x.background.Wait()
}

// guard runs a piece of the lifecycle. If it panics, guard counts the panic and logs
// it once, and the extension continues.
func (x *extension) guard(piece func()) {
	defer func() {
		if reason := recover(); reason != nil {
			x.fault(reason)
		}
	}()
	piece()
}

// fault counts and logs a panic in Throughline's code.
func (x *extension) fault(reason any) {
	x.metrics.Dropped(1)
	x.log.Once("a fault of ours: %v", reason)
}
