package main

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"encoding/json"
	"io"
	"testing"
	"time"
)

func TestTheLayerIsReproducible(t *testing.T) {
	first, bom, err := pack(t.Context(), "../..", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := pack(t.Context(), "../..", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("the same source gave other bytes")
	}
	if len(first) > budget {
		t.Errorf("%d bytes, over the budget of %d", len(first), budget)
	}
	var document struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name, PURL string }
	}
	if err := json.Unmarshal(bom, &document); err != nil || document.BOMFormat != "CycloneDX" || len(document.Components) < 3 {
		t.Errorf("SBOM %s: %v", bom, err)
	}
}

func TestTheLayerHoldsWhatLambdaLooksFor(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			data, _, err := pack(t.Context(), "../..", arch)
			if err != nil {
				t.Fatal(err)
			}
			r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			executable := map[string]bool{}
			for _, f := range r.File {
				executable[f.Name] = f.Mode()&0o111 != 0
				if !f.Modified.UTC().Equal(epoch) && f.Modified.Sub(epoch) > 24*time.Hour {
					t.Errorf("%s is dated %v", f.Name, f.Modified)
				}
				if f.Name == "extensions/throughline-extension" {
					checkBinary(t, f, machine)
				}
			}
			for name, want := range map[string]bool{
				"extensions/throughline-extension": true, "throughline/wrapper": true, "throughline/python/sitecustomize.py": false,
				"throughline/python/throughline_shim.py": false, "throughline/node/shim.cjs": false,
			} {
				if got, ok := executable[name]; !ok || got != want {
					t.Errorf("%s: there %v, executable %v", name, ok, got)
				}
			}
			if len(executable) != 5 {
				t.Errorf("%d files: %v", len(executable), executable)
			}
		})
	}
}

// BenchmarkPack is what the zips weigh.
func BenchmarkPack(b *testing.B) {
	for b.Loop() {
		for _, arch := range []string{"amd64", "arm64"} {
			data, _, err := pack(b.Context(), "../..", arch)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(data))/(1<<20), arch+"-MB")
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
