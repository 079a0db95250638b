package throughline

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/throughline/throughline"

// arrows are the imports that the design allows between our own packages.
// A package that is not listed here fails the test, so that the diagram grows
// only on purpose.
var arrows = map[string][]string{
	"":                       {},
	"tracing":                {"internal/jsonwalk"},
	"tracing/otlp":           {"tracing"},
	"tracing/export":         {"tracing", "tracing/otlp", "metrics", "internal/settings", "dedupe", "internal/configure"},
	"handler":                {"tracing", "dedupe", "claimcheck", "metrics", "sizemeter", "internal/handling"},
	"publisher":              {"tracing", "sizemeter", "claimcheck", "metrics", "internal/stamping", "internal/jsonwalk"},
	"claimcheck":             {},
	"claimcheck/s3":          {"claimcheck"},
	"sizemeter":              {},
	"sizemeter/distribution": {"sizemeter"},
	"dedupe":                 {"metrics"},
	"dedupe/dynamo":          {"dedupe"},
	"metrics":                {},
	"metrics/logs":           {},
	"extension":              {"tracing", "tracing/otlp", "sizemeter", "dedupe", "dedupe/dynamo", "metrics", "internal/settings", "internal/stamping", "internal/handling", "internal/jsonwalk"},
	"alarms":                 {"metrics", "alarms/internal/node"},
	"alarms/internal/node":   {},
	"alarms/eval":            {"alarms"},
	"alarms/render":          {"alarms", "alarms/eval", "alarms/internal/node", "alarms/queries", "metrics"},
	"alarms/queries":         {"metrics"},
	"alarms/cloudwatch":      {"alarms", "alarms/eval", "alarms/queries", "alarms/render"},
	"alarms/scaffold":        {"alarms", "alarms/internal/node"},
	"layer":                  {},
	"layer/pack":             {},
	"internal/stamping":      {"tracing", "sizemeter", "metrics"},
	"internal/handling":      {"tracing", "dedupe", "metrics"},
	"internal/configure":     {"internal/settings", "tracing", "tracing/otlp", "metrics", "metrics/logs", "dedupe", "dedupe/dynamo"},
	"internal/jsonwalk":      {},
	"internal/settings":      {},
	"internal/lambdalocal":   {},
	"examples":               {}, // only tests, of the examples below it
	"internal/buslocal":      {},
	"internal/peertest":      {},
	"internal/budgets":       {},
}

// linkedNever are the modules and packages that the layer's binary must not
// link: linked but never called, they double its start and its memory.
var linkedNever = []string{
	"github.com/aws/aws-sdk-go-v2/service/",
	"github.com/aws/aws-sdk-go-v2/config",
	"go.opentelemetry.io/otel/exporters/",
	"go.opentelemetry.io/otel/sdk",
	"go.opentelemetry.io/proto/",
	"google.golang.org/grpc",
	"github.com/DataDog/sketches-go",
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []listed
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		packages = append(packages, p)
	}
}

func TestArrows(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "examples/") || strings.Contains(name, "/testdata/") {
			continue // commands and examples stand above the diagram
		}
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s is not in the diagram", name)
			continue
		}
		for _, dep := range p.Imports {
			ours, ok := strings.CutPrefix(dep, module+"/")
			if ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s: no such arrow in the design", name, ours)
			}
		}
	}
}

func TestTracingIsAPIOnly(t *testing.T) {
	for _, p := range goList(t, "./tracing") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "go.opentelemetry.io/otel/sdk") || strings.HasPrefix(dep, "go.opentelemetry.io/otel/exporters") ||
				strings.HasPrefix(dep, "github.com/aws/") {
				t.Errorf("tracing links %s", dep)
			}
		}
	}
}

func TestExtensionLinksNothingHeavy(t *testing.T) {
	for _, p := range goList(t, "./cmd/throughline-extension") {
		for _, dep := range p.Deps {
			for _, never := range linkedNever {
				if strings.HasPrefix(dep, never) {
					t.Errorf("the layer's binary links %s", dep)
				}
			}
			if dep == module+"/publisher" {
				t.Error("the layer's binary links publisher")
			}
		}
	}
}
