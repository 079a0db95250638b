package sdkcalls

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Kind is the kind of outcome of an attempt or a call. The zero value is Unknown.
type Kind string

// The kinds of outcome.
const (
	Unknown   Kind = ""          // the outcome is not known
	Answered  Kind = "answered"  // a response arrived
	Failed    Kind = "failed"    // no response arrived, or the SDK raised an error
	Cancelled Kind = "cancelled" // the caller cancelled the call
)

// Outcome is the outcome of an attempt, or of a call. The zero value is an unknown
// outcome.
type Outcome struct {
	Kind    Kind
	Stamped bool   // the stamped body was sent
	Reason  string // why the body was not stamped
	Status  int    // 0 without a response
	// Entries are the results of the entries, in their order.
	Entries    []lineage.Result
	Error      string // code or class; empty for none
	Attempts   int    // the number of attempts at the call, if the SDK reports it
	Start, End time.Time
	Invocation string // amz-sdk-invocation-id, if it is known
}

const maxWord = 64 // bytes of a code or a reason

// bound truncates the values of a report to the lengths that are kept.
func (o *Outcome) bound() {
	o.Error, o.Reason = word(o.Error), word(o.Reason)
	if len(o.Invocation) > MaxID {
		o.Invocation = ""
	}
	o.Entries = o.Entries[:min(len(o.Entries), putevents.MaxEntries)]
	for i := range o.Entries {
		for _, text := range []*string{&o.Entries[i].EventID, &o.Entries[i].ErrorCode, &o.Entries[i].SuccessCode, &o.Entries[i].Sequence} {
			*text = word(*text)
		}
	}
}

func word(s string) string { return strings.Clone(s[:min(len(s), maxWord)]) }

func (o *Outcome) succeeded() bool {
	return o.Kind == Answered && o.Status >= http.StatusOK && o.Status < http.StatusMultipleChoices
}

// retried reports whether an SDK may retry after this outcome: without a response,
// after errors that AWS's SDKs retry ("Retry behavior", AWS SDKs and Tools
// reference guide), and after clock skew errors, for which the SDK adjusts its clock.
func (o *Outcome) retried() bool {
	if o.Kind != Answered {
		return true
	}
	if o.Status >= http.StatusInternalServerError || o.Status == http.StatusTooManyRequests {
		return true
	}
	return !o.succeeded() && retried(o.Error)
}

// retried reports whether an SDK retries after an error with this code.
func retried(code string) bool {
	switch code {
	case "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled",
		"TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException",
		"PriorRequestNotComplete", "TransactionInProgressException", "SlowDown", "ProvisionedThroughputExceededException",
		"RequestTimeout", "RequestTimeoutException", "InternalFailure", "InternalException", "InternalError",
		"ServiceUnavailable", "ServiceUnavailableException",
		"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "InvalidSignatureException",
		"SignatureDoesNotMatch", "AuthFailure":
		return true
	}
	return false
}

// failure is the error of a call that failed as a whole.
type failure struct{ code string }

func (f *failure) Error() string     { return f.code }
func (f *failure) ErrorCode() string { return f.code }

// Skipped counts a request that was sent unchanged and of which nothing else is
// known, by the reason.
func (c *Calls) Skipped(reason string) {
	c.metrics.Record(metrics.Observation{At: c.now(), Name: metrics.StampSkipped, Value: 1, Kind: word(reason)})
}

// count counts closed calls.
func (c *Calls) count(closed []*call) {
	for _, o := range closed {
		if o.request == nil {
			c.countUnasked(o)
		} else {
			c.countAsked(o)
		}
	}
}

func (c *Calls) countAsked(o *call) {
	if o.raw != "" {
		o.request.Unstamped(o.raw)
	}
	code := cmp.Or(o.outcome.Error, "RequestFailed")
	switch {
	case o.outcome.succeeded():
		for i, e := range o.request.Entries {
			if i < len(o.outcome.Entries) {
				e.Result = o.outcome.Entries[i]
			}
		}
		o.request.Finish(nil, "", took(o.outcome))
	case o.outcome.Kind == Answered, o.outcome.Kind == Failed:
		o.request.Finish(&failure{code}, code, took(o.outcome))
	default:
		o.request.Abandon(nil)
		for _, e := range o.request.Entries {
			c.unknown(o, e.DetailType)
		}
	}
}

// countUnasked counts a call of which only the outcome was reported. The types of its
// entries are not known; without a response it counts as one entry.
func (c *Calls) countUnasked(o *call) {
	record := func(name metrics.Name, kind string) {
		c.metrics.Record(metrics.Observation{At: c.now(), Name: name, Value: 1, Kind: kind})
	}
	if o.raw != "" {
		c.Skipped(o.raw)
	}
	switch {
	case o.outcome.succeeded():
		for _, entry := range o.outcome.Entries {
			switch {
			case entry.ErrorCode != "":
				record(metrics.EventsFailed, entry.ErrorCode)
			case entry.SuccessCode == lineage.Deduplicated:
				record(metrics.EventsDeduplicated, "")
			default:
				record(metrics.EventsPublished, "")
			}
		}
	case o.outcome.Kind == Answered, o.outcome.Kind == Failed:
		record(metrics.EventsFailed, o.outcome.Error)
	default:
		c.unknown(o, "")
	}
}

func (c *Calls) unknown(o *call, eventType string) {
	kind := "unknown"
	if o.outcome.Kind == Cancelled {
		kind = string(Cancelled)
	}
	c.metrics.Record(metrics.Observation{At: c.now(), Name: metrics.EventsUnknown, Value: 1, EventType: eventType, Kind: kind})
}

// took returns the duration of a call, 0 if its times are missing or invalid.
func took(o Outcome) time.Duration {
	const longest = 15 * time.Minute
	if d := o.End.Sub(o.Start); !o.Start.IsZero() && d > 0 && d < longest {
		return d
	}
	return 0
}

// Attempts reads the header amz-sdk-request, such as "attempt=1; max=3": the number of
// the attempt and the maximum number of attempts. A missing number is 0.
func Attempts(header string) (number, most int) {
	for part := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch n, _ := strconv.Atoi(value); name {
		case "attempt":
			number = n
		case "max":
			most = n
		}
	}
	return number, most
}
