// Command throughline-extension is the Lambda extension that the layer carries.
// It reads its settings from the environment; --help lists them.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/throughline/throughline/cmd/internal/assemble"
	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/internal/version"
	"github.com/throughline/throughline/tracing/otlp"
)

const usage = `throughline-extension is started by AWS Lambda from a layer's /opt/extensions.

Settings, from the environment:
`

func main() {
	if len(os.Args) > 1 {
		os.Exit(answer(os.Args[1], os.Stdout, os.Stderr))
	}
	// The extension keeps its heap small, because the memory is the function's.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(memoryLimit)
	for _, warning := range settings.Unknown(os.Environ()) {
		fmt.Fprintln(os.Stderr, "throughline:", warning)
	}
	config := configured(os.Getenv, filepath.Base(os.Args[0]))
	// The extension uses at most one core while the function runs. A request through a
	// proxy is also forwarded faster with one thread than with two. Setting this at the
	// start would cost memory.
	config.Invoked = func() { runtime.GOMAXPROCS(1) }
	if err := extension.Run(context.Background(), config); err != nil {
		log.Fatalf("throughline: %v", err)
	}
}

// memoryLimit is the garbage collector's memory limit in bytes. It matters when many
// large requests arrive at once.
const memoryLimit = 24 << 20

func answer(flag string, stdout, stderr io.Writer) int {
	switch flag {
	case "--help", "-h", "help":
		fmt.Fprint(stdout, usage)
		if settings.WriteText(stdout) != nil {
			return 1
		}
		return 0
	case "--version", "version":
		fmt.Fprintln(stdout, "throughline-extension", version.String())
		return 0
	default:
		fmt.Fprintf(stderr, "throughline-extension: unknown argument %q; --help lists the settings\n", flag)
		return 2
	}
}

// configured returns the extension's configuration from the environment.
func configured(getenv func(string) string, name string) extension.Config {
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	say := func(message string) { fmt.Fprintln(os.Stderr, "throughline:", message) }
	c := assemble.Extension(getenv, otlp.Credentials(getenv, client), client, os.Stdout, say, assemble.InLambda(getenv))
	c.Name, c.Log = name, os.Stderr
	return c
}
