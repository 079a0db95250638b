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
	"":               {},
	"alpaca":         {"internal/lineage", "internal/outbound", "internal/jsonwalk"},
	"tracing":        {"internal/lineage", "internal/outbound"},
	"tracing/otlp":   {"internal/lineage", "internal/protowire"},
	"tracing/export": {"tracing", "internal/lineage", "internal/outbound", "internal/handling", "internal/stamping", "tracing/otlp", "metrics", "internal/settings", "internal/configure", "internal/handshake", "internal/hop"},
	"handler":        {"tracing", "internal/lineage", "dedupe", "claimcheck", "metrics", "sizemeter", "internal/handling", "internal/otelglobal"},
	"publisher":      {"tracing", "internal/lineage", "sizemeter", "claimcheck", "metrics", "detail", "internal/stamping", "internal/loopback", "internal/otelglobal", "internal/pause"},
	"hops":           {"tracing", "internal/hop", "internal/lineage", "internal/otelglobal", "metrics"},
	"detail":         {"internal/jsonwalk"},
	"claimcheck":     {"internal/jsonwalk"},
	"sizemeter":      {},
	"dedupe":         {"internal/jsonwalk"},
	"dedupe/dynamo":  {"dedupe"},
	"metrics":        {},
	"metrics/logs":   {},
	"extension": {"internal/lineage", "internal/outbound", "tracing/otlp", "sizemeter", "dedupe", "metrics", "internal/stamping", "internal/handling", "internal/handshake", "internal/jsonwalk",
		"extension/internal/server", "extension/internal/notice", "extension/internal/invocations", "extension/internal/inflight", "extension/internal/sdkcalls",
		"extension/internal/shims", "extension/internal/oneconn", "extension/internal/pipe", "extension/internal/hops", "extension/internal/events", "extension/internal/alpacaproxy", "extension/internal/receiver", "extension/internal/runtimeapi"},
	"extension/internal/server":      {"internal/loopback"},
	"extension/internal/notice":      {},
	"extension/internal/sigv4":       {},
	"extension/internal/putevents":   {"internal/lineage", "internal/cborwalk", "internal/jsonwalk"},
	"extension/internal/invocations": {"internal/lineage", "metrics", "tracing/otlp"},
	"extension/internal/inflight":    {"internal/lineage", "internal/handling", "internal/handshake"},
	"extension/internal/sdkcalls":    {"extension/internal/putevents", "internal/stamping", "metrics", "internal/lineage"},
	"extension/internal/hops":        {"internal/hop", "internal/lineage", "metrics", "tracing/otlp"},
	"extension/internal/oneconn":     {},
	"extension/internal/pipe":        {},
	"extension/internal/shims":       {"extension/internal/hops", "extension/internal/inflight", "extension/internal/putevents", "internal/jsonwalk", "extension/internal/sdkcalls", "extension/internal/server", "extension/internal/sigv4", "internal/handling", "metrics", "internal/lineage", "internal/outbound", "tracing/otlp"},
	"extension/internal/events":      {"extension/internal/inflight", "extension/internal/putevents", "extension/internal/sdkcalls", "extension/internal/server", "extension/internal/sigv4", "internal/lineage"},
	"extension/internal/alpacaproxy": {"alpaca", "extension/internal/inflight", "extension/internal/server", "internal/handling", "metrics", "internal/lineage", "internal/outbound", "internal/pause"},
	"extension/internal/receiver":    {"extension/internal/server", "metrics", "tracing/otlp"},
	"extension/internal/runtimeapi":  {"extension/internal/inflight", "extension/internal/invocations", "extension/internal/server", "internal/handling", "metrics", "internal/lineage"},
	"internal/hop":                   {"internal/lineage", "metrics"},
	"internal/hostile":               {},
	"internal/handshake":             {"internal/atomicfile", "internal/loopback"},
	"internal/atomicfile":            {},
	"alarms":                         {"metrics", "internal/nearest", "internal/yamltree"},
	"alarms/eval":                    {"alarms"},
	"alarms/cloudwatch":              {"alarms", "alarms/eval", "internal/pause"},
	"layer":                          {},
	"layer/pack":                     {},
	"internal/stamping":              {"internal/lineage", "sizemeter", "metrics"},
	"internal/handling":              {"internal/lineage", "internal/jsonwalk", "internal/outbound", "dedupe", "metrics"},
	"internal/configure":             {"internal/settings", "alpaca", "internal/lineage", "internal/outbound", "tracing/otlp", "metrics", "metrics/logs", "dedupe", "dedupe/dynamo"},
	"internal/lineage/lineagetest":   {},
	"internal/lineage":               {"internal/jsonwalk"},
	"internal/outbound":              {"internal/lineage"},
	"internal/outbound/outboundtest": {"internal/lineage"},
	"internal/otelglobal":            {},
	"internal/pause":                 {},
	"internal/protowire":             {},
	"internal/jsonwalk":              {},
	"internal/cborwalk":              {},
	"internal/eventsv2test":          {},
	"internal/loopback":              {},
	"internal/nearest":               {},
	"internal/pseudoterminal":        {},
	"internal/settings":              {"internal/loopback", "internal/nearest"},
	"internal/version":               {},
	"internal/yamltree":              {},
	"peertest":                       {},
}

