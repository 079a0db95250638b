package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/cbor"
)

// eventBridgeV2 publishes events to a new custom bus. Your functions use the client of
// github.com/aws/aws-sdk-go-v2/service/eventbridgev2 instead, whose PutEvents also works
// with publisher.Decorate.
type eventBridgeV2 struct {
	config aws.Config
	url    string
}

// putEventsInput and the types below have the fields of that client's types that are
// used.
type putEventsInput struct {
	EventBusArn *string
	Entries     []putEventsEntry
}

type putEventsEntry struct {
	Source, DetailType, Detail *string
	Resources                  []string
}

type putEventsOutput struct {
	Entries          []putEventsResult
	FailedEntryCount int32
}

type putEventsResult struct {
	EventId, SequenceNumber, ErrorCode, ErrorMessage *string
	SuccessCode                                      string
}

// PutEvents publishes events, in Smithy's protocol rpc-v2-cbor.
func (c *eventBridgeV2) PutEvents(ctx context.Context, in *putEventsInput, _ ...func(*struct{})) (*putEventsOutput, error) {
	entries := cbor.List{}
	for _, e := range in.Entries {
		resources := cbor.List{}
		for _, line := range e.Resources {
			resources = append(resources, cbor.String(line))
		}
		entries = append(entries, cbor.Map{"Source": cbor.String(*e.Source), "DetailType": cbor.String(*e.DetailType), "Detail": cbor.String(*e.Detail), "Resources": resources})
	}
	answer, err := c.call(ctx, cbor.Encode(cbor.Map{"EventBusArn": cbor.String(*in.EventBusArn), "Entries": entries}))
	if err != nil {
		return nil, fmt.Errorf("put events on a new bus: %w", err)
	}
	out := &putEventsOutput{}
	results, _ := answer["Entries"].(cbor.List)
	for _, r := range results {
		m, _ := r.(cbor.Map)
		result := putEventsResult{EventId: text(m, "EventId"), SequenceNumber: text(m, "SequenceNumber"), ErrorCode: text(m, "ErrorCode"), ErrorMessage: text(m, "ErrorMessage"),
			SuccessCode: aws.ToString(text(m, "SuccessCode"))}
		if result.ErrorCode != nil {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, result)
	}
	return out, nil
}

func text(m cbor.Map, name string) *string {
	if s, ok := m[name].(cbor.String); ok {
		return aws.String(string(s))
	}
	return nil
}

func (c *eventBridgeV2) call(ctx context.Context, body []byte) (cbor.Map, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/service/AWSEventsV2/operation/PutEvents", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	req.Header.Set("Content-Type", "application/cbor")
	credentials, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), "events", c.config.Region, time.Now()); err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	v, err := cbor.Decode(data)
	answer, ok := v.(cbor.Map)
	switch {
	case err != nil || !ok:
		return nil, errors.New("the response is not CBOR: " + resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", resp.Status, aws.ToString(text(answer, "__type")))
	}
	return answer, nil
}
