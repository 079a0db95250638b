package code

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxUnpacked is Lambda's limit for the unpacked size of a function and its layers, in
// bytes.
const maxUnpacked = 250 << 20

// unzip unpacks an archive into a folder and replaces existing files. It refuses names
// that lead out of the folder.
func unzip(archive, to string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", archive, err)
	}
	defer func() { _ = r.Close() }()
	left := int64(maxUnpacked)
	for _, file := range r.File {
		if !filepath.IsLocal(file.Name) {
			return fmt.Errorf("unpack %s: %q leads out of the archive", archive, file.Name)
		}
		target := filepath.Join(to, filepath.FromSlash(file.Name))
		if file.FileInfo().IsDir() {
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			continue
		}
		n, err := extract(file, target, left)
		if err != nil {
			return fmt.Errorf("unpack %s: %s: %w", archive, file.Name, err)
		}
		left -= n
	}
	return nil
}

func extract(file *zip.File, target string, left int64) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return 0, err
	}
	_ = os.Remove(target) // so that no file is written through a link
	from, err := file.Open()
	if err != nil {
		return 0, err
	}
	defer from.Close()
	into, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, file.Mode().Perm()|0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(into, io.LimitReader(from, left+1))
	if n > left {
		err = errors.New("the archive is larger than Lambda allows")
	}
	return n, errors.Join(err, into.Close())
}
