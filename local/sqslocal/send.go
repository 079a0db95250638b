package sqslocal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"

	"github.com/throughline/throughline/local/internal/recent"
	"github.com/throughline/throughline/local/internal/wire"
)

// Entry is a message to send. ID is empty unless it is part of a batch.
type Entry struct {
	ID                      string `json:"Id"`
	MessageBody             string
	DelaySeconds            *int
	MessageAttributes       map[string]Attribute
	MessageSystemAttributes map[string]Attribute
	MessageDeduplicationID  string `json:"MessageDeduplicationId"`
	MessageGroupID          string `json:"MessageGroupId"`
}

// Receipt is what the sender of a message receives.
type Receipt struct {
	ID                           string `json:"Id,omitempty" xml:"Id,omitempty"`
	MessageID                    string `json:"MessageId" xml:"MessageId"`
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty" xml:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty" xml:",omitempty"`
	SequenceNumber               string `json:",omitempty" xml:",omitempty"`
}

const deduplication = 5 * time.Minute

var token = regexp.MustCompile("^[A-Za-z0-9!\"#$%&'()*+,./:;<=>?@\\[\\\\\\]^_`{|}~-]{1,128}$")

// Send puts a message into the queue. header is the call's X-Amzn-Trace-Id: it
// becomes AWSTraceHeader if the entry has none; a malformed one is ignored. The
// error is an [*Error].
func (q *Queue) Send(e Entry, header string) (Receipt, error) {
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	receipt, err := q.sendLocked(e, header)
	if err != nil {
		return Receipt{}, err
	}
	return receipt, nil
}

