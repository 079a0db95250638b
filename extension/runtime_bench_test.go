package extension

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkRuntimeEndpoint is a runtime's loop through the endpoint, beside the
// same loop straight to the same server.
func BenchmarkRuntimeEndpoint(b *testing.B) {
	l := newLambdaAPI(b)
	d := newDesk(b, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
	for name, url := range map[string]string{"straight": l.URL, "through": d.serve("runtime")} {
		b.Run(name, func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for b.Loop() {
				l.payloads <- []byte(stampedEvent(1))
				resp, err := client.Get(url + runtimePath + "next")
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
				resp, err = client.Post(url+runtimePath+id+"/response", "application/json", io.MultiReader(strings.NewReader("{}")))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body) // else the client drops its connection
				_ = resp.Body.Close()
			}
		})
	}
}
