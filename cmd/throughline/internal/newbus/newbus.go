// Package newbus reads EventBridge's new custom buses of an account (API EventBridgeV2): its
// buses and their subscribers; and it publishes single events, for trials. It speaks the
// API's one protocol, smithy-rpc-v2-cbor, itself.
package newbus

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/internal/pause"
)

// Client reads an account. Use [New]. It is safe for concurrent use.
type Client struct {
	cfg      aws.Config
	endpoint string // "" for AWS's own
}

// New returns a Client for a Region and its credentials. AWS_ENDPOINT_URL_EVENTBRIDGEV2 goes
// before the configuration's own endpoint, as with AWS's SDKs.
func New(cfg aws.Config) *Client {
	return &Client{cfg: cfg, endpoint: cmp.Or(os.Getenv("AWS_ENDPOINT_URL_EVENTBRIDGEV2"), aws.ToString(cfg.BaseEndpoint))}
}

// host is where calls go to: AWS's SDKs put the account in front.
func (c *Client) host(credentials aws.Credentials) string {
	if c.endpoint != "" {
		return strings.TrimSuffix(c.endpoint, "/")
	}
	suffix := "amazonaws.com"
	if strings.HasPrefix(c.cfg.Region, "cn-") {
		suffix += ".cn"
	}
	host := "eventsv2." + c.cfg.Region + "." + suffix
	if credentials.AccountID != "" {
		host = credentials.AccountID + "." + host
	}
	return "https://" + host
}

const (
	attempts  = 4
	firstWait = 200 * time.Millisecond
	maxAnswer = 16 << 20
	maxPages  = 1000
)

// call makes one call whose members are texts.
func (c *Client) call(ctx context.Context, operation string, in map[string]string, out any) error {
	members := cbor.Map{}
	for name, value := range in {
		members[name] = cbor.String(value)
	}
	return c.callWith(ctx, operation, members, out)
}

// callWith makes one call and puts the answer into out. Throttled calls, and those that the
// service failed, are made again.
func (c *Client) callWith(ctx context.Context, operation string, in cbor.Map, out any) error {
	body := cbor.Encode(in)
	for attempt, wait := 1, firstWait; ; attempt, wait = attempt+1, 2*wait {
		again, err := c.once(ctx, operation, body, out)
		if err == nil {
			return nil
		}
		if !again || attempt == attempts || pause.For(ctx, wait) != nil {
			return fmt.Errorf("EventBridgeV2 %s: %w", operation, err)
		}
	}
}

// once makes one attempt; again says whether another one may succeed.
func (c *Client) once(ctx context.Context, operation string, body []byte, out any) (again bool, err error) {
	if c.cfg.Credentials == nil {
		return false, errors.New("there are no credentials")
	}
	credentials, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return false, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.host(credentials)+"/service/AWSEventsV2/operation/"+operation, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	r.Header.Set("Accept", "application/cbor")
	r.Header.Set("Content-Type", "application/cbor")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), "events", c.cfg.Region, time.Now()); err != nil {
		return false, err
	}
	client := c.cfg.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return ctx.Err() == nil, fmt.Errorf("read the answer: %w", err)
	case len(data) > maxAnswer:
		return false, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	value, err := decode(data)
	if answer.StatusCode != http.StatusOK {
		return answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500, problem(answer.StatusCode, value)
	}
	if err != nil {
		return false, fmt.Errorf("the answer is not in CBOR (%d): %w", answer.StatusCode, err)
	}
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return false, fmt.Errorf("understand the answer: %w", err)
	}
	return false, nil
}

// problem is an error of the API.
func problem(status int, value any) error {
	m, _ := value.(map[string]any)
	code, _ := m["__type"].(string)
	if _, name, ok := strings.Cut(code, "#"); ok {
		code = name
	}
	says, _ := m["Message"].(string)
	if says == "" {
		says, _ = m["message"].(string)
	}
	fault := smithy.FaultClient
	if status >= 500 {
		fault = smithy.FaultServer
	}
	return &smithy.GenericAPIError{Code: cmp.Or(code, fmt.Sprintf("HTTP%d", status)), Message: says, Fault: fault}
}

// decode is a body as encoding/json has values. Times are RFC 3339.
func decode(body []byte) (any, error) {
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return nil, err
	}
	return plain(v), nil
}

func plain(v cbor.Value) any {
	switch v := v.(type) {
	case cbor.Map:
		m := make(map[string]any, len(v))
		for key, value := range v {
			if of := plain(value); of != nil {
				m[key] = of
			}
		}
		return m
	case cbor.List:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case cbor.String:
		return string(v)
	case cbor.Slice:
		return []byte(v)
	case cbor.Bool:
		return bool(v)
	case *cbor.Tag:
		if at, err := cbor.AsTime(v); err == nil {
			return at.UTC().Format(time.RFC3339Nano)
		}
		return nil
	default:
		if n, err := cbor.AsInt64(v); err == nil {
			return n
		}
		if f, err := cbor.AsFloat64(v); err == nil && f-f == 0 { // neither infinite nor no number
			return f
		}
		return nil
	}
}
