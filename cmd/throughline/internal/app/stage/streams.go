package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/local/lambdalocal"
)

const (
	asking  = 250 * time.Millisecond // between two questions for a stream's records
	atMost  = 100                    // records of a batch, as Lambda has it for streams
	retries = 3                      // of a batch that the function fails; Lambda would go on for a day
)

// readStream has functions read a table's stream, each as an event source mapping does.
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
		reader := &stream{stage: s, mapping: m, arn: arn, told: m.Source, filters: filters, iterators: map[string]string{}}
		s.streams = append(s.streams, reader)
		s.running.Go(reader.run)
	}
}

// stream reads the shards of a table's stream for one function.
type stream struct {
	stage     *Stage
	mapping   plan.Mapping
	arn, told string // moto's, and what functions are told
	filters   []*eventpattern.Pattern
	iterators map[string]string // by shard

	rounds, handed atomic.Int64 // how often it has asked all shards, and batches that it has handed on
}

// quiet waits until every shard was asked since it was called, and says whether none had
// anything.
func (r *stream) quiet(ctx context.Context) bool {
	rounds, handed := r.rounds.Load(), r.handed.Load()
	for r.rounds.Load() < rounds+2 { // one may be under way
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

// shards reads what is new in each shard. What moto does not answer is asked again later.
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
			delete(r.iterators, shard.ID) // it may have grown old
			continue
		}
		r.iterators[shard.ID] = got.NextShardIterator
		if len(got.Records) > 0 {
			r.hand(ctx, got.Records)
		}
	}
}

// hand invokes the function with the records that a filter lets through, again where it
// fails.
func (r *stream) hand(ctx context.Context, records []map[string]any) {
	kept := []any{}
	for _, record := range records {
		record["eventSourceARN"] = r.told
		document, err := json.Marshal(record)
		if err != nil || len(r.filters) > 0 && !matchesAny(r.filters, document) {
			continue
		}
		kept = append(kept, record)
	}
	if len(kept) == 0 {
		return
	}
	r.handed.Add(1)
	for tried := 0; tried < retries; {
		event, err := json.Marshal(map[string]any{"Records": kept})
		if err != nil {
			return
		}
		var result lambdalocal.Result
		if err = lambdalocal.ErrThrottled; !r.stage.options.Faults.Throttled(r.mapping.Function) {
			result, err = r.stage.lambda.Deployment(r.mapping.Function).Invoke(ctx, event, lambdalocal.InvokeOptions{Wait: true})
		}
		if errors.Is(err, lambdalocal.ErrThrottled) {
			select {
			case <-time.After(asking):
				continue
			case <-ctx.Done():
				return
			}
		}
		if tried++; err == nil && result.FunctionError == "" {
			if kept = r.left(kept, result.Payload); len(kept) == 0 {
				return
			}
		}
	}
	r.stage.say(r.mapping.Function, fmt.Sprintf("%d records of %s failed %d times: they are passed over", len(kept), r.mapping.ID, retries))
}

// left are the records from the first one on that the answer of a function names as failed.
func (r *stream) left(records []any, answer []byte) []any {
	var failures struct {
		BatchItemFailures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if !r.mapping.Failures || json.Unmarshal(answer, &failures) != nil {
		return nil
	}
	for i, record := range records {
		number, _ := record.(map[string]any)["dynamodb"].(map[string]any)["SequenceNumber"].(string)
		for _, f := range failures.BatchItemFailures {
			if f.ID == number {
				return records[i:]
			}
		}
	}
	return nil
}
