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
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/metrics"
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
	config := configure(os.Getenv, filepath.Base(os.Args[0]))
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

// configure reads the environment. Whatever is wrong with it is said, and a
// default holds.
func configure(getenv func(string) string, name string) extension.Config {
	s, warnings := settings.Parse(getenv)
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "throughline:", w)
	}
	memory, _ := strconv.Atoi(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))
	profiles := map[string]metrics.Profile{"basic": metrics.Basic, "full": metrics.Full, "off": metrics.Off}
	tmp := getenv("TMPDIR")
	if tmp == "" {
		tmp = "/tmp"
	}
	address := s.OTLPAddr
	if s.Endpoints != nil && !slices.Contains(s.Endpoints, "otlp") {
		address = ""
	}
	return extension.Config{
		RuntimeAPI: getenv("AWS_LAMBDA_RUNTIME_API"), Name: name, InitType: getenv("AWS_LAMBDA_INITIALIZATION_TYPE"),
		FunctionName: getenv("AWS_LAMBDA_FUNCTION_NAME"), MemoryMB: memory, Region: getenv("AWS_REGION"), TempDir: tmp,
		Disabled: s.Disabled, OTLPAddr: address, Upstream: upstream(s, getenv), Flush: extension.Flush(s.Flush),
		Metrics: metrics.Config{Namespace: s.Namespace, Service: s.Service, Profile: profiles[s.Metrics], EventTypesMax: s.EventTypesMax, Level: s.EMFLevel},
		Out:     os.Stdout, Log: os.Stderr, Now: time.Now,
	}
}

// upstream is where spans go. An address that the extension listens on itself
// counts as unset: the setting was meant for the function.
func upstream(s settings.Settings, getenv func(string) string) otlp.Config {
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
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
			URL: target, Headers: headers, Sign: otlp.SigV4(region, "xray", otlp.Credentials(getenv, client), time.Now),
		}
	}
	target, headers := settings.OTLPTarget(getenv)
	if target == "http://"+s.OTLPAddr+"/v1/traces" {
		target = ""
	}
	return otlp.Config{URL: target, Headers: headers, Client: client}
}
