package otlp_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/throughline/throughline/tracing/otlp"
)

func ExampleWithoutSecrets() {
	fmt.Println(otlp.WithoutSecrets("https://user:password@collector.example/v1/traces?api_key=k"))
	// Output: https://collector.example/v1/traces
}

// What an exporter says of its backend tells no key, wherever it was written.
func TestErrorsTellNoSecrets(t *testing.T) {
	for name, url := range map[string]string{
		"Refused": "http://user:PASSWORD@127.0.0.1:1/v1/traces?api_key=APIKEY", "NoURL": "http://user:PASSWORD@[::1/v1?api_key=APIKEY", "NoHost": "http://user:PASSWORD@nobody.invalid/?api_key=APIKEY",
	} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			e := otlp.NewExporter(otlp.Config{URL: url, Headers: map[string]string{"Api-Key": "HEADERKEY"}, Client: &http.Client{Transport: transport}})
			e.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"b7ad6b7169203331"}]}]}]}`), true)
			err := e.Flush(context.WithoutCancel(t.Context()))
			if err == nil || strings.Contains(err.Error(), "PASSWORD") || strings.Contains(err.Error(), "KEY") {
				t.Errorf("it says %v", err)
			}
		})
	}
}
