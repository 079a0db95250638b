package extension_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/throughline/throughline/extension"
)

// Outside Lambda the endpoints answer until the context ends.
func ExampleSidecar() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, err := os.MkdirTemp("", "sidecar")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	config := extension.Config{OTLPAddr: "127.0.0.1:0", TempDir: dir, Out: io.Discard, Log: io.Discard}
	err = extension.Sidecar(ctx, config, func(addresses map[string]string) {
		resp, err := http.Get("http://" + addresses["otlp"] + "/healthz")
		if err == nil {
			fmt.Println(resp.StatusCode)
			_ = resp.Body.Close()
		}
		stop()
	})
	fmt.Println(err)
	// Output:
	// 200
	// <nil>
}
