package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/internal/atomicfile"
	"github.com/throughline/throughline/local/buslocal"
)

// maxKept is the maximum size of the file of events in bytes. Above it, the older half is
// deleted.
const maxKept = 25_000_000

// recorder keeps the events that the buses accepted in a file that commands read: `dev
// replay`, and `why` with --dev. It is safe for concurrent use.
type recorder struct {
	path string
	max  int64
	tell func(text string) // is called once, if the file cannot be written

	mu   sync.Mutex
	told bool
}

func newRecorder(dir string, tell func(string)) *recorder {
	return &recorder{path: filepath.Join(dir, devfolder.EventsFile), max: maxKept, tell: tell}
}

// add keeps an event. It leaves out replayed events, which a file has already, and events
// of PutRawEvents, which have no envelope.
func (r *recorder) add(e buslocal.Event) {
	if e.Replay != "" || e.DetailType == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.write(e); err != nil && !r.told {
		r.told = true
		r.tell(fmt.Sprintf("keep the event %s: %v; throughline why and dev replay cannot read the events from here on", e.ID, err))
	}
}

// write appends the envelope with the name of the bus, which the envelope lacks. It opens
// the file each time, so that the file can be deleted while dev runs.
func (r *recorder) write(e buslocal.Event) error {
	bus, err := json.Marshal(e.Bus)
	if err != nil {
		return err
	}
	var envelope bytes.Buffer
	if err := json.Compact(&envelope, e.Envelope); err != nil { // a detail can have several lines
		return err
	}
	file, err := os.OpenFile(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// The first line end separates the event from a partial line, after a full disk.
	_, err = fmt.Fprintf(file, "\n{\"EventBusName\":%s,%s\n", bus, envelope.Bytes()[1:])
	info, wrong := file.Stat()
	if err = errors.Join(err, wrong, file.Close()); err != nil || info.Size() <= r.max {
		return err
	}
	return r.halve()
}

// halve deletes the older half of the file.
func (r *recorder) halve() error {
	data, err := os.ReadFile(r.path)
	if err != nil {
		return err
	}
	_, newer, _ := bytes.Cut(data[len(data)/2:], []byte("\n"))
	return atomicfile.Write(r.path, func(out io.Writer) error {
		_, err := out.Write(newer)
		return err
	})
}
