package gohops

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/throughline/throughline/hops"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// atOnce is SQS without a network.
type atOnce struct{}

func (atOnce) Do(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(`{"MessageId":"message-1","MD5OfMessageBody":"841a2d689ad86bd1611447453c22c6fc"}`))}, nil
}

// BenchmarkHop is what a SendMessage takes more with the middleware than
// without, in turn in one run, spans and metrics included.
func BenchmarkHop(b *testing.B) {
	b.Setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
	b.Setenv("_X_AMZN_TRACE_ID", lambdas)
	client := func(more ...hops.Option) *sqs.Client {
		c := aws.Config{Region: "us-east-1", HTTPClient: atOnce{}, Credentials: credentials.NewStaticCredentialsProvider("AKIDOURS", "secret", "session")}
		if more != nil {
			exporter := otlp.NewExporter(otlp.Config{URL: "http://127.0.0.1:1/"})
			provider := &otlp.Provider{Take: func(r otlp.Resource, span otlp.Span) { exporter.Add(otlp.Encode(r, span), false) }}
			all := append([]hops.Option{hops.WithTracing(tracing.Config{TracerProvider: provider}), hops.WithMetrics(metrics.New(metrics.Config{}))}, more...)
			c.APIOptions = append(c.APIOptions, hops.Middleware(all...))
		}
		return sqs.NewFromConfig(c)
	}
	clients := map[string]*sqs.Client{"bare": client(), "join": client(hops.WithMetrics(metrics.New(metrics.Config{}))), "carry": client(hops.WithCarrying())}

	ctx := tracing.ContextWithDelivery(invoked(b.Context(), lambdas), &tracing.Delivery{Events: []tracing.Event{{ID: "e-1", Lineage: tracing.Lineage{CorrelationID: "w"}}}})
	took := map[string][]time.Duration{}
	for b.Loop() {
		for name, c := range clients {
			begun := time.Now()
			if _, err := c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(queue), MessageBody: aws.String("body")}); err != nil {
				b.Fatal(err)
			}
			took[name] = append(took[name], time.Since(begun))
		}
	}
	b.ReportMetric(0, "ns/op")
	median := func(name string) float64 {
		slices.Sort(took[name])
		return float64(took[name][len(took[name])/2].Nanoseconds()) / 1000
	}
	b.ReportMetric(median("bare"), "bare-p50-µs")
	b.ReportMetric(median("join")-median("bare"), "join-added-p50-µs")
	b.ReportMetric(median("carry")-median("bare"), "carry-added-p50-µs")
}
