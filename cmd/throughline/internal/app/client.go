package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// find returns the running application: that in dir or, if dir is empty, one in the
// user's cache. This is the one whose template is in the working folder or below, else
// the one that was started last. If there are several, notes gets the choice.
func find(dir string, notes io.Writer) (started, error) {
	paths := []string{filepath.Join(dir, fileName)}
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return started{}, fmt.Errorf("find the user's cache: %w; name the folder with --dir", err)
		}
		if paths, err = filepath.Glob(filepath.Join(cache, "throughline", "dev-*", fileName)); err != nil {
			return started{}, err
		}
		slices.SortFunc(paths, func(a, b string) int { return modified(b).Compare(modified(a)) })
	}
	var running []started
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return started{}, err
		}
		var s started
		if json.Unmarshal(data, &s) == nil && answers(s.Page) {
			running = append(running, s)
		}
	}
	if len(running) == 0 {
		return started{}, terminal.As(terminal.CouldNot, errNoApp)
	}
	at := max(0, slices.IndexFunc(running, started.here))
	if len(running) > 1 {
		fmt.Fprintf(notes, "note: %d applications are running: using %s; name another one with --dir\n", len(running), running[at].Template)
	}
	return running[at], nil
}

// here reports whether the template is in the working folder or below it.
func (s started) here() bool {
	folder, err := os.Getwd()
	if err != nil {
		return false
	}
	relative, err := filepath.Rel(folder, s.Template)
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

// ask posts a request to the running application and decodes the response into out.
func (s started) ask(ctx context.Context, path string, query url.Values, body []byte, out any) error {
	target := s.Page + "/app/" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set(TokenHeader, s.Token)
	resp, err := local.Do(req)
	if err != nil {
		return terminal.As(terminal.CouldNot, fmt.Errorf("%w: is throughline dev still running?", err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var problem struct{ Error string }
		if json.Unmarshal(data, &problem) != nil || problem.Error == "" {
			problem.Error = resp.Status
		}
		return terminal.Misuse("%s", problem.Error)
	}
	return json.Unmarshal(data, out)
}

// local calls this machine without a proxy.
var local = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
