package redrive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/internal/pause"
)

// Queue is the dead-letter queue.
type Queue interface {
	// Receive receives up to most messages, which become invisible to others. It returns
	// none if there are none at present.
	Receive(ctx context.Context, most int) ([]deadletter.Letter, error)
	// Delete deletes messages. The error names those that were not deleted.
	Delete(ctx context.Context, letters []deadletter.Letter) (deleted []deadletter.Letter, err error)
	// Release makes messages visible to others again.
	Release(ctx context.Context, letters []deadletter.Letter) error
	// Hidden returns the approximate number of messages in flight, including those of
	// this run.
	Hidden(ctx context.Context) (int, error)
}

// Sender sends copies.
type Sender interface {
	// Send sends items to one destination and returns as many results, in order.
	Send(ctx context.Context, items []Item) []Result
}

// Result is the result of sending a copy: its ID, or why it was not accepted. Unsure
// reports that it may have been accepted, because there was no response.
type Result struct {
	ID     string
	Err    error
	Unsure bool
}

// Options configure a run.
type Options struct {
	Select func(*deadletter.Letter) bool // nil means every message
	To     Destination                   // the zero value means where each message failed
	Rate   float64                       // messages a second; 0 means no limit
	Most   int                           // the maximum number of messages to send; 0 means all
	Hide   time.Duration                 // the visibility timeout of received messages; required
	Keep   interface {                   // gets a copy of each message before it is sent; nil means none
		io.Writer
		Sync() error
	}
	Progress func(Report) // called after each step; nil means never
}

// Failure is a message that was not sent.
type Failure struct {
	Message string `json:"message"`
	Event   string `json:"event,omitempty"`
	Why     string `json:"why"`
}

// Report is the result of a run.
type Report struct {
	Received int            `json:"received"`
	Sent     int            `json:"sent"`
	Deleted  int            `json:"deleted"`
	Earlier  int            `json:"sent_by_an_earlier_run"`         // only deleted in this run
	Again    int            `json:"maybe_sent_by_an_earlier_run"`   // sent again in this run
	Left     int            `json:"left"`                           // not selected
	Failed   []Failure      `json:"failed,omitempty"`               // they stay in the queue
	To       map[string]int `json:"to,omitempty"`                   // the number sent, by destination
	Held     int            `json:"held_by_others,omitempty"`       // in flight to other consumers when the run ended
	Ended    string         `json:"ended_before_the_end,omitempty"` // why
}

// run is one redrive.
type run struct {
	Options
	queue   Queue
	send    Sender
	journal *Journal
	report  Report
	held    map[string]deadletter.Letter // received, and made visible again at the end
}

// sinceNothing is the number of receives without a new message that end a run. A single
// receive can miss messages.
const sinceNothing = 3

// Run redrives messages until no selected one is left, or until ctx ends; it finishes the
// current batch first. It returns an error if the queue or the journal cannot be used.
func Run(ctx context.Context, queue Queue, send Sender, journal *Journal, o Options) (Report, error) {
	r := &run{Options: o, queue: queue, send: send, journal: journal, held: map[string]deadletter.Letter{}}
	r.report.To = map[string]int{}
	err := r.drain(ctx)
	calm := context.WithoutCancel(ctx)
	var letters []deadletter.Letter
	for _, l := range r.held {
		letters = append(letters, l)
	}
	if len(letters) > 0 {
		err = errors.Join(err, queue.Release(calm, letters))
	}
	return r.report, err
}

func (r *run) drain(ctx context.Context) error {
	idle, idleSince := 0, time.Time{}
	failures := 0
	for ctx.Err() == nil && (r.Most == 0 || r.report.Sent < r.Most) {
		letters, err := r.queue.Receive(ctx, r.batch())
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return err
		}
		fresh := r.fresh(letters)
		if len(fresh) == 0 {
			if idle == 0 {
				idleSince = time.Now()
			}
			idle++
			if done, err := r.nothingLeft(ctx, idle, idleSince); err != nil || done {
				return err
			}
			continue
		}
		idle = 0
		began := time.Now()
		sent, failed, err := r.handle(context.WithoutCancel(ctx), fresh)
		if err != nil {
			return err
		}
		if failures += failed; sent > 0 {
			failures = 0
		}
		const enough = 30
		if failures >= enough {
			r.report.Ended = fmt.Sprintf("%d messages in a row were not accepted", failures)
			return nil
		}
		if r.Rate > 0 {
			_ = pause.For(ctx, time.Duration(float64(sent)/r.Rate*float64(time.Second))-time.Since(began)) // the loop checks ctx
		}
	}
	if ctx.Err() != nil {
		r.report.Ended = "the run was interrupted"
	}
	return nil
}

