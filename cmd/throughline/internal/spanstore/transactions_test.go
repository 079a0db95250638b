package spanstore

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow/workflowtest"
	"github.com/throughline/throughline/peertest"
)

func TestTransactionSearch(t *testing.T) {
	spans, truth := generated()
	server, client := spanstoretest.NewLogs(t, spans)
	store := TransactionSearch{Client: client, LogGroup: SpansLogGroup, Window: lastHours(24), Rows: 1000, Poll: time.Millisecond}
	checkStore(t, store, truth, false)
	checkWorkflows(t, store, truth)
	server.Fail = "Timeout"
	if _, err := store.Spans(t.Context(), truth.CorrelationID); err == nil || !strings.Contains(err.Error(), "--since") {
		t.Errorf("a query that timed out gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server.Fail, server.Failed = "Running", cancel
	if _, err := store.Spans(ctx, truth.CorrelationID); err == nil || server.Asked["StopQuery"] != 1 {
		t.Errorf("an ended context gives %v and stops %d queries", err, server.Asked["StopQuery"])
	}
	store.LogGroup = "aws/other"
	if _, err := store.Spans(t.Context(), truth.CorrelationID); err == nil || !strings.Contains(err.Error(), "update-trace-segment-destination") {
		t.Errorf("a log group that is not there gives %v", err)
	}
}

// TestTransactionSearchOfMoto asks moto's Logs Insights, which passes filters
// by: what it hands out too much must not change the tree.
func TestTransactionSearchOfMoto(t *testing.T) {
	t.Parallel()
	spans, truth := workflowtest.Workflow(150, time.Now().Add(-time.Hour))
	client := cloudwatchlogs.NewFromConfig(spanstoretest.AWS(t, peertest.MotoAccount(t), "ap-south-1"))
	stream := "default"
	if _, err := client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(SpansLogGroup)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(SpansLogGroup), LogStreamName: &stream}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(spans, func(a, b workflow.Span) int { return a.Start.Compare(b.Start) })
	for chunk := range slices.Chunk(spans, 300) {
		events := []logtypes.InputLogEvent{}
		for _, s := range chunk {
			events = append(events, logtypes.InputLogEvent{Timestamp: aws.Int64(s.Start.UnixMilli()), Message: aws.String(spanstoretest.SpanRecord(t, s))})
		}
		if _, err := client.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String(SpansLogGroup), LogStreamName: &stream, LogEvents: events}); err != nil {
			t.Fatal(err)
		}
	}
	store := TransactionSearch{Client: client, LogGroup: SpansLogGroup, Window: lastHours(24), Poll: time.Millisecond}
	found, err := store.Spans(t.Context(), truth.CorrelationID)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := truth.Check(workflow.Build(found, truth.CorrelationID), false); len(wrong) > 0 {
		t.Errorf("wrong tree:\n%s", strings.Join(wrong, "\n"))
	}
	if last, err := store.Workflows(t.Context(), true); err != nil || len(last) != 1 || last[0].CorrelationID != truth.CorrelationID {
		t.Errorf("the last is %v, %v", last, err)
	}
	store.LogGroup = "aws/none"
	if _, err := store.Spans(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "Transaction Search") {
		t.Errorf("a log group that is not there gives %v", err)
	}
}
