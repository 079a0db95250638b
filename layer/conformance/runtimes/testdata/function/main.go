// Command function is a user's function in Go: it does what its event says, and
// knows nothing of Throughline.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

type task struct {
	Do, ID, Text string
	Seconds      float64
}

func publish(ctx context.Context, id string) (any, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	detail := fmt.Sprintf(`{"event_id": %q, "n": 12345678901234567890, "text": "< ünï"}`, id)
	out, err := eventbridge.NewFromConfig(c).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("s"), DetailType: aws.String("Planned"), Detail: &detail},
	}})
	if err != nil {
		return nil, err
	}
	return map[string]any{"failed": out.FailedEntryCount, "entries": len(out.Entries)}, nil
}

func call(ctx context.Context) (any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("API")+"/v2/clock", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	return map[string]any{"plain": resp.StatusCode}, resp.Body.Close()
}

func handle(ctx context.Context, t task) (any, error) {
	fmt.Println("handles", t.ID)
	switch t.Do {
	case "publish":
		return publish(ctx, t.ID)
	case "call":
		return call(ctx)
	case "fail":
		return nil, errors.New("no: " + t.ID + " ünï" + t.Text)
	case "exit":
		os.Exit(3)
	case "sleep":
		time.Sleep(time.Minute)
	case "rest":
		time.Sleep(time.Duration(t.Seconds * float64(time.Second)))
		return map[string]any{"rested": t.ID}, nil
	case "large":
		return map[string]any{"text": strings.Repeat("z", 5<<20), "read": len(t.Text)}, nil
	}
	return nil, errors.New("what?")
}

func main() { lambda.Start(handle) }
