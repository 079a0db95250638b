// Package atomicfile writes files atomically.
package atomicfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write creates or replaces the file at path with the output of write. A reader sees
// the old content or the new, never a part. After an error the old file is unchanged.
// The file has mode 0644.
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

// replace writes f, closes it, and renames it to path.
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
