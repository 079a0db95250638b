package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/throughline/throughline/local/invokelocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/snslocal"
	"github.com/throughline/throughline/local/sqslocal"
)

// TestHops plays what the day of the trading system does not have: batches of
// ten that fail in part and come again, a FIFO queue that drops a duplicate, a
// topic with five queues, a raw one and a function, destinations and a
// dead-letter queue of asynchronous invocations. Two senders are at it at once.
func TestHops(t *testing.T) {
	for _, hops := range []string{"join", "carry"} {
		t.Run(hops, func(t *testing.T) {
			o := smallDay(t, hops, false)
			ctx, cancel := context.WithTimeout(t.Context(), o.patience)
			defer cancel()
			s, finish, err := setUpHops(o)
			senders := map[string]string{} // their request IDs by correlation ID
			if err == nil {
				for _, id := range []string{"workflow-a", "workflow-b"} {
					if senders[id], err = s.lambda.Deployment("sender").InvokeAsync([]byte(`{"correlation_id": "`+id+`"}`), lambdalocal.InvokeOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				err = s.settle(ctx)
			}
			s.takeDown()
			if err != nil {
				t.Fatalf("%v\n%s", err, s.others())
			}
			finish(senders)
			d, err := s.results()
			if err != nil {
				t.Fatal(err)
			}
			for i := range d.edges {
				switch {
				case d.edges[i].Kind == "raw" && hops == "join":
					d.edges[i].Lost = "no ID"
				case d.edges[i].Kind == "told to two" && hops == "join":
					d.edges[i].Lost = "two candidates where they sent at once"
				}
			}
			seen := measure(d.spans)
			if differences := verify(d, seen, hops); len(differences) > 0 {
				t.Errorf("differs:\n%s\n%s", strings.Join(differences, "\n"), d.others)
			}
			kinds := map[string]int{}
			for _, e := range d.edges {
				kinds[e.Via]++
			}
			// Of each sender: 8 of a batch, of which one comes twice, and one of the FIFO queue, which takes another of one alone; 3 notifications to 5 queues, a
			// raw one and a function, of which the raw queue gets one twice; 2 invocations; what became of each.
			if kinds["sqs"] != 2*(9+1)+1 || kinds["sns"] != 2*(3*7+1) || kinds["lambda"] != 2*2 || kinds["destination"] != 2*2 {
				t.Errorf("played %v", kinds)
			}
			if t.Failed() {
				printTable(t.Output(), d, seen)
			}
		})
	}
}

// setUpHops returns the stage, and what completes its ledger after the play.
func setUpHops(o options) (s *stage, finish func(senders map[string]string), err error) {
	s, err = setUp(o, plan{})
	if err != nil {
		return s, nil, err
	}
	queue := func(name string, attributes map[string]string) *sqslocal.Queue {
		q, problem := s.queues.Create(name, attributes)
		if problem != nil {
			err = problem
		}
		return q
	}
	folder, err := filepath.Abs("testdata/functions")
	if err != nil {
		return s, nil, err
	}
	s.base.TaskRoot, s.base.Env = folder, maps.Clone(s.base.Env)
	topics := snslocal.New(snslocal.Options{Queues: s.queues, Function: func(arn string, event []byte, header string) (string, error) {
		id, err := s.api.Event(arn, event, header)
		var e struct {
			Records []struct{ Sns struct{ MessageID string } }
		}
		if err == nil && json.Unmarshal(event, &e) == nil {
			s.ledger.delivered("sns", e.Records[0].Sns.MessageID, "function", id)
		}
		return id, err
	}})
	url, err := topics.Start()
	if err != nil {
		return s, nil, err
	}
	s.closers = append(s.closers, topics.Close)
	topic, err := topics.Create("topic", nil)
	if err != nil {
		return s, nil, err
	}
	batches, fifo := queue("batches", nil), queue("fifo.fifo", map[string]string{"FifoQueue": "true"})
	results, dead := queue("results", nil), queue("dead", nil)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_SNS": url, "TOPIC_ARN": topic, "BATCH_URL": batches.URL(), "FIFO_URL": fifo.URL()} {
		s.base.Env[name] = value
	}
	type made struct {
		function
		to invokelocal.Destinations
	}
	all := []made{
		{function{"sender", "sender.handle", 2}, invokelocal.Destinations{}},
		{function{"called", "sender.called", 1}, invokelocal.Destinations{OnSuccess: invokelocal.ToQueue(results), DeadLetter: dead}},
		{function{"told", "sender.consume", 1}, invokelocal.Destinations{}},
		{function{"consumer", "sender.consume", 2}, invokelocal.Destinations{}},
	}
	for _, f := range all {
		if err := s.deploy(f.function, f.to); err != nil {
			return s, nil, err
		}
	}
	var mu sync.Mutex
	var handed [][2]string       // a raw queue's message and who was handed it
	first := map[string]string{} // correlation ID of who sent a message that another sent too
	notify := func(m message, requestID string) {
		var n struct{ MessageID string }
		_ = json.Unmarshal([]byte(m.Body), &n)
		s.ledger.delivered("sns", n.MessageID, "", requestID)
	}
	origin := func(m message, requestID string) {
		var r struct{ RequestContext struct{ RequestID string } }
		_ = json.Unmarshal([]byte(m.Body), &r)
		id := r.RequestContext.RequestID + m.Attributes["RequestID"].Value
		s.ledger.sender("destination", m.ID, id)
		s.ledger.delivered("destination", m.ID, "", requestID)
	}
	s.poll(sqslocal.Mapping{Queue: batches, BatchSize: 10, Concurrency: 2, Consume: s.consume("consumer", s.sentByQueue)})
	s.poll(sqslocal.Mapping{Queue: fifo, Consume: s.consume("consumer", func(m message, requestID string) {
		var body struct {
			N           int
			Correlation string `json:"correlation_id"`
		}
		_ = json.Unmarshal([]byte(m.Body), &body)
		if body.N != 0 {
			s.sentByQueue(m, requestID)
			return
		}
		s.ledger.delivered("sqs", m.ID, "told to two", requestID) // both were told its ID, and one sent what came
		mu.Lock()
		defer mu.Unlock()
		first[m.ID] = body.Correlation
	})})
	s.poll(sqslocal.Mapping{Queue: results, Consume: s.consume("consumer", origin)})
	s.poll(sqslocal.Mapping{Queue: dead, Consume: s.consume("consumer", origin)})
	for n := range 5 {
		q := queue(fmt.Sprint("fan-", n), nil)
		if _, err := topics.Subscribe(topic, "sqs", q.ARN(), nil); err != nil {
			return s, nil, err
		}
		s.poll(sqslocal.Mapping{Queue: q, BatchSize: 2, Consume: s.consume("consumer", notify)})
	}
	raw := queue("raw", nil)
	if _, err := topics.Subscribe(topic, "sqs", raw.ARN(), map[string]string{"RawMessageDelivery": "true"}); err != nil {
		return s, nil, err
	}
	if _, err := topics.Subscribe(topic, "lambda", "arn:aws:lambda:us-east-1:123456789012:function:told", nil); err != nil {
		return s, nil, err
	}
	s.poll(sqslocal.Mapping{Queue: raw, Consume: s.consume("consumer", func(m message, requestID string) {
		mu.Lock()
		defer mu.Unlock()
		handed = append(handed, [2]string{m.ID, requestID})
	})})
	return s, func(senders map[string]string) {
		for id, correlation := range first {
			s.ledger.sender("sqs", id, senders[correlation])
		}
		for _, d := range topics.Ledger() {
			for _, h := range handed {
				if d.ID == h[0] {
					s.ledger.delivered("sns", d.MessageID, "raw", h[1])
				}
			}
		}
	}, err
}
