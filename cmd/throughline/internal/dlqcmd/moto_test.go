package dlqcmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/peertest"
)

// TestMoto lists, shows and redrives against moto, which keeps no trace header.
func TestMoto(t *testing.T) {
	s := newStand(t)
	s.url = peertest.MotoAccount(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg.BaseEndpoint = &s.url
	client := sqs.NewFromConfig(cfg)
	create := func(name string, attributes map[string]string) (url, arn string) {
		made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		of, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
		if err != nil {
			t.Fatal(err)
		}
		return *made.QueueUrl, of.Attributes["QueueArn"]
	}
	failed, arn := create("failed", nil)
	trades, _ := create("trades", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"1"}`, arn)})
	work, workARN := create("work", nil)
	for i := range 24 {
		input := &sqs.SendMessageInput{QueueUrl: &failed, MessageBody: aws.String(event(fmt.Sprint("order-", i), "OrderPlaced")), MessageAttributes: map[string]types.MessageAttributeValue{
			"mine": {DataType: aws.String("String"), StringValue: aws.String("kept")}, "bytes": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 2}},
		}, MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String(header)}}}
		if i%2 == 0 {
			input.MessageAttributes["RULE_ARN"] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(placed)}
			input.MessageAttributes["TARGET_ARN"] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &workARN}
			input.MessageAttributes["ERROR_CODE"] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("THROTTLING")}
		}
		if _, err := client.SendMessage(t.Context(), input); err != nil {
			t.Fatal(err)
		}
	}
	out, code := s.run("failed", "--json")
	var contents []Contents
	if err := json.Unmarshal([]byte(out[strings.Index(out, "["):]), &contents); err != nil || code != terminal.Found || contents[0].Read != 24 || len(contents[0].Groups) != 2 || contents[0].Groups[0].Count != 12 {
		t.Errorf("%d %v\n%s", code, err, out)
	}
	if out, code := s.run("show", "failed", "order-7"); code != 0 || !strings.Contains(out, "back to      queue trades") {
		t.Errorf("%d\n%s", code, out)
	}
	if out, code := s.run("redrive", "failed", "--all", "--yes", "--rate", "0", "--journal", s.file("j")); code != 0 || !strings.Contains(out, "24 messages of failed sent, 24 deleted") || !strings.Contains(out, "12 to queue trades") || !strings.Contains(out, "12 to queue work") {
		t.Errorf("%d\n%s", code, out)
	}
	for _, url := range []string{trades, work} {
		n := 0
		for {
			got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Messages) == 0 {
				break
			}
			for _, m := range got.Messages {
				n++
				if len(m.MessageAttributes) != 2 || string(m.MessageAttributes["bytes"].BinaryValue) != "\x00\x01\x02" {
					t.Error("another message", *m.Body)
				}
			}
		}
		if n != 12 {
			t.Errorf("%d messages in %s", n, url)
		}
	}
}
