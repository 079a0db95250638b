// Package try tests what cannot be read from an account: whether a dead-letter queue
// receives an event that fails, what a replay causes, and undocumented behaviour of new
// custom buses. It changes the account only with Options.Write; without it, it describes
// what it would do.
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

// Options configure the trials.
type Options struct {
	Write    bool          // make changes
	Event    string        // a file with the entry to fail at Rule; empty means an event of check
	Rule     string        // a rule's name; empty means a rule that check creates, and a replay to all rules
	Archive  string        // an archive's name; empty means the first one of the bus
	Slice    time.Duration // the time of the archive to replay; required
	Wait     time.Duration // how long to wait for the replay and for the failed event; required
	Now      time.Time     // required
	Progress terminal.Progress
}

// Trials makes trials in an account that was read, and adds their results to its
// description. It is not safe for concurrent use.
type Trials struct {
	options Options
	account *read.Account
	events  *eventbridge.Client
	fresh   *newbus.Client
	sqs     *sqs.Client
	did     []string
	pause   time.Duration // the interval between checks for results
}

// New returns the trials of the account that was read with cfg.
func New(cfg aws.Config, account *read.Account, o Options) *Trials {
	const pause = 3 * time.Second
	return &Trials{options: o, account: account, events: eventbridge.NewFromConfig(cfg), fresh: newbus.New(cfg), sqs: sqs.NewFromConfig(cfg), pause: min(pause, o.Wait/10)}
}

// Did returns the changes that were made, in order.
func (t *Trials) Did() []string { return t.did }

func (t *Trials) recordChange(format string, args ...any) {
	t.did = append(t.did, fmt.Sprintf(format, args...))
}

// mark returns a random part of the names of what check creates.
func mark() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
