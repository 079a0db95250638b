package lineage_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/lineage/lineagetest"
)

// Every payload of the corpus through the library: what its span tells is what
// the table says. The layer's runtime endpoint is held to the same table.
func TestCorpus(t *testing.T) {
	corpus := lineagetest.Corpus()
	if len(corpus) < 60 {
		t.Fatalf("%d payloads", len(corpus))
	}
	for _, c := range corpus {
		t.Run(c.Name, func(t *testing.T) {
			spans := tracetest.NewInMemoryExporter()
			cfg := lineage.Config{TracerProvider: sdk.NewTracerProvider(sdk.WithSyncer(spans))}
			d := lineage.NewReader(cfg).Read([]byte(c.Payload))
			ctx, span := lineage.StartProcess(t.Context(), cfg, d, lineage.Invocation{FunctionName: "portfolio", RequestID: "request-1", TraceHeader: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"})
			lineage.FinishProcess(span, nil)
			if d.Malformed != 0 {
				t.Errorf("%d malformed", d.Malformed)
			}
			s := spans.GetSpans()[0]
			told := lineagetest.Span{Name: s.Name, Kind: strings.ToUpper(s.SpanKind.String()), Attributes: map[string][]string{}}
			for _, a := range s.Attributes {
				if told.Attributes[string(a.Key)] = a.Value.AsStringSlice(); a.Value.Type() != attribute.STRINGSLICE {
					told.Attributes[string(a.Key)] = []string{a.Value.String()}
				}
			}
			for _, link := range s.Links {
				told.Links = append(told.Links, linkOf(link.SpanContext, link.Attributes))
			}
			for _, e := range lineage.DeliveryFromContext(ctx).Events {
				told.Events = append(told.Events, e.ID)
			}
			c.Check(t, &told)
		})
	}
}

func linkOf(to trace.SpanContext, attributes []attribute.KeyValue) lineagetest.Link {
	link := lineagetest.Link{To: "00-" + to.TraceID().String() + "-" + to.SpanID().String()}
	for _, a := range attributes {
		switch a.Key {
		case lineage.AttrLink:
			link.Why = a.Value.AsString()
		case lineage.AttrEventID, lineage.AttrCorrelationID:
			link.ID = a.Value.AsString()
		case "messaging.message.id":
			link.Message = a.Value.AsString()
		}
	}
	return link
}
