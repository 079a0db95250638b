package redrive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Line is a line of a journal.
type Line struct {
	At    time.Time `json:"at"`
	Queue string    `json:"queue"` // the dead-letter queue's ARN
	// Do is the step: "sending" before a batch is sent, "sent" after a copy was accepted,
	// "failed" if it was refused, "unsure" without a response, "deleted" after the
	// message was deleted.
	Do       string   `json:"do"`
	Messages []string `json:"messages,omitempty"` // for sending and deleted
	Message  string   `json:"message,omitempty"`  // for sent and failed
	Event    string   `json:"event,omitempty"`
	To       string   `json:"to,omitempty"`
	Copy     string   `json:"copy,omitempty"` // the ID of the copy
	Error    string   `json:"error,omitempty"`
}

// Journal is the file that records what was done with the messages of a queue. Use
// [Open], and close it. It is not safe for concurrent use.
type Journal struct {
	file  *os.File
	queue string
	now   func() time.Time

	sent    map[string]bool // accepted, and not yet recorded as deleted
	deleted map[string]bool
	doubt   map[string]bool // in "sending" when the last run ended
}

// begins is the beginning of each line.
const begins = `{"at":"`

// Open reads the journal of a queue, or creates one. It keeps lines of other queues. It
// removes a partial last line of a process that was killed, because nothing was done on
// the strength of it.
func Open(path, queue string, now func() time.Time) (*Journal, error) {
	j := &Journal{queue: queue, now: now, sent: map[string]bool{}, deleted: map[string]bool{}, doubt: map[string]bool{}}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	whole := int64(bytes.LastIndexByte(data, '\n') + 1)
	for i, text := range bytes.Split(data[:whole], []byte("\n")) {
		if len(text) == 0 {
			continue
		}
		var l Line
		if err := json.Unmarshal(text, &l); err != nil || l.Do == "" {
			return nil, fmt.Errorf("line %d of %s is not a journal's line: name another file with --journal", i+1, path)
		}
		j.read(l)
	}
	if torn := data[whole:]; !bytes.HasPrefix(torn, []byte(begins)[:min(len(begins), len(torn))]) {
		return nil, fmt.Errorf("%s is not a journal: name another file with --journal", path)
	}
	if j.file, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	if err := j.file.Truncate(whole); err != nil {
		return nil, errors.Join(fmt.Errorf("write the journal: %w", err), j.file.Close())
	}
	return j, nil
}

func (j *Journal) read(l Line) {
	if l.Queue != j.queue {
		return
	}
	switch l.Do {
	case "sending":
		for _, id := range l.Messages {
			j.doubt[id] = true
		}
	case "sent":
		delete(j.doubt, l.Message)
		j.sent[l.Message] = true
	case "failed":
		delete(j.doubt, l.Message)
	case "deleted":
		for _, id := range l.Messages {
			delete(j.sent, id)
			j.deleted[id] = true
		}
	}
}

// write appends lines, and returns when they are synced to disk.
func (j *Journal) write(lines ...Line) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, l := range lines {
		l.At, l.Queue = j.now().UTC(), j.queue
		if err := encoder.Encode(l); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
		j.read(l)
	}
	if b.Len() == 0 {
		return nil
	}
	if err := flush(j.file, b.Bytes()); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// flush writes to a file and syncs it to disk.
func flush(file interface {
	io.Writer
	Sync() error
}, data []byte) error {
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}

// Sent reports whether a copy of the message was accepted before.
func (j *Journal) Sent(message string) bool { return j.sent[message] || j.deleted[message] }

// Doubt returns the number of messages that were being sent when the last run ended.
// Their copies may have been accepted. If they are still in the queue, they are sent
// again.
func (j *Journal) Doubt() int { return len(j.doubt) }

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }
