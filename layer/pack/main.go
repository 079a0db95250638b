// Command pack makes the Lambda layer: a zip for both architectures and one for
// each, with the extension, the wrapper and the shims, its SHA-256, and an SBOM.
// The bytes of a zip depend only on the source and the Go release: entries are
// sorted, times are fixed, and paths are trimmed.
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
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// zips are the layers, each with its architectures and its maximum size in bytes.
// The zip of one architecture has the binary itself as its entry, for images
// without a shell.
var zips = []struct {
	name   string
	archs  []string
	budget int
}{
	{"throughline", []string{"amd64", "arm64"}, 10 << 20},
	{"throughline-amd64", []string{"amd64"}, 5 << 20},
	{"throughline-arm64", []string{"arm64"}, 5 << 20},
}

// epoch is the time of every entry: the earliest that the zip format can represent.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func main() {
	out := flag.String("out", "build/layer", "folder for the zips")
	source := flag.String("source", ".", "root of the repository")
	tag := flag.String("tag", "", "the version that the extension and the SBOM tell; empty for none")
	flag.Parse()
	if err := run(context.Background(), *source, *out, *tag, os.Stdout); err != nil {
		log.Fatalf("pack: %v", err)
	}
}

func run(ctx context.Context, source, out, tag string, stdout io.Writer) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	binaries := map[string][]byte{}
	for _, arch := range []string{"amd64", "arm64"} {
		fmt.Fprintf(stdout, "compiling the extension for %s\n", arch) // the first compilation takes minutes
		binary, err := build(ctx, source, arch, tag)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		binaries[arch] = binary
	}
	for _, z := range zips {
		data, bom, err := pack(source, binaries, z.archs, tag)
		if err != nil {
			return fmt.Errorf("%s: %w", z.name, err)
		}
		name, sum := z.name+".zip", sha256.Sum256(data)
		for file, content := range map[string][]byte{
			name:                 data,
			name + ".sha256":     fmt.Appendf(nil, "%s  %s\n", hex.EncodeToString(sum[:]), name),
			z.name + ".cdx.json": bom,
		} {
			if err := os.WriteFile(filepath.Join(out, file), content, 0o644); err != nil {
				return err
			}
		}
		fmt.Fprintf(stdout, "%s  %d bytes (%.0f %% of %d MB)  sha256 %x\n", filepath.Join(out, name), len(data), 100*float64(len(data))/float64(z.budget), z.budget>>20, sum)
		if len(data) > z.budget {
			return fmt.Errorf("%s is over its budget of %d bytes", name, z.budget)
		}
	}
	return nil
}

// pack returns the zip and the SBOM of a layer for some architectures. The
// binaries of all architectures link the same modules.
func pack(source string, binaries map[string][]byte, archs []string, tag string) (data, bom []byte, err error) {
	bom, err = sbom(binaries[archs[0]], tag)
	if err != nil {
		return nil, nil, err
	}
	files := map[string]file{}
	if len(archs) == 1 {
		files["extensions/throughline-extension"] = file{binaries[archs[0]], 0o755}
	} else {
		entry, err := os.ReadFile(filepath.Join(source, "layer", "entry", "throughline-extension"))
		if err != nil {
			return nil, nil, err
		}
		files["extensions/throughline-extension"] = file{entry, 0o755}
		for _, arch := range archs {
			files["throughline/"+arch+"/throughline-extension"] = file{binaries[arch], 0o755}
		}
	}
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

func build(ctx context.Context, source, arch, tag string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "throughline-pack")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	target := filepath.Join(dir, "throughline-extension")
	// No VCS stamp and no build ID: the same source gives the same bytes in any checkout.
	// No HTTP/2: no server that the extension calls requires it, and it would take half a megabyte of the function's memory.
	// Functions are aligned to 16 bytes, as on arm64: Go's 32 for amd64 would take 70 KB more memory.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags=nethttpomithttp2", "-ldflags=-s -w -funcalign=16 -buildid= -X github.com/throughline/throughline/internal/version.tagged="+tag, "-o", target, "./cmd/throughline-extension")
	cmd.Dir = source
	// No workspace: the versions are those of the root module, not the highest of any module in the tree.
	// GOFLAGS overrides the flags of the user's environment: an empty GOFLAGS would leave those of `go env -w`.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath", "GOEXPERIMENT=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the extension: %w\n%s", err, output)
	}
	return os.ReadFile(target)
}

// addTree adds the files below dir. A script, which begins with "#!", is executable
// regardless of its mode in the checkout.
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
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(content, []byte("#!")) {
			mode = 0o755
		}
		files[path.Join(prefix, filepath.ToSlash(rel))] = file{content, mode}
		return nil
	})
}

func archive(files map[string]file) ([]byte, error) {
	names := slices.Sorted(maps.Keys(files))
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
