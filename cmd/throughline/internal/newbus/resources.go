package newbus

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/throughline/throughline/local/eventpattern"
)

// Bus is a new custom bus.
type Bus struct {
	ARN     string `json:"EventBusArn"`
	Name    string
	State   string
	Storage struct {
		RetentionDays int `json:"RetentionPeriodInDays"`
	} `json:"StorageConfiguration"`
}

// Subscriber is a subscriber of a bus. The zero values of its members are absent ones.
type Subscriber struct {
	ARN    string `json:"SubscriberArn"`
	Bus    string `json:"EventBusArn"`
	Name   string
	State  string // RUNNING, STOPPED
	Type   string // UNORDERED, FIFO
	Start  string `json:"StartingPosition"`
	Invoke struct {
		Target string `json:"TargetArn"`
		Role   string `json:"RoleArn"`
		Lambda struct {
			InvocationType string
		} `json:"LambdaParameters"`
	} `json:"InvokeConfiguration"`
	Filter struct {
		Filters []Filter
	} `json:"FilterConfiguration"`
	Transformer struct{ Type string }
	Batch       struct {
		Size *int `json:"MaxBatchSize"`
	} `json:"BatchConfiguration"`
	Retry struct {
		Attempts *int `json:"MaxRetryAttempts"`
		Seconds  *int `json:"MaxEventAgeInSeconds"`
	} `json:"RetryPolicy"`
	OnFailure struct {
		ARN string `json:"Arn"`
	} `json:"OnFailureConfiguration"`
	Revoked bool
	Created time.Time `json:"CreationTime"`

	// All is everything that the API says of it, by the API's names.
	All map[string]json.RawMessage `json:"-"`
}

// Filter is one of a subscriber's filters, all of which an event has to match.
type Filter struct {
	Pattern string
	Scope   string // DATA, METADATA, SYSTEM_METADATA
}

// Pattern is the filters on the data of events, which an event has to match all, as one
// pattern; beyond is what else the subscriber asks for, "" for nothing.
func (s *Subscriber) Pattern() (pattern, beyond string) {
	all := map[string]any{}
	var more []string
	for _, f := range s.Filter.Filters {
		var one map[string]any
		switch {
		case f.Scope != "DATA":
			more = append(more, "its filter on "+f.Scope)
		case json.Unmarshal([]byte(f.Pattern), &one) != nil:
			more = append(more, "a filter that is no JSON")
		default:
			if twice := eventpattern.Merge(all, one); twice != "" {
				more = append(more, "a second filter on "+twice)
			}
		}
	}
	const everything = `{"source":[{"exists":true}]}`
	if len(all) == 0 {
		return everything, strings.Join(more, ", ")
	}
	text, _ := json.Marshal(all) // it came of JSON
	return string(text), strings.Join(more, ", ")
}

// Buses are the buses of the account, without their storage.
func (c *Client) Buses(ctx context.Context) ([]Bus, error) {
	var all []Bus
	err := pages(func(token string) (string, error) {
		var page struct {
			EventBuses []Bus
			NextToken  string
		}
		err := c.call(ctx, "ListEventBuses", next(nil, token), &page)
		all = append(all, page.EventBuses...)
		return page.NextToken, err
	})
	return all, err
}

// Bus is the bus with an ARN, whole.
func (c *Client) Bus(ctx context.Context, arn string) (Bus, error) {
	var b Bus
	err := c.call(ctx, "DescribeEventBus", map[string]string{"EventBusArn": arn}, &b)
	return b, err
}

// Subscribers are the subscribers of a bus, whole: each is described by a call of its own.
func (c *Client) Subscribers(ctx context.Context, bus string) ([]Subscriber, error) {
	var arns []string
	err := pages(func(token string) (string, error) {
		var page struct {
			Subscribers []struct {
				ARN string `json:"SubscriberArn"`
			}
			NextToken string
		}
		err := c.call(ctx, "ListSubscribers", next(map[string]string{"EventBusArn": bus}, token), &page)
		for _, s := range page.Subscribers {
			arns = append(arns, s.ARN)
		}
		return page.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	list := make([]Subscriber, 0, len(arns))
	for _, arn := range arns {
		s, err := c.Subscriber(ctx, arn)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Subscriber is the subscriber with an ARN.
func (c *Client) Subscriber(ctx context.Context, arn string) (Subscriber, error) {
	var all map[string]json.RawMessage
	var s Subscriber
	if err := c.call(ctx, "DescribeSubscriber", map[string]string{"SubscriberArn": arn}, &all); err != nil {
		return s, err
	}
	text, err := json.Marshal(all)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	s.All = all
	return s, err
}

// pages asks for each page until there is none, or the same one again.
func pages(ask func(token string) (next string, err error)) error {
	token := ""
	for range maxPages {
		next, err := ask(token)
		if err != nil || next == "" || next == token {
			return err
		}
		token = next
	}
	return nil
}

func next(in map[string]string, token string) map[string]string {
	all := map[string]string{}
	for name, value := range in {
		all[name] = value
	}
	if token != "" {
		all["NextToken"] = token
	}
	return all
}
