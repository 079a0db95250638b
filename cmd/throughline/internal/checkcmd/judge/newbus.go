package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

func hasNewBus(s *system.System) bool {
	return slices.ContainsFunc(s.Buses, func(b system.Bus) bool { return b.New != nil })
}

// newBus judges that a new custom bus has somebody to deliver to.
func newBus(b system.Bus, said string, s *system.System, good []string, f findings) ([]string, findings) {
	if len(b.Rules) == 0 && s.Unread[system.Rules] == "" {
		f.warn("bus %s has no subscribers: its events go nowhere", b.Name)
		return good, f
	}
	text := fmt.Sprintf("%s%s, a new custom bus with %s", b.Name, said, phrase.Count(len(b.Rules), "subscriber"))
	if days := b.New.RetentionDays; days > 0 {
		text += ", which keeps events for " + phrase.Count(days, "day")
	}
	return append(good, text), f
}

// The service's own retries (EventBridge user guide, "Retry policy" of custom event buses).
const (
	newRetries = 5
	newAge     = 300 * time.Second
)

// subscriber judges what a subscriber's configuration does to its target.
func (f *findings) subscriber(r system.Rule, t system.Target) {
	if (t.Attempts == nil || *t.Attempts == newRetries) && (t.MaxAge == 0 || t.MaxAge == newAge) {
		f.warn("subscriber %s: its retries are the default, %d in %s: an outage of %s that is longer loses what it was to get", r.Name, newRetries, phrase.Duration(newAge), targetOf(t))
	}
	if arn.Service(t.ARN) == "lambda" && t.Batch == 0 {
		f.warn("subscriber %s: MaxBatchSize is not known: unless it is 1 the function gets arrays", r.Name)
	}
}

func targetOf(t system.Target) string {
	switch {
	case arn.Service(t.ARN) == "lambda":
		return arn.Function(t.ARN)
	case strings.Contains(t.ARN, ":event-busv2/"):
		return "bus " + arn.Named(t.ARN)
	}
	return arn.Name(t.ARN)
}

// unknowns says what an account told of what AWS does not document of the new custom buses.
func unknowns(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Buses); no {
		return r
	}
	var f findings
	var found []string
	count := 0
	for _, b := range s.Buses {
		if b.New == nil || !b.Exists {
			continue
		}
		count++
		for _, a := range b.New.Found {
			found = append(found, fmt.Sprintf("bus %s: %s: %s", b.Name, a.Question, a.Answer))
		}
		if b.New.Why != "" {
			f.warn("bus %s: %s", b.Name, b.New.Why)
		}
	}
	switch {
	case count == 0:
		return skip("", "no new custom bus is known")
	case len(found) == 0 && len(f.doubtful) == 0:
		return skip("docs/migrate-to-new-bus.md lists them", "nothing was found out")
	case len(found) == 0:
		return skip("--write publishes events of source throughline.check to find it out", "%s", strings.Join(f.doubtful, "; "))
	}
	r := f.or(pass("%s", found[0]), "")
	if r.Status == Warn {
		r.Details = append(found, r.Details...)
		return r
	}
	r.Details = found[1:]
	return r
}