// batch returns how many messages to receive: no more than the rate allows to send before
// they become visible again.
func (r *run) batch() int {
	const largest = 10 // the limit of SQS
	most := largest
	if r.Rate > 0 {
		most = min(most, max(1, int(r.Rate*r.Hide.Seconds()/2)))
	}
	if r.Most > 0 {
		most = min(most, r.Most-r.report.Sent)
	}
	return most
}

// nothingLeft reports whether the end is reached. Messages in flight to others can
// return: a run that was killed has hidden them for as long as this run would.
func (r *run) nothingLeft(ctx context.Context, idle int, since time.Time) (bool, error) {
	if idle < sinceNothing {
		return false, nil
	}
	hidden, err := r.queue.Hidden(ctx)
	if err != nil {
		return true, err
	}
	r.report.Held = max(0, hidden-len(r.held))
	if r.report.Held == 0 || time.Since(since) > r.Hide+time.Second {
		return true, nil
	}
	return false, nil
}

// fresh returns the letters that this run has not seen yet.
func (r *run) fresh(letters []deadletter.Letter) []deadletter.Letter {
	var fresh []deadletter.Letter
	for _, l := range letters {
		if _, seen := r.held[l.ID]; seen {
			r.held[l.ID] = l // with its new receipt handle
			continue
		}
		r.report.Received++
		fresh = append(fresh, l)
	}
	return fresh
}

// handle sends and deletes a batch.
func (r *run) handle(ctx context.Context, letters []deadletter.Letter) (sent, failed int, err error) {
	var done []deadletter.Letter
	groups := map[Destination][]Item{}
	var order []Destination
	for _, l := range letters {
		if r.journal.Sent(l.ID) {
			r.report.Earlier++
			done = append(done, l)
			continue
		}
		if r.Select != nil && !r.Select(&l) {
			r.report.Left++
			r.held[l.ID] = l
			continue
		}
		item, err := Plan(l, r.To)
		if err != nil { // nothing was sent that could have been refused
			r.fail(l, err)
			continue
		}
		if groups[item.To] == nil {
			order = append(order, item.To)
		}
		groups[item.To] = append(groups[item.To], item)
	}
	for _, to := range order {
		accepted, refused, err := r.batchTo(ctx, groups[to])
		done, sent, failed = append(done, accepted...), sent+len(accepted), failed+refused
		if err != nil {
			return sent, failed, err
		}
	}
	if len(done) == 0 {
		return sent, failed, nil
	}
	deleted, err := r.queue.Delete(ctx, done)
	r.report.Deleted += len(deleted)
	var ids []string
	for _, l := range deleted {
		ids = append(ids, l.ID)
	}
	if len(ids) > 0 {
		err = errors.Join(err, r.journal.write(Line{Do: "deleted", Messages: ids}))
	}
	if r.Progress != nil {
		r.Progress(r.report)
	}
	return sent, failed, err
}

// batchTo sends items to one destination, and writes the journal before and after.
func (r *run) batchTo(ctx context.Context, items []Item) (accepted []deadletter.Letter, refused int, err error) {
	var ids []string
	for _, item := range items {
		ids = append(ids, item.Letter.ID)
		if r.journal.doubt[item.Letter.ID] {
			r.report.Again++
		}
	}
	if err := r.keep(items); err != nil {
		return nil, 0, err
	}
	if err := r.journal.write(Line{Do: "sending", Messages: ids, To: items[0].To.String()}); err != nil {
		return nil, 0, err
	}
	sending, end := context.WithTimeout(ctx, r.Hide)
	results := r.send.Send(sending, items)
	end()
	var lines []Line
	for i, item := range items {
		l := Line{Message: item.Letter.ID, Event: item.Letter.EventID, To: item.To.String()}
		if results[i].Err != nil {
			l.Do, l.Error = "failed", results[i].Err.Error()
			if results[i].Unsure {
				l.Do = "unsure"
			}
			r.fail(item.Letter, results[i].Err)
			refused++
		} else {
			l.Do, l.Copy = "sent", results[i].ID
			accepted = append(accepted, item.Letter)
			r.report.Sent++
			r.report.To[l.To]++
		}
		lines = append(lines, l)
	}
	return accepted, refused, r.journal.write(lines...)
}

func (r *run) fail(l deadletter.Letter, err error) {
	r.held[l.ID] = l
	r.report.Failed = append(r.report.Failed, Failure{l.ID, l.EventID, err.Error()})
}

// keep copies messages to a file.
func (r *run) keep(items []Item) error {
	if r.Keep == nil {
		return nil
	}
	var data []byte
	for _, item := range items {
		line, err := KeepLine(item.Letter.Message)
		if err != nil {
			return err
		}
		data = append(data, line...)
	}
	if err := flush(r.Keep, data); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	return nil
}

// KeepLine returns a message as a line of the file of --keep.
func KeepLine(m deadletter.Message) ([]byte, error) {
	m.Receipt = ""
	line, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("keep message %s: %w", m.ID, err)
	}
	return append(line, '\n'), nil
}
