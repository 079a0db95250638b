// Package consumer holds what a user of the released modules gets: the size of
// a function's module graph, and a command that installs.
package consumer

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	root    = "github.com/throughline/throughline"
	version = "v0.1.0"
	tree    = "../.."
)

// function is a Lambda function that uses the library as the README says.
const function = `package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing/export"
)

func main() {
	telemetry := export.Setup(aws.Config{}, os.Getenv)
	p := publisher.New(eventbridge.New(eventbridge.Options{Region: os.Getenv("AWS_REGION")}), publisher.WithTelemetry(telemetry))
	lambda.Start(handler.Wrap(func(ctx context.Context, _ events.EventBridgeEvent) error {
		_, err := p.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("a"), DetailType: aws.String("B"), Detail: aws.String("{}")}}})
		return err
	}, handler.WithTelemetry(telemetry)))
}
`

// TestFunctionsModuleGraph holds what the library adds to the modules of a
// function that uses it.
func TestFunctionsModuleGraph(t *testing.T) {
	const mostModules, mostSums = 40, 62
	run := released(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), function)
	write(t, filepath.Join(dir, "go.mod"), "module example.com/function\n\ngo 1.26.0\n\nrequire "+root+" "+version+"\n")
	run(dir, "mod", "tidy")
	run(dir, "build", "-o", filepath.Join(t.TempDir(), "function"), ".")
	list := strings.Fields(run(dir, "list", "-m", "-f", "{{.Path}}", "all"))
	text, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	sums := strings.Count(string(text), "\n")
	t.Logf("%d modules in the build list, %d lines in go.sum", len(list), sums)
	if len(list) > mostModules {
		t.Errorf("%d modules in the build list, at most %d are allowed:\n%s", len(list), mostModules, strings.Join(list, "\n"))
	}
	if sums > mostSums {
		t.Errorf("%d lines in go.sum, at most %d are allowed:\n%s", sums, mostSums, text)
	}
}

// TestCommandInstalls holds that the command installs from its released module,
// which no replacement in a go.mod file would allow.
func TestCommandInstalls(t *testing.T) {
	run := released(t)
	dir := t.TempDir()
	run(dir, "install", root+"/cmd/throughline@"+version)
}

// released publishes the tree's modules at version, in a proxy of files before
// the local module cache and the user's own proxies, and returns a way to run
// the go command with them.
func released(t *testing.T) func(dir string, args ...string) string {
	t.Helper()
	proxy, cache := t.TempDir(), t.TempDir()
	for _, dir := range modules(t) {
		publish(t, proxy, dir)
	}
	settings, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	local, proxies, _ := strings.Cut(strings.TrimSpace(string(settings)), "\n")
	downloads := filepath.Join(local, "cache", "download")
	return func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-modcacherw -trimpath", "GOMODCACHE="+cache, "GOBIN="+filepath.Join(proxy, "bin"),
			"GOPROXY=file://"+proxy+",file://"+downloads+","+proxies, "GOPRIVATE=", "GONOPROXY=", "GONOSUMDB=", "GOSUMDB=off", "GOVCS=*:off")
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, said.String())
		}
		return out.String()
	}
}

// modules are the folders of the modules that are released, as go.work lists them.
func modules(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}")
	cmd.Dir = tree
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// required is a requirement of one of this repository's modules. Setting its
// version is how a release begins, see CONTRIBUTING.md.
var required = regexp.MustCompile(`(?m)((?:^require|^)\s+` + root + `(?:/[a-z0-9/]+)?) v\S+`)

// publish writes a module as a proxy serves it: as
// https://go.dev/ref/mod#goproxy-protocol has it.
func publish(t *testing.T, proxy, dir string) {
	t.Helper()
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(string(mod), "module "), "\n")
	mod = required.ReplaceAll(mod, []byte("${1} "+version))
	at := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	write(t, filepath.Join(at, "list"), version+"\n")
	write(t, filepath.Join(at, version+".info"), fmt.Sprintf(`{"Version":%q,"Time":%q}`, version, time.Unix(0, 0).UTC().Format(time.RFC3339)))
	write(t, filepath.Join(at, version+".mod"), string(mod))
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if name != dir && (nested == nil || strings.HasPrefix(d.Name(), ".") || name == filepath.Join(dir, "build") || name == filepath.Join(dir, "bin")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if relative == "go.mod" {
			data = mod
		}
		f, err := w.Create(path + "@" + version + "/" + filepath.ToSlash(relative))
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at, version+".zip"), archive.String())
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
