package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/throughline/throughline/peertest"
)

const changelog = `# Changelog

## Unreleased

- later

## 1.2.0, 2026-12-01

### Added

- a thing

## 1.1.0

- before
`

func TestNotes(t *testing.T) {
	for tag, want := range map[string]string{
		"v1.2.0": "# Throughline v1.2.0\n\n### Added\n\n- a thing\n", "v1.1.0": "# Throughline v1.1.0\n\n- before\n",
	} {
		if got, err := notes(changelog, tag); err != nil || got != want {
			t.Errorf("%s: %v, %q", tag, err, got)
		}
	}
	for tag, in := range map[string]string{"v1.2.1": changelog, "v2.0.0": "## 2.0.0\n\n## 1.0.0\n- x\n"} {
		if got, err := notes(in, tag); err == nil {
			t.Errorf("%s: %q", tag, got)
		}
	}
}

func TestOnlyTagsAreReleased(t *testing.T) {
	for _, tag := range []string{"", "1.2.3", "v1.2", "main"} {
		if err := run(t.Context(), "../../..", t.TempDir(), tag); err == nil || !strings.Contains(err.Error(), "check out a tag") {
			t.Errorf("%q: %v", tag, err)
		}
	}
}

// TestTheCommandIsReproducible builds the command of a release twice, with other flags of
// the go command, and runs it.
func TestTheCommandIsReproducible(t *testing.T) {
	peertest.Command(t, "bash")
	const tag = "v1.2.3"
	source, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	var made [][]byte
	for _, flags := range []string{"", "-tags=other -ldflags=-w"} {
		t.Setenv("GOFLAGS", flags)
		out := t.TempDir()
		if err := writeCommand(t.Context(), source, out, tag, runtime.GOOS, runtime.GOARCH); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(out, "throughline_1.2.3_"+runtime.GOOS+"_"+runtime.GOARCH+".tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, data)
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("the same source gave other bytes")
	}
	zip, err := gzip.NewReader(bytes.NewReader(made[0]))
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "throughline")
	for r := tar.NewReader(zip); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if header.Name == "throughline" {
			if err := os.WriteFile(binary, data, os.FileMode(header.Mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if said, err := exec.CommandContext(t.Context(), binary, "--version").CombinedOutput(); err != nil || string(said) != "throughline "+tag+"\n" {
		t.Errorf("it says %q, %v", said, err)
	}
}

func TestSums(t *testing.T) {
	sha256sum := peertest.Command(t, "sha256sum")
	dir := t.TempDir()
	for name, text := range map[string]string{"a.zip": "a", "b.txt": "b", "SHA256SUMS": "of before"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := sums(dir); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), sha256sum, "--check", "--strict", "SHA256SUMS")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}
