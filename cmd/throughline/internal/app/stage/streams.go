package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/invokelocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

const (
	asking  = 250 * time.Millisecond // the interval between reads of a stream
	atMost  = 1000                   // the maximum batch size, the limit of GetRecords
	retries = 3                      // attempts for a batch if the mapping has no limit; Lambda retries for a day
	// longestPause is the longest wait before a further attempt: the first ones follow at once.
	longestPause = 5 * time.Second
)

// readStream reads a table's stream for functions, with one event source mapping each.
func (s *Stage) readStream(t plan.Table, arn string) {
	for _, m := range s.plan.Mappings {
		if plan.ServiceOf(m.Source) != "dynamodb" || !strings.Contains(m.Source, ":table/"+t.Name+"/stream/") {
			continue
		}
		var filters []*eventpattern.Pattern
		for _, text := range m.Filters {
			if pattern, err := eventpattern.Compile([]byte(text)); err == nil {
				filters = append(filters, pattern)
			} else {
				s.note("the filter of %s: %v", m.ID, err)
			}
		}
		reader := &stream{stage: s, mapping: m, arn: arn, told: m.Source, filters: filters, iterators: map[string]string{}, onFailure: s.destination(m.ID, m.OnFailure)}
		reader.call = reader.invoke
		s.streams = append(s.streams, reader)
		s.running.Go(reader.run)
	}
}

// stream reads the shards of a table's stream for one function.
type stream struct {
	stage     *Stage
	mapping   plan.Mapping
	arn, told string // the ARN in moto, and the ARN in functions' events
	filters   []*eventpattern.Pattern
	iterators map[string]string // shard iterators, by shard
	onFailure invokelocal.Destination
	// call hands records to the function.
	call func(ctx context.Context, records []any) (lambdalocal.Result, error)

	rounds, handed atomic.Int64 // the number of reads of all shards, and of batches that had records
}

// quiet waits until every shard was read after the call, and reports whether none had
// records.
func (r *stream) quiet(ctx context.Context) bool {
	rounds, handed := r.rounds.Load(), r.handed.Load()
	for r.rounds.Load() < rounds+2 { // a read may be in progress
		select {
		case <-time.After(asking / 5):
		case <-ctx.Done():
			return false
		}
	}
	return r.handed.Load() == handed
}

func (r *stream) run() {
	ticker := time.NewTicker(asking)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.shards()
			r.rounds.Add(1)
		case <-r.stage.ctx.Done():
			return
		}
	}
}

// shards reads new records of each shard. If moto fails, the next round tries again.
func (r *stream) shards() {
	ctx := r.stage.ctx
	var described struct {
		StreamDescription struct {
			Shards []struct {
				ID string `json:"ShardId"`
			}
		}
	}
	if r.stage.moto.call(ctx, "DynamoDBStreams_20120810.DescribeStream", map[string]any{"StreamArn": r.arn}, &described) != nil {
		return
	}
	for _, shard := range described.StreamDescription.Shards {
		if r.iterators[shard.ID] == "" {
			var got struct{ ShardIterator string }
			if r.stage.moto.call(ctx, "DynamoDBStreams_20120810.GetShardIterator", map[string]any{"StreamArn": r.arn, "ShardId": shard.ID, "ShardIteratorType": "TRIM_HORIZON"}, &got) != nil {
				continue
			}
			r.iterators[shard.ID] = got.ShardIterator
		}
		var got struct {
			NextShardIterator string
			Records           []map[string]any
		}
		if r.stage.moto.call(ctx, "DynamoDBStreams_20120810.GetRecords", map[string]any{"ShardIterator": r.iterators[shard.ID], "Limit": min(atMost, max(1, r.mapping.BatchSize))}, &got) != nil {
			delete(r.iterators, shard.ID) // the iterator may have expired
			continue
		}
		r.iterators[shard.ID] = got.NextShardIterator
		if len(got.Records) > 0 {
			r.hand(ctx, shard.ID, got.Records)
		}
	}
}

// hand invokes the function with the records that match a filter.
func (r *stream) hand(ctx context.Context, shard string, records []map[string]any) {
	kept := []any{}
	for _, record := range records {
		record["eventSourceARN"] = r.told
		document, err := json.Marshal(record)
		if err != nil || len(r.filters) > 0 && !matchesAny(r.filters, document) {
			continue
		}
		kept = append(kept, record)
	}
	if len(kept) > 0 {
		r.handed.Add(1)
		r.take(ctx, batch{shard: shard, records: kept, came: r.now()})
	}
}

// batch is records of a shard on their way to the function.
type batch struct {
	shard   string
	records []any
	came    time.Time
	tried   int // what splitting it takes does not count
	last    lambdalocal.Result
}