// linkedNever are the modules and packages that the layer's binary must not
// link: linked but never called, they double its start and its memory.
var linkedNever = []string{
	"github.com/aws/aws-sdk-go-v2/service/",
	"github.com/aws/aws-sdk-go-v2/config",
	"go.opentelemetry.io/otel/exporters/",
	"go.opentelemetry.io/otel/sdk",
	"go.opentelemetry.io/otel/internal/global", // what the global providers bring in
	"go.opentelemetry.io/proto/",
	"google.golang.org/grpc",
	"google.golang.org/protobuf", // it reads the program's file whenever the program starts
	"regexp",
	"github.com/DataDog/sketches-go",
}

type listed struct {
	ImportPath, Doc string
	Imports, Deps   []string
	Module          struct{ Path string }
	Standard        bool
}

// name is the package's path within the repository.
func (p listed) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// everyPackage is the patterns of all packages of the modules in go.work.
func everyPackage(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}/...").Output()
	if err != nil {
		t.Fatalf("list the modules: %v", err)
	}
	return strings.Fields(string(out))
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Doc,Imports,Deps,Module,Standard"}, args...)...)
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

// within says that a package is listed, by its own name or below a folder that
// is listed as "folder/...".
func within(list []string, name string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		folder, all := strings.CutSuffix(entry, "/...")
		return entry == name || all && (name == folder || strings.HasPrefix(name, folder+"/"))
	})
}

// TestArrows holds the imports between packages of every module to the lists of
// arrows and arrowsOfCommands. Tests, and what only they use, stand above them.
func TestArrows(t *testing.T) {
	found := map[string]bool{}
	for _, p := range goList(t, everyPackage(t)...) {
		name := p.name()
		found[name] = true
		if within([]string{"examples/...", "test/...", "layer/conformance/..."}, name) {
			for _, dep := range p.Imports {
				if within([]string{"examples/..."}, name) && strings.HasPrefix(dep, module) && strings.Contains(dep, "/internal/") {
					t.Errorf("%s imports %s, which no user's function can", name, dep)
				}
			}
			continue
		}
		allowed, known := arrows[name]
		if !known {
			allowed, known = arrowsOfCommands[name]
		}
		if !known {
			t.Errorf("package %s is not in the diagram: add it to arrows_test.go", name)
			continue
		}
		for _, dep := range p.Imports {
			ours, ok := strings.CutPrefix(dep, module+"/")
			if ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s: no such arrow in the design", name, ours)
			}
		}
	}
	for _, list := range []map[string][]string{arrows, arrowsOfCommands} {
		for name := range list {
			if !found[name] {
				t.Errorf("package %s is in the diagram and not in the tree", name)
			}
		}
	}
}

// TestModules holds which packages import which modules of others.
func TestModules(t *testing.T) {
	of := map[string]string{}
	packages := goList(t, append([]string{"-deps"}, everyPackage(t)...)...)
	for _, p := range packages {
		of[p.ImportPath] = p.Module.Path
	}
	for _, p := range packages {
		if !strings.HasPrefix(p.Module.Path, module) || within([]string{"examples/...", "test/...", "layer/conformance/..."}, p.name()) {
			continue
		}
		for _, dep := range p.Imports {
			if of[dep] == "" || strings.HasPrefix(of[dep], module) {
				continue
			}
			if !within(importers[of[dep]], p.name()) {
				t.Errorf("%s imports %s: the design has no place for %s there", p.name(), dep, of[dep])
			}
		}
	}
}

func TestTracingIsAPIOnly(t *testing.T) {
	for _, p := range goList(t, "./tracing", "./alpaca") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "go.opentelemetry.io/otel/sdk") || strings.HasPrefix(dep, "go.opentelemetry.io/otel/exporters") ||
				strings.HasPrefix(dep, "github.com/aws/") || strings.HasPrefix(dep, "github.com/alpacahq/") {
				t.Errorf("%s links %s", p.ImportPath, dep)
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
