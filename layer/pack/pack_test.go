package main

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/peertest"
)

func built(tb testing.TB) map[string][]byte {
	tb.Helper()
	binaries := map[string][]byte{}
	for _, arch := range []string{"amd64", "arm64"} {
		binary, err := build(tb.Context(), "../..", arch, "")
		if err != nil {
			tb.Fatal(err)
		}
		binaries[arch] = binary
	}
	return binaries
}

const tag = "v1.2.3"

// TestTheLayerIsReproducible makes the layers of a release in two checkouts, whose files
// have other modes, with other flags of the go command and another umask: the bytes are the
// same, the extension tells its version, and so does the SBOM.
func TestTheLayerIsReproducible(t *testing.T) {
	files, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.go", "*.mod", "*.sum", "layer", "LICENSE").Output()
	if err != nil {
		peertest.Missing(t, "a checkout of git: "+err.Error())
	}
	var made []map[string][]byte
	for _, checkout := range []struct {
		modes  fs.FileMode
		umask  int
		flags  string
		folder string
	}{{0o644, 0o022, "", "one"}, {0o600, 0o077, "-tags=other -ldflags=-w -buildvcs=false", "another/and/deeper"}} {
		source := filepath.Join(t.TempDir(), checkout.folder)
		for _, name := range strings.Split(strings.TrimSuffix(string(files), "\x00"), "\x00") {
			data, err := os.ReadFile(filepath.Join("../..", name))
			if errors.Is(err, fs.ErrNotExist) { // deleted, and not committed yet
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(source, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(source, name), data, checkout.modes); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("GOFLAGS", checkout.flags)
		before := syscall.Umask(checkout.umask)
		out := filepath.Join(t.TempDir(), "out")
		err := run(t.Context(), source, out, tag, io.Discard)
		syscall.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		written := map[string][]byte{}
		for _, z := range zips {
			for _, name := range []string{z.name + ".zip", z.name + ".zip.sha256", z.name + ".cdx.json"} {
				if written[name], err = os.ReadFile(filepath.Join(out, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		made = append(made, written)
	}
	for name, data := range made[0] {
		if !bytes.Equal(data, made[1][name]) {
			t.Errorf("%s: the same source gave other bytes", name)
		}
	}
	checkTag(t, made[0]["throughline-"+runtime.GOARCH+".zip"], made[0]["throughline-"+runtime.GOARCH+".cdx.json"])
}

// checkTag runs the extension of a layer, and reads its SBOM.
func checkTag(t *testing.T, layer, bom []byte) {
	t.Helper()
	var document struct {
		BOMFormat string `json:"bomFormat"`
		Metadata  struct {
			Component struct{ Version, PURL string }
		}
		Components []struct{ Name, PURL string }
	}
	if err := json.Unmarshal(bom, &document); err != nil || document.BOMFormat != "CycloneDX" || len(document.Components) < 3 || document.Metadata.Component.Version != tag || !strings.HasSuffix(document.Metadata.Component.PURL, "@"+tag) {
		t.Errorf("SBOM %s: %v", bom, err)
	}
	r, err := zip.NewReader(bytes.NewReader(layer), int64(len(layer)))
	if err != nil {
		t.Fatal(err)
	}
	in, err := r.Open("extensions/throughline-extension")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	binary, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "throughline-extension")
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput(); err != nil || string(said) != "throughline-extension "+tag+"\n" {
		t.Errorf("it says %q, %v", said, err)
	}
}

// TestTheLayerIsInItsBudget: of the bytes that it may weigh.
func TestTheLayerIsInItsBudget(t *testing.T) {
	binaries := built(t)
	for _, z := range zips {
		data, _, err := pack("../..", binaries, z.archs, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > z.budget {
			t.Errorf("%s: %d bytes, over the budget of %d", z.name, len(data), z.budget)
		}
	}
}

func TestTheLayerHoldsWhatLambdaLooksFor(t *testing.T) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	binaries := built(t)
	for _, z := range zips {
		t.Run(z.name, func(t *testing.T) {
			data, _, err := pack("../..", binaries, z.archs, "")
			if err != nil {
				t.Fatal(err)
			}
			r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]bool{"extensions/throughline-extension": true, "throughline/wrapper": true}
			binaryOf := map[string]elf.Machine{}
			if len(z.archs) == 1 {
				binaryOf["extensions/throughline-extension"] = machines[z.archs[0]]
			} else {
				for _, arch := range z.archs {
					name := "throughline/" + arch + "/throughline-extension"
					want[name], binaryOf[name] = true, machines[arch]
				}
			}
			executable := map[string]bool{}
			for _, f := range r.File {
				executable[f.Name] = f.Mode()&0o111 != 0
				if !f.Modified.UTC().Equal(epoch) && f.Modified.Sub(epoch) > 24*time.Hour {
					t.Errorf("%s is dated %v", f.Name, f.Modified)
				}
				if machine, ok := binaryOf[f.Name]; ok {
					checkBinary(t, f, machine)
				}
			}
			for _, pattern := range []string{"python/*.py", "python/*/*.py", "node/*.cjs"} {
				sources, err := filepath.Glob("../throughline/" + pattern)
				if err != nil || len(sources) == 0 {
					t.Fatalf("%s: %d files, %v", pattern, len(sources), err)
				}
				for _, source := range sources {
					want[strings.TrimPrefix(source, "../")] = false
				}
			}
			if !maps.Equal(executable, want) {
				t.Errorf("the zip holds %v (executable or not), want %v", executable, want)
			}
		})
	}
}

// BenchmarkPack is what the zips weigh.
func BenchmarkPack(b *testing.B) {
	for b.Loop() {
		binaries := built(b)
		for _, z := range zips {
			data, _, err := pack("../..", binaries, z.archs, "")
			if err != nil {
				b.Fatal(err)
			}
			name := "both"
			if len(z.archs) == 1 {
				name = z.archs[0]
			}
			b.ReportMetric(float64(len(data))/(1<<20), name+"-MB")
		}
	}
}

func checkBinary(t *testing.T, f *zip.File, machine elf.Machine) {
	t.Helper()
	in, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	binary, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	header, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil || header.Machine != machine {
		t.Errorf("the binary is for %v: %v", header.Machine, err)
	}
}
