package stage

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/throughline/throughline/local/lambdalocal"
)

const (
	look    = 500 * time.Millisecond // the interval between checks of the functions' files
	maxSeen = 20_000                 // the maximum number of a function's files that are checked
)

// watch restarts functions whose code has changed.
func (s *Stage) watch() {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		s.Look()
	}
}

// Look builds and restarts the functions whose code has changed since the last Look.
func (s *Stage) Look() {
	s.looking.Lock()
	defer s.looking.Unlock()
	for name, c := range s.codes {
		now := fingerprint(c.Watch)
		if now == s.prints[name] {
			continue
		}
		s.prints[name] = now
		if err := c.Build(s.ctx); err != nil {
			s.say(name, fmt.Sprintf("its code has changed and cannot be built: %v", err))
			continue
		}
		s.restart(name)
		s.say(name, "its code has changed: the next invocation starts a new environment")
	}
}

// remember records the initial code of functions.
func (s *Stage) remember() {
	for name, c := range s.codes {
		s.prints[name] = fingerprint(c.Watch)
	}
}

// say writes a line into a function's log.
func (s *Stage) say(function, text string) {
	if s.options.OnLog != nil {
		s.options.OnLog(lambdalocal.LogLine{Time: time.Now(), Function: function, Source: "dev", Text: text})
	}
}

// fingerprint returns a value that changes with the names, sizes and times of the files
// in folders. It ignores files that interpreters and tools write.
func fingerprint(folders []string) uint64 {
	sum := fnv.New64a()
	seen := 0
	for _, folder := range folders {
		_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // a file that was just deleted changes the fingerprint
			}
			if d.IsDir() {
				switch d.Name() {
				case "__pycache__", "node_modules", ".git", ".venv", ".aws-sam":
					if path != folder {
						return fs.SkipDir
					}
				}
				return nil
			}
			info, err := d.Info()
			if seen++; err != nil || seen > maxSeen {
				return nil //nolint:nilerr // the same
			}
			fmt.Fprintf(sum, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
			return nil
		})
	}
	return sum.Sum64()
}

// newID returns a random UUID, version 4.
func newID() string {
	var u [16]byte
	_, _ = rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
