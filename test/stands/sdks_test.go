package stands

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/throughline/throughline/peertest"
)

// TestGo sends by an SDK that verifies the MD5 of bodies, and that fails calls
// where an answer comes in two pieces: none of a thousand may.
func TestGo(t *testing.T) {
	url := startSQS(t)
	client := sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1,
	})
	queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	body := `é "ünï" <&>`
	for range 1000 {
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue.QueueUrl, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("a"), MessageBody: &body}, {Id: aws.String("b"), MessageBody: aws.String("\x00")},
	}})
	if err != nil || len(batch.Successful) != 1 || len(batch.Failed) != 1 {
		t.Errorf("%+v %v", batch, err)
	}
	received, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10})
	if err != nil || len(received.Messages) != 10 || *received.Messages[0].Body != body {
		t.Errorf("%+v %v", received, err)
	}
	// What the SDK keeps for another call would count as a leak.
	if http, ok := client.Options().HTTPClient.(interface{ CloseIdleConnections() }); ok {
		http.CloseIdleConnections()
	}
}

// TestNode sends by the SDK for JavaScript v2, which verifies MD5s too and calls
// the queue's own URL.
func TestNode(t *testing.T) {
	modules, err := filepath.Abs("../../build/node/old/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "aws-sdk")); err != nil {
		peertest.Missing(t, "aws-sdk (`make node` installs it)")
	}
	cmd := exec.CommandContext(t.Context(), peertest.Command(t, "node"), "testdata/sqs.cjs")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules, "ENDPOINT="+startSQS(t), "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1")
	out, err := cmd.CombinedOutput()
	if want := "1 sent, batch 1 and 1 failed, received 2 é\n"; err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v %s", err, out)
	}
}
