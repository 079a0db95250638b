package eventsv2local

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/throughline/throughline/local/buslocal"
)

const (
	typeEvent = "application/eventbridge+json"
	typeJSON  = "application/json"

	maxEntries  = 100
	maxCarried  = 100  // resources, and metadata keys
	maxResource = 2048 // characters
	maxName     = 128
	maxSource   = 256

	// rememberedFor is the window of deduplication.
	rememberedFor = 300 * time.Second
	timeBytes     = 14 // the size of a Time, as on a classic bus

	published    = "PUBLISHED"
	deduplicated = "DEDUPLICATED"
)

var contentTypes = []string{typeJSON, "application/avro", "application/protobuf", "application/octet-stream"}

// Entry is an entry of PutEvents, or of PutRawEvents if it has Data. The zero value
// of a field means that it is absent.
type Entry struct {
	Source, DetailType string
	Detail             string
	Resources          []string
	Time               time.Time

	Data        []byte
	Metadata    map[string]string
	ContentType string

	Group           string
	DeduplicationID string
}

// size returns the size of an entry. AWS documents it for PutRawEvents: the data, and
// the keys and values of the metadata. For PutEvents it is assumed to be as on a
// classic bus. It is deliberately a second implementation, to be compared with the
// product's.
func (e *Entry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail) + len(e.Data)
	if !e.Time.IsZero() {
		n += timeBytes
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	for key, value := range e.Metadata {
		n += len(key) + len(value)
	}
	return n
}

// Result is the result of an entry.
type Result struct{ EventID, Sequence, SuccessCode, ErrorCode, ErrorMessage string }

// Put puts entries on a bus as one request. byContent requests deduplication by
// content. The error is that of the whole request.
func (s *Service) Put(bus string, entries []Entry, raw, byContent bool) ([]Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.Calls++
	b, err := s.busLocked(bus)
	if err == nil {
		err = b.active()
	}
	if err == nil {
		err = s.check(entries, raw)
	}
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(entries))
	for i := range entries {
		results[i] = b.takeLocked(&entries[i], raw, byContent)
	}
	b.countLocked("PublishEventsEntryCount", len(entries))
	s.wakeLocked()
	return results, nil
}

// check returns the error for which a whole request is rejected.
func (s *Service) check(entries []Entry, raw bool) error {
	if n := len(entries); n < 1 || n > maxEntries {
		return invalid("a request has 1 to %d entries, not %d", maxEntries, n)
	}
	size := 0
	for i := range entries {
		size += entries[i].size()
		if err := entries[i].shape(raw); err != nil {
			return invalid("entry %d: %v", i+1, err)
		}
	}
	if size > s.options.Limit {
		return invalid("the entries have %d bytes, and %d are the limit", size, s.options.Limit)
	}
	return nil
}

