// Command release writes the files of a release: the command for each system, the layers
// with their SBOM, notes from the changelog, and checksums. `make release` runs it in a
// checkout of a tag. The files depend only on the source and on the Go release.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// systems are the systems that the command is built for, as GOOS and GOARCH.
var systems = [][2]string{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}}

func main() {
	tag := flag.String("tag", "", "the version, as in the tag vX.Y.Z")
	out := flag.String("out", "build/release", "the folder to write")
	source := flag.String("source", ".", "the root of the repository")
	flag.Parse()
	if err := run(context.Background(), *source, *out, *tag); err != nil {
		log.Fatalf("release: %v", err)
	}
}

var version = regexp.MustCompile(`^v\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$`)

func run(ctx context.Context, source, out, tag string) error {
	if !version.MatchString(tag) {
		return fmt.Errorf("%q is not a version of the form vX.Y.Z: check out a tag", tag)
	}
	changelog, err := os.ReadFile(filepath.Join(source, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	text, err := notes(string(changelog), tag)
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil { // remove files of another tag
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "NOTES.md"), []byte(text), 0o644); err != nil {
		return err
	}
	for _, system := range systems {
		if err := writeCommand(ctx, source, out, tag, system[0], system[1]); err != nil {
			return fmt.Errorf("%s/%s: %w", system[0], system[1], err)
		}
	}
	layer := exec.CommandContext(ctx, "go", "run", "./layer/pack", "--out", out, "--tag", tag)
	layer.Dir, layer.Stdout, layer.Stderr = source, os.Stdout, os.Stderr
	if err := layer.Run(); err != nil {
		return fmt.Errorf("the layers: %w", err)
	}
	return sums(out)
}

// notes returns the section of a version in a changelog. Its heading is "## X.Y.Z", which
// more text can follow.
func notes(changelog, tag string) (string, error) {
	heading := regexp.MustCompile(`(?m)^## \[?` + regexp.QuoteMeta(strings.TrimPrefix(tag, "v")) + `\]?(?:[,\s].*)?$`)
	at := heading.FindStringIndex(changelog)
	if at == nil {
		return "", fmt.Errorf("CHANGELOG.md has no section %s: rename Unreleased", strings.TrimPrefix(tag, "v"))
	}
	text, _, _ := strings.Cut(changelog[at[1]:], "\n## ")
	if text = strings.TrimSpace(text); text == "" {
		return "", errors.New("the section of CHANGELOG.md is empty for " + tag)
	}
	return "# Throughline " + tag + "\n\n" + text + "\n", nil
}

// writeCommand builds the command for a system and writes it, with the licence, as a
// gzipped tar file.
func writeCommand(ctx context.Context, source, out, tag, goos, goarch string) error {
	work, err := os.MkdirTemp("", "throughline-release")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	// The command's go.mod, with the other modules replaced by those of the tree, because
	// the tag may not be published yet.
	modfile := exec.CommandContext(ctx, filepath.Join(source, ".ci", "modfile"), "cmd/throughline", filepath.Join(work, "command"))
	if output, err := modfile.CombinedOutput(); err != nil {
		return fmt.Errorf("write go.mod: %w\n%s", err, output)
	}
	binary := filepath.Join(work, "throughline")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-modfile="+filepath.Join(work, "command.mod"),
		"-ldflags=-s -w -buildid= -X github.com/throughline/throughline/internal/version.tagged="+tag, "-o", binary, ".")
	build.Dir = filepath.Join(source, "cmd", "throughline")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath", "GOEXPERIMENT=", "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOAMD64=v1", "GOARM64=v8.0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the command: %w\n%s", err, output)
	}
	files := []entry{{name: "LICENSE", mode: 0o644, from: filepath.Join(source, "LICENSE")}, {name: "throughline", mode: 0o755, from: binary}}
	data, err := archive(files)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, fmt.Sprintf("throughline_%s_%s_%s.tar.gz", strings.TrimPrefix(tag, "v"), goos, goarch)), data, 0o644)
}

// entry is a file of an archive.
type entry struct {
	name string
	mode int64
	from string
}

// archive returns a gzipped tar file, whose bytes depend only on the contents of the
// files.
func archive(files []entry) ([]byte, error) {
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(zip)
	for _, f := range files {
		data, err := os.ReadFile(f.from)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// sums writes SHA256SUMS over every other file of a folder. sha256sum --check reads it.
func sums(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "SHA256SUMS" || !e.Type().IsRegular() })
	var b bytes.Buffer
	for _, e := range entries { // ReadDir sorts by name
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(data), e.Name())
	}
	return os.WriteFile(filepath.Join(folder, "SHA256SUMS"), b.Bytes(), 0o644)
}
