package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

// inLibrary serves one of the chain's functions as the library's user writes it.
func inLibrary(name string) {
	ctx := context.Background() // a function's main, in a process of its own
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	telemetry := export.Setup(cfg, os.Getenv)
	f := libraryFunction{tracing.WithTelemetry(telemetry), publisher.New(eventbridge.NewFromConfig(cfg), publisher.WithTelemetry(telemetry))}
	handle := map[string]any{"strategy": f.strategy, "portfolio": f.portfolio, "execution": f.execution}[name]
	lambda.Start(handler.Wrap(handle, handler.WithTelemetry(telemetry)))
}

// libraryFunction does what strategy.py, portfolio.mjs and execution do.
type libraryFunction struct {
	calls tracing.Option
	bus   *publisher.Publisher
}

func (f libraryFunction) strategy(ctx context.Context, event map[string]any) error {
	if event["detail-type"] == "TradeExecuted" {
		return f.ask(ctx, http.MethodGet, "/v2/positions/AAPL?secret=1")
	}
	return f.publish(ctx, "alchemiser.strategy", "SignalGenerated", "signal-1")
}

func (f libraryFunction) portfolio(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	for range batch.Records {
		if err := f.ask(ctx, http.MethodPost, "/v2/orders"); err != nil {
			return events.SQSEventResponse{}, err
		}
		if err := f.ask(ctx, http.MethodGet, "/v2/clock"); err != nil {
			return events.SQSEventResponse{}, err
		}
		if err := f.publish(ctx, "alchemiser.portfolio", "RebalancePlanned", "plan-1"); err != nil {
			return events.SQSEventResponse{}, err
		}
	}
	return events.SQSEventResponse{}, nil
}

func (f libraryFunction) execution(ctx context.Context, _ json.RawMessage) error {
	return f.publish(ctx, "alchemiser.execution", "TradeExecuted", "trade-1")
}

func (f libraryFunction) publish(ctx context.Context, source, detailType, id string) error {
	entry, err := publisher.Entry(source, detailType, map[string]any{"event_id": id, "correlation_id": "workflow-1", "note": "5 < 6 & ünï"})
	if err != nil {
		return err
	}
	entry.EventBusName = aws.String("trading")
	out, err := f.bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry}})
	if err == nil && out.FailedEntryCount > 0 {
		err = fmt.Errorf("not published: %s", aws.ToString(out.Entries[0].ErrorCode))
	}
	return err
}

func (f libraryFunction) ask(ctx context.Context, method, path string) error {
	req, err := http.NewRequestWithContext(ctx, method, os.Getenv("ALPACA_URL")+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("APCA-API-KEY-ID", "PKPYTHON")
	resp, err := tracing.Client(ctx, f.calls).Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// library is a Go function of the chain that uses the library; the extension
// stands beside it, the wrapper does not.
func (s *scene) library(name string) lambdalocal.Function {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	f := s.attach(lambdalocal.Function{Name: name, Handler: "bootstrap", Runtime: []string{self}, Env: map[string]string{
		"TEST_ROLE": "library-" + name, "THROUGHLINE_ENDPOINTS": "otlp", "AWS_ENDPOINT_URL_EVENTBRIDGE": s.busURL,
	}})
	f.Wrapper = ""
	return f
}

// told are the attributes in which two ways of seeing one workflow must agree.
var told = []string{
	"throughline.event.id", "throughline.event.type", "throughline.correlation.id", "throughline.causation.id", "throughline.parent.event.id", "throughline.hops",
	"messaging.system", "messaging.operation.type", "messaging.destination.name", "http.request.method", "http.response.status_code", "url.template",
	"faas.trigger", "error.type",
}

// picture is the workflow, a line a span: who made it, what it tells, below
// which span it stands and to which it links, with IDs replaced by names.
func (s *scene) picture() []string {
	s.spans.mu.Lock()
	defer s.spans.mu.Unlock()
	id := func(trace, span []byte) string { return fmt.Sprintf("%x-%x", trace, span) }
	names := map[string]string{}
	for _, span := range s.spans.spans {
		names[id(span.TraceId, span.SpanId)] = s.spans.of[span] + "/" + strings.TrimPrefix(span.Kind.String(), "SPAN_KIND_") + "/" + span.Name
	}
	var lines []string
	for _, span := range s.spans.spans {
		if span.Kind != tracepb.Span_SPAN_KIND_PRODUCER && span.Kind != tracepb.Span_SPAN_KIND_CONSUMER && span.Kind != tracepb.Span_SPAN_KIND_CLIENT {
			continue // init and invoke are told by telemetry, the same for both
		}
		line := names[id(span.TraceId, span.SpanId)] + " " + span.Status.GetCode().String()
		for _, key := range told {
			value := text(span, key)
			if text(span, "faas.trigger") == "timer" && strings.HasSuffix(key, ".id") {
				value = "minted" // the schedule has no ID of its own
			}
			if value != "" {
				line += " " + key + "=" + value
			}
		}
		if len(span.ParentSpanId) > 0 {
			line += " below " + names[id(span.TraceId, span.ParentSpanId)]
		}
		for _, why := range []string{"causation", "correlation", "repeat"} {
			for _, to := range linksTo(span, why) {
				line += " " + why + "→" + names[to]
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}
