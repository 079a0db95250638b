// Package atomicfile writes files atomically.
package atomicfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write makes or replaces the file at path with what write writes. A reader sees
// the old content or the new, never a part, and an error leaves the old file. The
// file is readable by everyone, as other results of the commands are.
func Write(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".throughline-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := replace(f, path, write); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return nil
}

// replace writes f, closes it, and puts it in the place of path.
func replace(f *os.File, path string, write func(io.Writer) error) error {
	const readable = 0o644
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	err := f.Chmod(readable)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
