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
	look    = 500 * time.Millisecond // between two looks at the functions' files
	maxSeen = 20_000                 // files of a function that are looked at
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

// Look takes the code of functions as it is now: those whose code has changed since it was
// last looked at are built and restarted.
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
		s.say(name, "its code has changed: the next invocation starts it anew")
	}
}

// remember keeps what the code of functions is at first.
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

// fingerprint changes with the names, sizes and times of the files of folders. What
// interpreters and tools write there themselves is left out.
func fingerprint(folders []string) uint64 {
	sum := fnv.New64a()
	seen := 0
	for _, folder := range folders {
		_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // a file that has just gone changes the print by that
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
				return nil //nolint:nilerr // as above
			}
			fmt.Fprintf(sum, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
			return nil
		})
	}
	return sum.Sum64()
}

// newID is a random UUID, version 4.
func newID() string {
	var u [16]byte
	_, _ = rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