// take invokes the function with a batch, again where it fails, until the mapping's bounds
// are reached (Lambda developer guide, "Retaining discarded batch records for a DynamoDB
// event source").
func (r *stream) take(ctx context.Context, b batch) {
	for pause := asking; ; {
		if r.mapping.MaxAge > 0 && r.now().Sub(b.came) > r.mapping.MaxAge {
			r.discard(b, "RecordAgeExceeded", "older than "+r.mapping.MaxAge.String())
			return
		}
		result, err := r.call(ctx, b.records)
		if ctx.Err() != nil {
			return
		}
		failed := err != nil || result.FunctionError != ""
		if !failed {
			if b.records = r.left(b.records, result); len(b.records) == 0 {
				return
			}
		}
		if half := len(b.records) / 2; failed && r.mapping.Bisect && half > 0 {
			r.take(ctx, batch{shard: b.shard, records: b.records[:half], came: b.came})
			r.take(ctx, batch{shard: b.shard, records: b.records[half:], came: b.came})
			return
		}
		b.last = result
		if b.tried++; b.tried > r.most() {
			r.discard(b, "RetryAttemptsExhausted", "after "+phrase.Count(b.tried, "attempt"))
			return
		}
		if b.tried < retries {
			continue
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, longestPause)
		case <-ctx.Done():
			return
		}
	}
}

// most returns the number of retries of a batch.
func (r *stream) most() int {
	most := retries - 1
	switch {
	case r.mapping.Retries >= 0:
		most = r.mapping.Retries
	case r.mapping.MaxAge > 0:
		most = math.MaxInt
	}
	if bound := r.stage.options.Attempts; bound > 0 {
		most = min(most, bound-1)
	}
	return most
}

// now is the time of the application's clock.
func (r *stream) now() time.Time { return r.stage.options.Clock.Now() }

// invoke invokes the function with records, once it is not throttled.
func (r *stream) invoke(ctx context.Context, records []any) (result lambdalocal.Result, err error) {
	event, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		return result, err
	}
	for {
		if err = lambdalocal.ErrThrottled; !r.stage.options.Faults.Throttled(r.mapping.Function) {
			result, err = r.stage.lambda.Deployment(r.mapping.Function).Invoke(ctx, event, lambdalocal.InvokeOptions{Wait: true})
		}
		if !errors.Is(err, lambdalocal.ErrThrottled) {
			return result, err
		}
		select {
		case <-time.After(asking):
		case <-ctx.Done():
			return result, ctx.Err()
		}
	}
}

// discard drops a batch, and sends a record of it to the mapping's destination.
func (r *stream) discard(b batch, condition, why string) {
	r.stage.say(r.mapping.Function, fmt.Sprintf("skipped: %s of %s, %s", phrase.Count(len(b.records), "record"), r.mapping.ID, why))
	if r.onFailure == nil {
		return
	}
	arn := plan.FunctionARN(r.mapping.Function)
	info := map[string]any{"shardId": b.shard, "batchSize": len(b.records), "streamArn": r.told}
	for name, at := range map[string]int{"start": 0, "end": len(b.records) - 1} {
		info[name+"SequenceNumber"] = numberOf(b.records[at])
	}
	for _, name := range []string{"First", "Last"} {
		info["approximateArrivalOf"+name+"Record"] = b.came.UTC().Format(time.RFC3339)
	}
	of := map[string]any{
		"requestContext": map[string]any{"requestId": b.last.RequestID, "functionArn": arn, "condition": condition, "approximateInvokeCount": b.tried},
		"version":        "1.0", "timestamp": r.now().UTC().Format("2006-01-02T15:04:05.000Z"), "DDBStreamBatchInfo": info,
	}
	if b.tried > 0 {
		of["responseContext"] = map[string]any{"statusCode": http.StatusOK, "executedVersion": b.last.ExecutedVersion, "functionError": b.last.FunctionError}
	}
	record, err := json.Marshal(of)
	if err == nil {
		r.onFailure(arn, condition, record)
	}
}

// numberOf returns the sequence number of a record.
func numberOf(record any) string {
	of, _ := record.(map[string]any)
	change, _ := of["dynamodb"].(map[string]any)
	number, _ := change["SequenceNumber"].(string)
	return number
}

// left returns the records from the first one that the response names as failed: all of
// them if it names one that is not in the batch.
func (r *stream) left(records []any, result lambdalocal.Result) []any {
	if !r.mapping.Failures {
		return nil
	}
	numbers := make([]string, len(records))
	for i := range records {
		numbers[i] = numberOf(records[i])
	}
	failed := result.FailedMessages(numbers)
	for i := range records {
		if slices.Contains(failed, numbers[i]) {
			return records[i:]
		}
	}
	return nil
}
