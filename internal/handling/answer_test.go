package handling

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/throughline/throughline/internal/lineage"
)

// batchOf is a batch of three records, whose IDs are a-1, a-2 and a-3.
func batchOf(record string) string {
	var records []string
	for n := range 3 {
		records = append(records, strings.ReplaceAll(record, "#", fmt.Sprint(n+1)))
	}
	return `{"Records":` + array(records...) + `}`
}

const (
	ofSQS      = `{"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q","messageId":"a-#","body":"{\"event_id\":\"e-#\"}"}`
	ofKinesis  = `{"eventSource":"aws:kinesis","eventSourceARN":"arn:aws:kinesis:us-east-1:1:stream/s","eventID":"shardId-000:a-#","kinesis":{"sequenceNumber":"a-#","data":"e30="}}`
	ofDynamoDB = `{"eventSource":"aws:dynamodb","eventSourceARN":"arn:aws:dynamodb:us-east-1:1:table/t/stream/x","eventID":"c-#","eventName":"INSERT","dynamodb":{"SequenceNumber":"a-#"}}`
)

// An answer that AWS counts as a success is a failure on the span: of the records that
// it names.
func TestAnswersThatAreFailures(t *testing.T) {
	const returned = " records returned in batchItemFailures"
	const foreign = "batchItemFailures has identifiers that are not in the batch: all of it failed"
	items := func(ids ...string) string {
		return `{"batchItemFailures":[{"itemIdentifier":"` + strings.Join(ids, `"},{"itemIdentifier":"`) + `"}]}`
	}
	for _, tt := range []struct {
		name, payload, answer string
		kind, message, ids    string
		count                 int64
	}{
		{"Success", batchOf(ofSQS), `{"batchItemFailures":[]}`, "", "", "", 0},
		{"Null", batchOf(ofSQS), `null`, "", "", "", 0},
		{"NotFound", `{"requestContext":{"http":{}}}`, `{"statusCode":404}`, "", "", "", 0},
		{"Status", `{"requestContext":{"http":{}}}`, `{"statusCode":503,"body":""}`, "503", "answered with the status code 503", "", 0},
		{"SQS", batchOf(ofSQS), items("a-2"), "batchItemFailures", "1 of 3" + returned, `["a-2"]`, 1},
		{"SQSTwice", batchOf(ofSQS), items("a-3", "a-1", "a-3"), "batchItemFailures", "2 of 3" + returned, `["a-1","a-3"]`, 2},
		{"SQSAll", batchOf(ofSQS), items("a-1", "a-2", "a-3"), "batchItemFailures", "3 of 3" + returned, "", 3},
		{"SQSEventID", batchOf(ofSQS), items("e-2"), "batchItemFailures", foreign, "", 3}, // Lambda retries all
		{"SQSEmpty", batchOf(ofSQS), items("a-1", ""), "batchItemFailures", foreign, "", 3},
		{"SQSNumber", batchOf(ofSQS), `{"batchItemFailures":[{"itemIdentifier":7}]}`, "batchItemFailures", foreign, "", 3},
		{"SQSMoreThanABatch", batchOf(ofSQS), items(strings.Split(strings.Repeat("a-1,", 10_000)+"a-1", ",")...), "batchItemFailures", foreign, "", 3},
		{"SQSAny", batchOf(ofSQS), `{"batchItemFailures":[0,"a-1",null,{"itemIdentifier":"a-2"}]}`, "batchItemFailures", foreign, "", 3},
		{"Malformed", batchOf(ofSQS), items("a-1") + "}", "", "", "", 0},
		{"Broken", batchOf(ofSQS), `{"statusCode":500,"batchItemFailures":[{"itemIdentifier":"a-1"}`, "", "", "", 0},
		{"StatusText", `{"requestContext":{"http":{}}}`, `{"statusCode":"502"}`, "502", "answered with the status code 502", "", 0},
		{"SQSOne", `{"Records":[` + ofSQS + `]}`, items("a-#"), "batchItemFailures", "returned in batchItemFailures", "", 1},
		{"Kinesis", batchOf(ofKinesis), items("a-2"), "batchItemFailures", "1 of 3" + returned, `["shardId-000:a-2"]`, 1},
		{"DynamoDB", batchOf(ofDynamoDB), items("a-3"), "batchItemFailures", "1 of 3" + returned, `["c-3"]`, 1},
		{"NewBus", array(stored(1, "LIVE"), stored(2, "LIVE")), items("stored-2"), "batchItemFailures", "1 of 2" + returned, `["e-2"]`, 1},
		{"NewBusEventID", array(stored(1, "LIVE"), stored(2, "LIVE")), items("e-1"), "batchItemFailures", "1 of 2" + returned, `["e-1"]`, 1},
		{"NewBusOne", array(stored(1, "LIVE")), items("stored-1"), "batchItemFailures", "returned in batchItemFailures", "", 1},
		{"Kafka", `{"eventSource":"aws:kafka","records":{}}`, items("t-0"), "batchItemFailures", "returned in batchItemFailures", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFunction()
			f.Dedupe = nil // the outcome does not depend on it
			s := f.answered(t, tt.payload, tt.answer)
			set := attribute.NewSet(s.Attributes...)
			count, _ := set.Value(lineage.AttrFailedCount)
			ids := strings.ReplaceAll(attributeOf(s, lineage.AttrFailedIDs), " ", "")
			if (s.Status.Code == codes.Error) != (tt.kind != "") || s.Status.Description != tt.message || attributeOf(s, "error.type") != tt.kind {
				t.Errorf("status %v, error.type %s", s.Status, attributeOf(s, "error.type"))
			}
			if count.AsInt64() != tt.count || ids != tt.ids {
				t.Errorf("%d failed: %s", count.AsInt64(), ids)
			}
			if len(s.Events) > 0 { // no exception was thrown
				t.Errorf("events %v", s.Events)
			}
		})
	}
}

// The next delivery of a record is a retry if Lambda delivers it because it failed: of a
// stream, every record from the first that is named by its sequence number.
func TestRetriesOfStreams(t *testing.T) {
	for name, record := range map[string]string{"Kinesis": ofKinesis, "DynamoDB": ofDynamoDB} {
		t.Run(name, func(t *testing.T) {
			for n, want := range []string{"redelivery", "retry", "retry"} {
				f := newFunction()
				f.Once = false
				f.answered(t, batchOf(record), `{"batchItemFailures":[{"itemIdentifier":"a-2"}]}`)
				again := f.answered(t, `{"Records":[`+strings.ReplaceAll(record, "#", fmt.Sprint(n+1))+`]}`, "")
				if kind := attributeOf(again, lineage.AttrRepeatKind); kind != want {
					t.Errorf("record %d: %q, want %q", n+1, kind, want)
				}
			}
		})
	}
}

// An answer of many items costs little: the runtime waits for its reading.
func TestAnswersThatAreReadInPlace(t *testing.T) {
	answer := []byte(`{"batchItemFailures":[0` + strings.Repeat(",0", 500_000) + `]}`)
	if n := testing.AllocsPerRun(1, func() { readAnswer(answer) }); n > 100 {
		t.Errorf("%.0f allocations", n)
	}
}