// check returns the error with which SQS rejects an entry.
func (q *Queue) check(e *Entry) *Error {
	switch {
	case q.gone:
		return errNoQueue
	case e.MessageBody == "":
		return missing("MessageBody")
	case !validText(e.MessageBody):
		return &Error{Code: "InvalidMessageContents", Message: "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."}
	case size(e.MessageBody, e.MessageAttributes) > q.number("MaximumMessageSize"):
		return invalidValue("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.number("MaximumMessageSize"))
	case e.DelaySeconds != nil && (*e.DelaySeconds < 0 || *e.DelaySeconds > 900):
		return invalidValue("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", *e.DelaySeconds)
	}
	if err := checkAttributes(e.MessageAttributes); err != nil {
		return err
	}
	if err := checkSystem(e.MessageSystemAttributes); err != nil {
		return err
	}
	for name, value := range map[string]string{"MessageGroupId": e.MessageGroupID, "MessageDeduplicationId": e.MessageDeduplicationID} {
		if value != "" && !token.MatchString(value) {
			return invalidValue("Value %s for parameter %s is invalid. Reason: %s can only include alphanumeric and punctuation characters. 1 to 128 in length.", value, name, name)
		}
	}
	if !q.fifo {
		if e.MessageDeduplicationID != "" {
			return invalidValue("Value %s for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid for this queue type.", e.MessageDeduplicationID)
		}
		return nil
	}
	switch {
	case e.MessageGroupID == "":
		return missing("MessageGroupId")
	case e.DelaySeconds != nil && *e.DelaySeconds != 0:
		return invalidValue("Value %d for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.", *e.DelaySeconds)
	case e.MessageDeduplicationID == "" && q.attributes["ContentBasedDeduplication"] != "true":
		return invalidValue("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}
	return nil
}

func (q *Queue) sendLocked(e Entry, header string) (Receipt, *Error) {
	if err := q.check(&e); err != nil {
		return Receipt{}, err
	}
	now := q.service.options.Clock.Now()
	m := &message{
		id: wire.UUID(), body: e.MessageBody, attributes: e.MessageAttributes, group: e.MessageGroupID, dedup: e.MessageDeduplicationID,
		sent: now, visible: now.Add(q.seconds("DelaySeconds")),
	}
	if e.DelaySeconds != nil && !q.fifo {
		m.visible = now.Add(time.Duration(*e.DelaySeconds) * time.Second)
	}
	if own, set := e.MessageSystemAttributes[traceAttribute]; set {
		m.trace = *own.StringValue
	} else if WellFormed(header) {
		m.trace = header
	}
	if q.fifo && m.dedup == "" {
		sum := sha256.Sum256([]byte(m.body))
		m.dedup = hex.EncodeToString(sum[:])
	}
	duplicate := false
	if q.fifo {
		duplicate = q.deduplicateLocked(m)
	}
	if !duplicate {
		q.messages = append(q.messages, m)
		q.wakeLocked()
	}
	q.service.ledger.Sent, _ = recent.Append(q.service.ledger.Sent, q.service.options.Keep, Sent{Queue: q.name, MessageID: m.id, Body: m.body, TraceHeader: m.trace, Deduplicated: duplicate, At: now})
	return Receipt{
		MessageID: m.id, MD5OfMessageBody: digest(m.body), MD5OfMessageAttributes: Digest(e.MessageAttributes),
		MD5OfMessageSystemAttributes: Digest(e.MessageSystemAttributes), SequenceNumber: m.sequence,
	}, nil
}

// deduplicateLocked gives m its sequence number. If its deduplication ID was seen
// within five minutes, m gets the message ID and sequence number of the first message.
func (q *Queue) deduplicateLocked(m *message) bool {
	key := m.dedup
	if q.attributes["DeduplicationScope"] == "messageGroup" {
		key = m.group + "\x00" + key
	}
	for old, f := range q.seen {
		if m.sent.Sub(f.at) >= deduplication {
			delete(q.seen, old)
		}
	}
	if f, known := q.seen[key]; known {
		m.id, m.sequence = f.id, f.sequence
		return true
	}
	m.sequence = q.nextLocked()
	q.seen[key] = first{m.id, m.sequence, m.sent}
	return false
}

// nextLocked returns the sequence number of the next message of a FIFO queue.
func (q *Queue) nextLocked() string {
	q.sequence++
	return fmt.Sprintf("%020d", 18_800_000_000_000_000+q.sequence)
}

// Failure is a failed entry of a batch.
type Failure struct {
	ID          string `json:"Id" xml:"Id"`
	SenderFault bool
	Code        string
	Message     string `json:",omitempty" xml:",omitempty"`
}

func failure(id string, err *Error) Failure { return Failure{id, true, err.queryCode(), err.Message} }

// SendBatch sends up to ten messages, each of which may fail on its own. The error
// is an [*Error] of the whole request.
func (q *Queue) SendBatch(entries []Entry, header string) (successful []Receipt, failed []Failure, err error) {
	ids, total := make([]string, len(entries)), 0
	for i, e := range entries {
		ids[i] = e.ID
		total += size(e.MessageBody, e.MessageAttributes)
	}
	if err := checkIDs(ids); err != nil {
		return nil, nil, err
	}
	if total > maxSize {
		return nil, nil, errLong
	}
	for _, e := range entries {
		if q.service.options.Fault != nil {
			if fault := q.service.options.Fault(q.name, e); fault != nil {
				failed = append(failed, failure(e.ID, fault))
				continue
			}
		}
		q.service.mu.Lock()
		receipt, problem := q.sendLocked(e, header)
		q.service.mu.Unlock()
		if problem != nil {
			failed = append(failed, failure(e.ID, problem))
			continue
		}
		receipt.ID = e.ID
		successful = append(successful, receipt)
	}
	return successful, failed, nil
}

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func checkIDs(ids []string) *Error {
	switch {
	case len(ids) == 0:
		return errEmpty
	case len(ids) > 10:
		return errMany
	}
	seen := map[string]bool{}
	for _, id := range ids {
		switch {
		case !entryID.MatchString(id):
			return errID
		case seen[id]:
			return errSameID
		}
		seen[id] = true
	}
	return nil
}
