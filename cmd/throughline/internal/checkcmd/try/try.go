// Package try finds out what cannot be read of an account: whether a dead-letter
// queue receives an event that fails, what comes of a replay, and what new custom
// buses do that AWS does not document. Only with
// Options.Write does it change anything; without it, it says what it would do.
package try

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/read"
	"github.com/throughline/throughline/cmd/throughline/internal/newbus"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// source is the source of the events that check publishes.
const source = "throughline.check"

// Options are what to try.
type Options struct {
	Write    bool          // make changes
	Event    string        // a file with the entry that is to fail at Rule; empty: one of check's own
	Rule     string        // by name; empty: a rule of check's own, and a replay to all rules
	Archive  string        // by name; empty: the bus's first
	Slice    time.Duration // of the archive, to replay; required
	Wait     time.Duration // for a replay, and for the event that fails; required
	Now      time.Time     // required
	Progress terminal.Progress
}

// Trials tries the system of an account that has been read, and adds to its
// description what came of it. It is not safe for concurrent use.
type Trials struct {
	options Options
	account *read.Account
	events  *eventbridge.Client
	fresh   *newbus.Client
	sqs     *sqs.Client
	did     []string
	pause   time.Duration // between looks at what came of it
}

// New returns the trials of the account that was read with cfg.
func New(cfg aws.Config, account *read.Account, o Options) *Trials {
	const pause = 3 * time.Second
	return &Trials{options: o, account: account, events: eventbridge.NewFromConfig(cfg), fresh: newbus.New(cfg), sqs: sqs.NewFromConfig(cfg), pause: min(pause, o.Wait/10)}
}

// Did are the changes that were made, in order.
func (t *Trials) Did() []string { return t.did }

func (t *Trials) recordChange(format string, args ...any) {
	t.did = append(t.did, fmt.Sprintf(format, args...))
}

// mark is part of the names of what check makes.
func mark() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