// shape validates an entry against the API's model.
func (e *Entry) shape(raw bool) error {
	within := func(what, text string, least, most int) error {
		if n := utf8.RuneCountInString(text); n < least || n > most {
			return fmt.Errorf("%s has %d to %d characters, not %d", what, least, most, n)
		}
		return nil
	}
	checks := []error{within("EventGroupId", e.Group, 0, maxName), within("DeduplicationId", e.DeduplicationID, 0, maxName)}
	if raw {
		checks = append(checks, within("ContentType", e.ContentType, 1, maxSource))
		if len(e.Metadata) > maxCarried {
			checks = append(checks, fmt.Errorf("metadata has at most %d keys, not %d", maxCarried, len(e.Metadata)))
		}
		for key, value := range e.Metadata {
			checks = append(checks, within("a key of metadata", key, 1, maxName))
			if strings.Contains(key, "/") || value == "" {
				checks = append(checks, fmt.Errorf("metadata %q: a key has no slash, and a value at least one character", key))
			}
		}
	} else {
		checks = append(checks, within("Source", e.Source, 1, maxSource), within("DetailType", e.DetailType, 1, maxName))
		if len(e.Resources) > maxCarried {
			checks = append(checks, fmt.Errorf("an entry has at most %d resources, not %d", maxCarried, len(e.Resources)))
		}
		for _, r := range e.Resources {
			checks = append(checks, within("a resource", r, 0, maxResource))
		}
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

// refusal returns why a single entry is rejected, "" if it is not.
func (e *Entry) refusal(raw bool) string {
	switch {
	case raw && !slices.Contains(contentTypes, e.ContentType):
		return "the content type is not one of " + strings.Join(contentTypes, ", ")
	case raw && e.ContentType == typeJSON && !json.Valid(e.Data):
		return "the data is no JSON"
	case !raw && strings.HasPrefix(e.Source, "aws."):
		return "a source that begins with aws. is AWS's"
	case !raw && e.Detail != "" && !json.Valid([]byte(e.Detail)):
		return "the detail is no JSON"
	}
	return ""
}

// takeLocked accepts one entry, or rejects it with an error code.
func (b *Bus) takeLocked(e *Entry, raw, byContent bool) Result {
	s := b.service
	code, why := "", e.refusal(raw)
	if why != "" {
		code = "VALIDATION_ERROR"
	}
	if s.fail.count > 0 {
		s.fail.count--
		code, why = s.fail.code, "failed on purpose"
	}
	if code != "" {
		s.ledger.Refused++
		b.countLocked("PublishEventsFailedEntriesCount", 1)
		return Result{ErrorCode: code, ErrorMessage: why}
	}
	now := s.now()
	key := e.repeats(raw, byContent, s.options.HashAll)
	if before, ok := b.seen[key]; ok && key != "" && now.Sub(before.at) < rememberedFor {
		return Result{EventID: before.event.ID, Sequence: before.event.Sequence, SuccessCode: deduplicated}
	}
	event := s.eventLocked(b, e, raw, now)
	if key != "" {
		b.seen[key] = taken{event, now}
	}
	b.addLocked(event)
	s.publishedLocked(event)
	return Result{EventID: event.ID, Sequence: event.Sequence, SuccessCode: published}
}

// repeats returns the key by which entries are deduplicated: the deduplication ID or the
// content, within the group. It is empty if the entry is not deduplicated.
func (e *Entry) repeats(raw, byContent, all bool) string {
	switch {
	case e.DeduplicationID != "":
		return "id " + e.Group + "\x00" + e.DeduplicationID
	case !byContent:
		return ""
	}
	h := sha256.New()
	write := func(texts ...string) {
		for _, text := range texts {
			fmt.Fprintf(h, "%d %s", len(text), text)
		}
	}
	if raw {
		write(e.ContentType, string(e.Data))
	} else {
		write(e.Source, e.DetailType, e.Detail)
	}
	if all {
		write(e.Resources...)
		write(e.Time.String())
		for _, key := range slices.Sorted(maps.Keys(e.Metadata)) {
			write(key, e.Metadata[key])
		}
	}
	return "content " + e.Group + "\x00" + hex.EncodeToString(h.Sum(nil))
}

// eventLocked returns the event of an entry.
func (s *Service) eventLocked(b *Bus, e *Entry, raw bool, now time.Time) *Event {
	event := &Event{
		Event: buslocal.Event{
			ID: uuid(), Bus: b.Name, Source: e.Source, DetailType: e.DetailType, Detail: e.Detail, Resources: slices.Concat([]string{}, e.Resources),
			Time: now.Truncate(time.Second), Size: e.size(), Taken: now,
		},
		ContentType: typeEvent, Metadata: maps.Clone(e.Metadata), Sequence: s.nextLocked(), Group: e.Group, DeduplicationID: e.DeduplicationID,
		trail: []string{b.ARN},
	}
	if raw {
		event.Detail, event.ContentType = string(e.Data), e.ContentType
		event.Data = dataOf(e.ContentType, e.Data)
		event.Envelope = event.Data
		for key, value := range e.Metadata { // the form in which the ledger has a stamp
			event.Resources = append(event.Resources, key+":"+value)
		}
		return event
	}
	if !e.Time.IsZero() {
		event.Time = e.Time.UTC()
	}
	if event.EnvelopeID = uuid(); s.options.SameID {
		event.EnvelopeID = event.ID
	}
	event.Data = s.envelope(event)
	event.Envelope = event.Data
	return event
}

// nextLocked returns the next sequence number: 20 digits.
func (s *Service) nextLocked() string {
	const first, step = 10_000_000_000_000_000_000, 256
	s.sequence++
	return fmt.Sprint(first + s.sequence*step)
}

// uuid returns a random UUID, version 4.
func uuid() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // it never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
