package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing/otlp"
)

func exampleSpan(name string) otlp.Span {
	sc, _ := lineage.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	return otlp.Span{Context: sc, Name: name, Kind: trace.SpanKindConsumer, Start: time.Unix(1, 0), End: time.Unix(2, 0),
		Attributes: []attribute.KeyValue{attribute.String("faas.invocation_id", "request-1")}}
}

func ExampleEncode() {
	r := otlp.Resource{Attributes: []attribute.KeyValue{attribute.String("service.name", "portfolio")}}
	two := append(otlp.Encode(r, exampleSpan("first")), otlp.Encode(r, exampleSpan("second"))...) // requests may be joined
	n, err := otlp.CountSpans(two)
	fmt.Println(n, err)
	// Output: 2 <nil>
}

func ExampleCountSpans() {
	n, err := otlp.CountSpans(otlp.Encode(otlp.Resource{}, exampleSpan("a"), exampleSpan("b")))
	fmt.Println(n, err)
	_, err = otlp.CountSpans([]byte("no protobuf"))
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// malformed protobuf
}

func ExampleFind() {
	for _, found := range otlp.Find(otlp.Encode(otlp.Resource{}, exampleSpan("process Signal")), "faas.invocation_id") {
		fmt.Println(found.SpanID, found.Texts[0], found.End.Sub(found.Start))
	}
	// Output: 00f067aa0ba902b7 request-1 1s
}

// X-Ray takes 5 MB and 10 000 spans in a request.
func ExampleSplit() {
	var spans []otlp.Span
	for range 25 {
		spans = append(spans, exampleSpan("s"))
	}
	err := otlp.Split(otlp.Encode(otlp.Resource{}, spans...), otlp.MaxRequestBytes, 10, func(piece []byte) {
		n, _ := otlp.CountSpans(piece)
		fmt.Print(n, " ")
	})
	fmt.Println(err)
	// Output: 10 10 5 <nil>
}

// Two spans came in one request, and one of them has a name that is not UTF-8.
func ExampleClean() {
	bad := bytes.Replace(otlp.Encode(otlp.Resource{}, exampleSpan("naive"), exampleSpan("sound")), []byte("naive"), []byte("na\xefve"), 1)
	clean, dropped, err := otlp.Clean(bad)
	n, _ := otlp.CountSpans(clean)
	fmt.Println(n, "spans,", dropped, "dropped,", bytes.Contains(clean, []byte("na\uFFFDve")), err)
	// Output: 2 spans, 0 dropped, true <nil>
}

func ExampleCompactJSON() {
	line, err := otlp.CompactJSON(nil, []byte("{\n  \"resourceSpans\": []\n}"))
	fmt.Println(string(line), err)
	// Output: {"resourceSpans":[]} <nil>
}

func ExampleNewExporter() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		zip, _ := gzip.NewReader(r.Body)
		body, _ := io.ReadAll(zip)
		n, _ := otlp.CountSpans(body)
		fmt.Println(r.URL.Path, r.Header.Get("Api-Key"), n, "spans")
	}))
	defer backend.Close()
	exporter := otlp.NewExporter(otlp.Config{URL: backend.URL + "/v1/traces", Headers: map[string]string{"api-key": "k"}})
	for range 3 {
		exporter.Add(otlp.Encode(otlp.Resource{}, exampleSpan("s")), false)
	}
	_, waiting, _ := exporter.Oldest()
	fmt.Println(waiting, "wait")
	fmt.Println(exporter.Flush(context.Background()), exporter.Losses())
	// Output:
	// 3 wait
	// /v1/traces k 3 spans
	// <nil> {0 0}
}

func ExampleCredentials() {
	environment := map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
	credentials := otlp.Credentials(func(name string) string { return environment[name] }, http.DefaultClient)
	c, err := credentials(context.Background())
	fmt.Println(c.AccessKeyID, err)
	delete(environment, "AWS_ACCESS_KEY_ID")
	_, err = credentials(context.Background())
	fmt.Println(err)
	// Output:
	// AKIDEXAMPLE <nil>
	// neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set
}

func ExampleSigV4() {
	sign := otlp.SigV4("eu-west-1", "xray", func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
	}, func() time.Time { return time.Unix(1764020000, 0) })
	req, err := http.NewRequest(http.MethodPost, "https://xray.eu-west-1.amazonaws.com/v1/traces", strings.NewReader("body"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(sign(req, []byte("body")))
	scope, _, _ := strings.Cut(req.Header.Get("Authorization"), ", ")
	fmt.Println(scope)
	// Output:
	// <nil>
	// AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20251124/eu-west-1/xray/aws4_request
}

func ExampleNewTransport() {
	a, b := otlp.NewTransport(), otlp.NewTransport()
	fmt.Println(a != b, a != http.DefaultTransport)
	// Output: true true
}
