package conformance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

// borrowed is a layer with the packages of another interpreter, by path.
func borrowed(t *testing.T) string {
	t.Helper()
	python := peertest.Module(t, "requests")
	out, err := exec.Command(python, "-c", "import os, requests; print(os.path.dirname(os.path.dirname(requests.__file__)))").Output()
	if err != nil {
		t.Fatal(err)
	}
	site, opt := strings.TrimSpace(string(out)), t.TempDir()
	if err := os.CopyFS(filepath.Join(opt, "python"), os.DirFS("testdata/layered")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"requests", "urllib3", "idna", "certifi", "charset_normalizer"} {
		if err := os.Symlink(filepath.Join(site, name), filepath.Join(opt, "python", name)); err != nil {
			t.Fatal(err)
		}
	}
	return opt
}

// surroundings are what the function told.
type surroundings struct {
	Path         []string
	Environment  map[string]string
	Layered      string
	Status       int
	Instrumented *string
	Version      string
}

// ofOurs are the variables that it is the wrapper's purpose to set, and those
// that differ between any two environments.
var ofOurs = []string{"AWS_LAMBDA_RUNTIME_API", "AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_ENDPOINT_URL_EVENTBRIDGEV2", "NO_PROXY", "no_proxy", "TMPDIR", "_X_AMZN_TRACE_ID",
	"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_EXEC_WRAPPER", "_", "PWD"} // PWD is any shell's, Lambda's own bootstrap script included

func TestPythonSeesWhatItWould(t *testing.T) {
	for _, version := range []string{"3.11", "3.12", "3.13"} {
		interpreter := peertest.Python(version)
		if interpreter == "" {
			t.Logf("Python %s not found: not tried", version)
			continue
		}
		opt := borrowed(t)
		// What opentelemetry-instrument does: a folder of its own first in PYTHONPATH.
		instrument := t.TempDir()
		if err := os.WriteFile(filepath.Join(instrument, "sitecustomize.py"), []byte("import sys\nsys.instrumented = 'yes'\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for name, path := range map[string]string{"no PYTHONPATH": "", "instrumented": instrument + ":" + filepath.Join(opt, "python")} {
			t.Run(version+" "+name, func(t *testing.T) {
				see := func(attached bool) surroundings {
					s := newScene(t)
					f := python(t, interpreter)
					f.Name, f.Handler, f.Env["TEST_OPT"] = "inspected", "inspected.handle", opt
					if path != "" {
						f.Env["PYTHONPATH"] = path
					}
					if f = s.attach(f); !attached {
						f.Wrapper, f.Extensions = "", nil
					}
					result, err := s.create(f).Invoke(t.Context(), []byte(`{"detail-type":"T","id":"e","source":"s","detail":{"event_id":"e-1","correlation_id":"workflow-1"}}`), lambdalocal.InvokeOptions{})
					var told surroundings
					if err != nil || result.FunctionError != "" || json.Unmarshal(result.Payload, &told) != nil {
						t.Fatalf("%v %s\n%s", err, result.Payload, s.log())
					}
					if got := s.calls[0].Header.Get("X-Correlation-ID"); attached != (got == "workflow-1") {
						t.Errorf("attached %t, and the call carried %q", attached, got)
					}
					for _, name := range ofOurs {
						delete(told.Environment, name)
					}
					for name, value := range told.Environment { // addresses that differ between any two runs
						if strings.HasPrefix(value, "http://127.0.0.1:") || strings.HasPrefix(value, "http://localhost:") {
							told.Environment[name] = "an address"
						}
					}
					return told
				}
				without, with := see(false), see(true)
				if !reflect.DeepEqual(with, without) {
					t.Errorf("it sees %+v\nwithout us %+v", with, without)
				}
				if with.Version != version || with.Layered != "from another layer" || (with.Instrumented != nil) != (path != "") {
					t.Errorf("%+v", with)
				}
			})
		}
	}
}
