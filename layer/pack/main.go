// Command pack makes the Lambda layer: for each architecture a zip with the
// extension, the wrapper and the shims, its SHA-256, and an SBOM. The bytes of
// a zip depend on the source and the Go release alone: entries are sorted, times
// fixed, paths trimmed.
//
//	go run ./layer/pack --out build/layer
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// budget is what the design allows a zip to weigh.
const budget = 5 << 20

// epoch is the time of every entry: the earliest that the zip format can say.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func main() {
	out := flag.String("out", "build/layer", "folder for the zips")
	source := flag.String("source", ".", "root of the repository")
	flag.Parse()
	if err := run(context.Background(), *source, *out, os.Stdout); err != nil {
		log.Fatalf("pack: %v", err)
	}
}

func run(ctx context.Context, source, out string, stdout io.Writer) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, arch := range []string{"amd64", "arm64"} {
		name := "throughline-" + arch + ".zip"
		data, bom, err := pack(ctx, source, arch)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		sum := sha256.Sum256(data)
		for file, content := range map[string][]byte{
			name:                                data,
			name + ".sha256":                    fmt.Appendf(nil, "%s  %s\n", hex.EncodeToString(sum[:]), name),
			"throughline-" + arch + ".cdx.json": bom,
		} {
			if err := os.WriteFile(filepath.Join(out, file), content, 0o644); err != nil {
				return err
			}
		}
		fmt.Fprintf(stdout, "%s  %d bytes (%.0f %% of 5 MB)  sha256 %x\n", filepath.Join(out, name), len(data), 100*float64(len(data))/budget, sum)
		if len(data) > budget {
			return fmt.Errorf("%s is over its budget of %d bytes", name, budget)
		}
	}
	return nil
}

// pack is the zip and the SBOM of one architecture.
func pack(ctx context.Context, source, arch string) (data, bom []byte, err error) {
	binary, err := build(ctx, source, arch)
	if err != nil {
		return nil, nil, err
	}
	bom, err = sbom(binary)
	if err != nil {
		return nil, nil, err
	}
	files := map[string]file{"extensions/throughline-extension": {binary, 0o755}}
	if err := addTree(files, filepath.Join(source, "layer", "throughline"), "throughline"); err != nil {
		return nil, nil, err
	}
	data, err = archive(files)
	return data, bom, err
}

type file struct {
	content []byte
	mode    fs.FileMode
}

func build(ctx context.Context, source, arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "throughline-pack")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	target := filepath.Join(dir, "throughline-extension")
	// No VCS stamp and no build ID: the same source gives the same bytes in any checkout.
	// No HTTP/2: nothing that the extension calls asks for it, and it would take half a megabyte of the function's memory.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags=nethttpomithttp2", "-ldflags=-s -w -buildid=", "-o", target, "./cmd/throughline-extension")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the extension: %w\n%s", err, output)
	}
	return os.ReadFile(target)
}

// addTree adds the files below dir; what a checkout's umask made of their
// modes is reduced to executable or not.
func addTree(files map[string]file, dir, prefix string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if strings.Contains(rel, "__pycache__") || strings.Contains(rel, "node_modules") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		files[path.Join(prefix, filepath.ToSlash(rel))] = file{content, mode}
		return nil
	})
}

func archive(files map[string]file) ([]byte, error) {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var buffer bytes.Buffer
	w := zip.NewWriter(&buffer)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	for _, name := range names {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
		header.SetMode(files[name].mode)
		entry, err := w.CreateHeader(header)
		if err != nil {
			return nil, fmt.Errorf("add %s: %w", name, err)
		}
		if _, err := entry.Write(files[name].content); err != nil {
			return nil, fmt.Errorf("add %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("close zip: %w", err)
	}
	return buffer.Bytes(), nil
}
