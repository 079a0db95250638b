package app

import (
	"slices"
	"sync"
	"time"
)

// logged is a line of a function's log.
type logged struct {
	Time     time.Time `json:"time,omitzero"`
	Function string    `json:"function,omitempty"`
	Source   string    `json:"source"`
	Text     string    `json:"text"`
}

const (
	maxLines = 500  // the number of lines that are kept
	maxLine  = 4096 // the maximum length of a line in bytes
)

// ring keeps the last lines. The zero value is empty and ready. It is safe for concurrent
// use.
type ring struct {
	mu    sync.Mutex
	lines []logged
	total int
}

func (r *ring) add(line logged) {
	if len(line.Text) > maxLine {
		line.Text = line.Text[:maxLine] + "…"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if r.lines = append(r.lines, line); len(r.lines) > 2*maxLines {
		r.lines = slices.Clone(r.lines[maxLines:])
	}
}

// after returns the kept lines after the first n, and the total number of lines.
func (r *ring) after(n int) ([]logged, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := max(0, min(len(r.lines), n-(r.total-len(r.lines))), len(r.lines)-maxLines)
	return append([]logged{}, r.lines[from:]...), r.total
}
