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
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/configure"
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

const usage = `throughline-extension is started by AWS Lambda from a layer's /opt/extensions.

Settings, from the environment:
`

func main() {
	if len(os.Args) > 1 {
		os.Exit(answer(os.Args[1], os.Stdout, os.Stderr))
	}
	// A small heap is kept small: the memory is the function's.
	debug.SetGCPercent(50)
	config := configured(os.Getenv, filepath.Base(os.Args[0]))
	if err := extension.Run(context.Background(), config); err != nil {
		log.Fatalf("throughline: %v", err)
	}
}

func answer(flag string, stdout, stderr io.Writer) int {
	switch flag {
	case "--help", "-h", "help":
		fmt.Fprint(stdout, usage)
		if settings.WriteText(stdout) != nil {
			return 1
		}
		return 0
	case "--version", "version":
		info, _ := debug.ReadBuildInfo()
		fmt.Fprintln(stdout, "throughline-extension", info.Main.Version)
		return 0
	default:
		fmt.Fprintf(stderr, "throughline-extension: unknown argument %q; --help lists the settings\n", flag)
		return 2
	}
}

// configured reads the environment. Whatever is wrong with it is said, and a
// default holds.
func configured(getenv func(string) string, name string) extension.Config {
	s, warnings := settings.Parse(getenv)
	say := func(message string) { fmt.Fprintln(os.Stderr, "throughline:", message) }
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	credentials := otlp.Credentials(getenv, client)
	sample, warning := configure.Sample(getenv)
	if warning != "" {
		warnings = append(warnings, warning)
	}
	checker, wrong := configure.Dedupe(s, getenv, configure.CredentialsFunc(credentials), say)
	for _, w := range append(warnings, wrong...) {
		say(w)
	}
	memory, _ := strconv.Atoi(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))
	tmp := getenv("TMPDIR")
	if tmp == "" {
		tmp = "/tmp"
	}
	c := extension.Config{
		RuntimeAPI: getenv("AWS_LAMBDA_RUNTIME_API"), Name: name, InitType: getenv("AWS_LAMBDA_INITIALIZATION_TYPE"),
		FunctionName: getenv("AWS_LAMBDA_FUNCTION_NAME"), MemoryMB: memory, Region: getenv("AWS_REGION"), TempDir: tmp,
		Disabled: s.Disabled, Upstream: upstream(s, getenv, client, credentials), Flush: extension.Flush(s.Flush),
		EventsUpstream: s.EventsUpstream, AlpacaUpstream: s.AlpacaUpstream, AlpacaFaults: s.AlpacaFaults, Credentials: credentials,
		Tracing: configure.Tracing(s), Sample: sample, SizeLimit: s.SizeLimit, SizeWarn: s.SizeWarn, Dedupe: checker,
		Metrics: configure.Metrics(s), Out: os.Stdout, Log: os.Stderr, Now: time.Now,
	}
	on := s.Endpoints
	if on == nil { // all four where the wrapper makes use of them
		on = []string{"otlp"}
		if getenv("AWS_LAMBDA_EXEC_WRAPPER") == wrapper {
			on = []string{"otlp", "events", "alpaca", "runtime"}
		}
	}
	for name, address := range map[string]struct {
		into  *string
		value string
	}{
		"otlp": {&c.OTLPAddr, s.OTLPAddr}, "events": {&c.EventsAddr, s.EventsAddr},
		"alpaca": {&c.AlpacaAddr, s.AlpacaAddr}, "runtime": {&c.RuntimeAddr, s.RuntimeAddr},
	} {
		if slices.Contains(on, name) {
			*address.into = address.value
		}
	}
	return c
}

// wrapper is the script in the layer that points the runtime at the endpoints.
const wrapper = "/opt/throughline/wrapper"

// upstream is where spans go. An address that the extension listens on itself
// counts as unset: the setting was meant for the function.
func upstream(s settings.Settings, getenv func(string) string, client *http.Client, credentials extension.Credentials) otlp.Config {
	switch s.Traces {
	case "off":
		return otlp.Config{}
	case "xray":
		region := getenv("AWS_REGION")
		if region == "" {
			return otlp.Config{}
		}
		target, headers := settings.OTLPTarget(getenv)
		if target == "" || target == "http://"+s.OTLPAddr+"/v1/traces" {
			target = "https://xray." + region + ".amazonaws.com/v1/traces"
		}
		return otlp.Config{
			URL: target, Headers: headers, Sign: otlp.SigV4(region, "xray", credentials, time.Now),
		}
	}
	target, headers := settings.OTLPTarget(getenv)
	if target == "http://"+s.OTLPAddr+"/v1/traces" {
		target = ""
	}
	return otlp.Config{URL: target, Headers: headers, Client: client}
}
