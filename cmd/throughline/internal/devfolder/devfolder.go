// Package devfolder has the folders of throughline dev: where they are, and which of them
// belong to an application that runs now.
package devfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// DefaultPort is the default port of the page of throughline dev.
	DefaultPort = "4400"
	// ApplicationFile is the file that describes the running application.
	ApplicationFile = "application.json"
	// EventsFile is the file with the events that an application's buses accepted.
	EventsFile = "events.jsonl"
)

// Of returns the folder of a page's port in the user's cache.
func Of(port string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache: %w; name the folder with --dir, or with --dev=FOLDER", err)
	}
	return filepath.Join(cache, "throughline", "dev-"+port), nil
}

// Application is a running application: the content of [ApplicationFile], and its folder.
type Application struct {
	Page     string `json:"page"`
	Token    string `json:"token"`
	PID      int    `json:"pid"`
	Template string `json:"template"`
	// Endpoint is the URL of its AWS services, as for --endpoint-url.
	Endpoint string `json:"endpoint"`

	Dir string `json:"-"`
}

// Read returns the application that runs in a folder. ok is false if none does.
func Read(dir string) (a Application, ok bool, err error) {
	data, err := os.ReadFile(filepath.Join(dir, ApplicationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	a.Dir = dir
	return a, json.Unmarshal(data, &a) == nil && answers(a.Page), nil
}

// Running returns the applications that run in the folders of the user's cache: first
// those whose template is in the working folder or below it, then those that were started
// last.
func Running() ([]Application, error) {
	pattern, err := Of("*")
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(pattern, ApplicationFile))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(paths, func(a, b string) int { return modified(b).Compare(modified(a)) })
	var here, others []Application
	for _, path := range paths {
		switch a, ok, err := Read(filepath.Dir(path)); {
		case err != nil:
			return nil, err
		case ok && a.Here():
			here = append(here, a)
		case ok:
			others = append(others, a)
		}
	}
	return append(here, others...), nil
}

// WorkingFolder is the value of --dev that names the first of [Running].
const WorkingFolder = "here"

// Select returns the running application that a value of --dev names: [WorkingFolder], the
// port of a page, or a folder. of is the number of applications that it was selected from;
// 0 means that none runs there.
func Select(dev string) (a Application, of int, err error) {
	if dev == WorkingFolder {
		running, err := Running()
		if err != nil || len(running) == 0 {
			return a, 0, err
		}
		return running[0], len(running), nil
	}
	if strings.Trim(dev, "0123456789") == "" {
		if dev, err = Of(dev); err != nil {
			return a, 0, err
		}
	}
	a, ok, err := Read(dev)
	if ok {
		of = 1
	}
	return a, of, err
}

// Here reports whether the template is in the working folder or below it.
func (a Application) Here() bool {
	folder, err := os.Getwd()
	if err != nil {
		return false
	}
	relative, err := filepath.Rel(folder, a.Template)
	return err == nil && filepath.IsLocal(relative)
}

// modified returns when a file was written, or the zero time if it does not exist.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// answers reports whether something listens at a page's address. A process that was
// killed leaves its file.
func answers(page string) bool {
	at, err := url.Parse(page)
	if err != nil {
		return false
	}
	conn, err := net.DialTimeout("tcp", at.Host, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}
