package spanstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Folder returns the files spans-*.jsonl of a folder as one file, sorted by name. Each
// call lists them again and skips a file that was deleted meanwhile. Each line is one
// OTLP/JSON request without white space, is empty, or was written partially and is
// skipped. throughline dev keeps its spans in this form.
func Folder(dir string, tell Tell) File {
	return File{Path: dir, Tell: tell, lines: true, Open: func() (io.ReadCloser, error) { return openAll(dir) }}
}

// Lines returns one file of such a folder.
func Lines(path string) File { return File{Path: path, lines: true} }

// Parts returns the files of a folder that [Folder] reads, sorted by name.
func Parts(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "spans-*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list the files of spans: %w", err)
	}
	slices.Sort(paths)
	return paths, nil
}

type joined struct {
	io.Reader
	files []*os.File
}

func openAll(dir string) (io.ReadCloser, error) {
	paths, err := Parts(dir)
	if err != nil {
		return nil, err
	}
	var all joined
	var readers []io.Reader
	for _, path := range paths {
		file, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all.files = append(all.files, file)
		readers = append(readers, file)
	}
	all.Reader = io.MultiReader(readers...)
	return &all, nil
}

// Close implements [io.Closer].
func (j *joined) Close() error {
	var errs []error
	for _, file := range j.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}
