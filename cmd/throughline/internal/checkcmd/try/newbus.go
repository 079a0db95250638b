package try

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/newbus"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// NewBuses finds out, on each new custom bus, what AWS does not document and an answer to a
// call tells. It publishes a few events of check's own source, which a subscriber gets that
// takes every event.
func (t *Trials) NewBuses(ctx context.Context) error {
	for i := range t.account.System.Buses {
		b := &t.account.System.Buses[i]
		if b.New == nil || !b.Exists {
			continue
		}
		if !t.options.Write {
			b.New.Why = "what deduplication by content compares was not tried"
			continue
		}
		if err := t.content(ctx, b); err != nil {
			if code := account.ErrorCode(err); code == "" {
				return err
			}
			b.New.Why = err.Error()
		}
	}
	return nil
}

// content finds out what CONTENT_BASED compares, and what a repeat is answered.
func (t *Trials) content(ctx context.Context, b *system.Bus) error {
	name := "throughline-check-" + mark()
	put := func(detail string, resources ...string) (newbus.Result, error) {
		e := newbus.Entry{Source: source, DetailType: name, Detail: fmt.Sprintf(`{"event_id":%q,"note":"published by throughline check"}`, name+detail), Resources: resources}
		r, err := t.fresh.Put(ctx, b.ARN, e, true)
		if err == nil && r.Code != "" {
			err = errors.New(strings.TrimSpace(r.Code + " " + r.Message))
			b.New.Why = "publish: " + err.Error()
		}
		if err == nil && r.Success != "DEDUPLICATED" {
			t.recordChange("published %s on %s", r.EventID, b.Name)
		}
		return r, err
	}
	first, err := put("")
	if err != nil {
		return t.noted(b, err)
	}
	again, err := put("")
	if err != nil {
		return t.noted(b, err)
	}
	if again.Success != "DEDUPLICATED" {
		b.New.Why = fmt.Sprintf("the same event twice was answered %q: it was not taken for a repeat", again.Success)
		return nil
	}
	answer := "that of the first event"
	switch again.EventID {
	case first.EventID:
	case "":
		answer = "none"
	default:
		answer = "another one"
	}
	found := func(question, answer string) {
		b.New.Found = append(b.New.Found, system.Found{Question: question, Answer: answer})
	}
	found("the EventId of a DEDUPLICATED entry", answer)
	stamped, err := put("", "correlation:"+name)
	if err != nil {
		return t.noted(b, err)
	}
	if stamped.Success == "DEDUPLICATED" {
		found("whether CONTENT_BASED compares Resources", "no: a stamp does not make an event new, and THROUGHLINE_STAMP_CONTENT_BASED=1 is safe")
	} else {
		found("whether CONTENT_BASED compares Resources", "yes: a stamp makes each event new, and THROUGHLINE_STAMP_CONTENT_BASED stays off")
	}
	return nil
}

// noted is an error of an entry, which stands in Why, as none.
func (t *Trials) noted(b *system.Bus, err error) error {
	if b.New.Why != "" {
		return nil
	}
	return err
}
