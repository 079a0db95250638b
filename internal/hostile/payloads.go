package hostile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Payload is a payload of the largest size that Lambda passes to a function, about
// 6 MB. Make generates it for each invocation, with IDs of its own.
type Payload struct {
	Name   string
	Events int // the number of its events
	Make   func(invocation int) []byte
	Breaks bool // only a part of it is sent
}

const largest = 6 << 20

// Payloads returns the payloads.
func Payloads() []Payload {
	stamped := func(invocation, n, filling int) string {
		return fmt.Sprintf(`{"version":"0","id":"env-%[1]d-%[2]d","detail-type":"T%[3]d","source":"shop.orders","account":"1","time":"2026-11-27T10:00:00Z","region":"us-east-1",`+
			`"resources":["correlation:workflow-%[1]d-%[2]d","causation:cause-%[2]d","parent:parent-%[2]d","traceparent:00-%032[4]x-%016[4]x-01","origin:00-%032[5]x-%016[5]x-01","hops:2"],`+
			`"detail":{"event_id":"order-%[1]d-%[2]d","text":"%[6]s"}}`, invocation, n, n%30, n+1, n/10+1, strings.Repeat("x", filling))
	}
	sqs := func(n int, body string) string {
		quoted, _ := json.Marshal(body) // a string has no form that fails
		return fmt.Sprintf(`{"messageId":"m-%d","receiptHandle":"h","body":%s,"attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1764237600000"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q","awsRegion":"us-east-1"}`, n, quoted)
	}
	batch := func(count int, record func(n int) string) []byte {
		list := make([]string, count)
		for n := range list {
			list[n] = record(n)
		}
		return []byte(`{"Records":[` + strings.Join(list, ",") + `]}`)
	}
	kinesis := func(n int, data string) string {
		return fmt.Sprintf(`{"kinesis":{"data":"%s","approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventID":"shardId-0:%d","eventSourceARN":"arn:aws:kinesis:us-east-1:1:stream/s"}`,
			base64.StdEncoding.EncodeToString([]byte(data)), n)
	}
	many := func(i int) []byte {
		return batch(10_000, func(n int) string {
			return sqs(n, fmt.Sprintf(`{"id":"env-%d-%d","detail-type":"T","source":"s","resources":["correlation:w-%d","traceparent:00-%032x-%016x-01"],"detail":{"event_id":"e-%d-%d"}}`, i, n, n, n+1, n+1, i, n))
		})
	}
	return []Payload{
		{"10 000 records", 10_000, many, false},
		{"the same 10 000 records each time", 10_000, func(int) []byte { return many(1) }, false},
		{"5 500 stamped records", 5_500, func(i int) []byte {
			return batch(5_500, func(n int) string { return sqs(n, stamped(i, n, 200)) })
		}, false},
		{"10 large records", 10, func(i int) []byte {
			return batch(10, func(n int) string { return sqs(n, stamped(i, n, largest/10-2_000)) })
		}, false},
		{"6 records as large as a queue takes", 6, func(i int) []byte {
			return batch(6, func(n int) string { return sqs(n, stamped(i, n, 1<<20-2_000)) })
		}, false},
		{"10 large records of a stream", 10, func(i int) []byte {
			return batch(10, func(n int) string { return kinesis(n, stamped(i, n, largest/10*3/4-2_000)) })
		}, false},
		{"a batch that breaks off", 0, func(i int) []byte {
			return batch(5_500, func(n int) string { return sqs(n, stamped(i, n, 200)) })
		}, true},
		{"no batch", 1, func(i int) []byte {
			return []byte(fmt.Sprintf(`{"event_id":"e-%d","correlation_id":"w","image":"`, i) + strings.Repeat("x", largest-100) + `"}`)
		}, false},
		{"text", 0, func(int) []byte { return []byte(`"` + strings.Repeat("x", largest-100) + `"`) }, false},
		{"long IDs", 1_500, func(i int) []byte {
			return batch(1_500, func(n int) string {
				return sqs(n, fmt.Sprintf(`{"event_id":"%d-%d-%s"}`, i, n, strings.Repeat("i", 3_700)))
			})
		}, false},
	}
}
