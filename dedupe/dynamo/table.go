package dynamo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/throughline/throughline/dedupe"
)

// Config of a [Table]. Table, Region and Credentials are required.
type Config struct {
	Table       string // its name or ARN
	Region      string
	Credentials aws.CredentialsProvider // called for each request: it should cache
	Endpoint    string                  // empty: DynamoDB's in the Region
	Client      *http.Client            // nil: a client that keeps up to 16 connections
	Now         func() time.Time        // the clock of signatures and retries; nil: time.Now
}

// Table is a [dedupe.Store] in a DynamoDB table. It is safe for concurrent use.
// Error responses of DynamoDB are returned as [*Error]. Use [New].
type Table struct {
	config Config
	signer *v4.Signer
	call   func(ctx context.Context, operation string, r *request) (*answer, error) // request, except in tests
}

var _ dedupe.Store = (*Table)(nil)

const (
	connections = 16
	idle        = 4 * time.Minute // a function may be idle between two events
)

// New returns a Table. It sends nothing: a missing table is reported at the
// first event. The error names what the configuration lacks.
func New(config Config) (*Table, error) {
	switch {
	case config.Table == "":
		return nil, errors.New("dedupe table: no name is given; write THROUGHLINE_DEDUPE=dynamodb:<table>")
	case config.Region == "":
		return nil, errors.New("dedupe table: no region is given; set AWS_REGION")
	case config.Credentials == nil:
		return nil, errors.New("dedupe table: no credentials are given")
	}
	if config.Endpoint == "" {
		config.Endpoint = "https://dynamodb." + config.Region + "." + domain(config.Region)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Client == nil {
		transport := &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: time.Second, KeepAlive: 30 * time.Second}).DialContext,
			// One connection for each concurrent call: DynamoDB does not support HTTP/2.
			MaxIdleConnsPerHost: connections, IdleConnTimeout: idle, TLSHandshakeTimeout: time.Second,
		}
		config.Client = &http.Client{Transport: transport}
	}
	t := &Table{config: config, signer: v4.NewSigner()}
	t.call = t.request
	return t, nil
}

func domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// Warm opens a connection and gets credentials, so that the first call does not
// wait for them. It needs no permission, and ignores failures: the first call
// returns the error.
func (t *Table) Warm(ctx context.Context) {
	_, _ = t.config.Credentials.Retrieve(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.config.Endpoint+"/", nil)
	if err != nil {
		return
	}
	if resp, err := t.config.Client.Do(req); err == nil { // DynamoDB responds with "healthy"
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
		_ = resp.Body.Close()
	}
}

// The condition under which a record replaces the existing one under its key:
// [dedupe.Record.Holds] as a condition expression of DynamoDB.
const (
	absent      = "attribute_not_exists(pk) OR #expiry < :seconds"
	expected    = " OR #state = :expected OR #digest = :digest AND (" // what follows, and )
	lapsed      = "#state = :claimed AND #lease < :millis"
	sameRequest = " OR #state = :claimed AND #request = :request"
	onlySeen    = " OR #state = :seen"
)

// Claim implements [dedupe.Store].
func (t *Table) Claim(ctx context.Context, key string, r dedupe.Record, now time.Time) (dedupe.Record, bool, error) {
	put := request{
		Table: t.config.Table, Item: item(key, r), Condition: absent,
		Names: names("#expiry", "expiry"), Values: attributes{":seconds": seconds(now)},
		ReturnValues: "ALL_OLD", OnFailure: "ALL_OLD",
	}
	if r.State != dedupe.Expected {
		put.Condition += expected + lapsed
		put.Names["#state"], put.Names["#lease"], put.Names["#digest"] = "state", "lease", "digest"
		put.Values[":expected"], put.Values[":claimed"] = text(string(dedupe.Expected)), text(string(dedupe.Claimed))
		put.Values[":millis"], put.Values[":digest"] = millis(now), text(r.Digest)
		if r.First.RequestID != "" {
			put.Condition += sameRequest
			put.Names["#request"], put.Values[":request"] = "request", text(r.First.RequestID)
		}
		if r.State == dedupe.Claimed {
			put.Condition += onlySeen
			put.Values[":seen"] = text(string(dedupe.Seen))
		}
		put.Condition += ")"
	}
	a, err := t.call(ctx, "PutItem", &put)
	if err != nil {
		return dedupe.Record{}, false, err
	}
	before := a.old()
	switch {
	case a.failed && own(before, r):
		// An earlier attempt was written, and its response was lost.
		return dedupe.Record{}, true, nil
	case a.failed:
		return before, false, nil
	case before.State == "" || before.Expires.Before(now.Truncate(time.Second)):
		return dedupe.Record{}, true, nil
	case own(before, r):
		return dedupe.Record{}, true, nil
	}
	return before, true, nil
}

// own reports whether the found record is the one that is being written.
func own(found, r dedupe.Record) bool {
	return found.State == r.State && found.At.UnixMilli() == r.At.UnixMilli() && found.Digest == r.Digest && found.First == r.First &&
		found.Latest == r.Latest && found.Traceparent == r.Traceparent && found.Count == r.Count &&
		(r.First.RequestID != "" || r.Traceparent != "")
}

// Repeat implements [dedupe.Store].
func (t *Table) Repeat(ctx context.Context, key string, h dedupe.Handling, digest string, now time.Time) (dedupe.Record, error) {
	a, err := t.call(ctx, "UpdateItem", &request{
		Table: t.config.Table, Key: attributes{"pk": text(key)},
		Condition:    "attribute_exists(pk) AND #expiry >= :seconds AND #state <> :expected AND #digest = :digest",
		Update:       "SET #envelope = :envelope, #request = :request, #failed = :failed ADD #count :one",
		Names:        names("#expiry", "expiry", "#state", "state", "#digest", "digest", "#envelope", "latest_envelope", "#request", "latest_request", "#failed", "latest_failed", "#count", "count"),
		Values:       attributes{":seconds": seconds(now), ":expected": text(string(dedupe.Expected)), ":digest": text(digest), ":envelope": text(h.EnvelopeID), ":request": text(h.RequestID), ":failed": flag(h.Failed), ":one": number(1)},
		ReturnValues: "ALL_OLD",
	})
	if err != nil || a.failed {
		return dedupe.Record{}, err
	}
	return a.old(), nil
}

// Settle implements [dedupe.Store].
func (t *Table) Settle(ctx context.Context, key string, o dedupe.Outcome) error {
	update := request{
		Table: t.config.Table, Key: attributes{"pk": text(key)},
		Condition: "attribute_exists(pk)", Names: names(), Values: attributes{},
	}
	var set []string
	assign := func(name string, value attribute) {
		update.Names["#"+name], update.Values[":"+name] = name, value
		set = append(set, "#"+name+" = :"+name)
	}
	if o.First {
		assign("failed", flag(o.Failed))
	}
	if o.Latest {
		assign("latest_failed", flag(o.Failed))
	}
	if o.Claimed {
		update.Condition += " AND #state = :mine AND #lease = :held AND #request = :request"
		update.Names["#state"], update.Names["#lease"], update.Names["#request"] = "state", "lease", "request"
		update.Values[":mine"], update.Values[":held"], update.Values[":request"] = text(string(dedupe.Claimed)), millis(o.Lease), text(o.RequestID)
		if o.Failed {
			assign("lease", number(0))
		} else {
			assign("state", text(string(dedupe.Completed)))
			if o.Kept {
				assign("result", binary(o.Result))
			}
		}
	}
	if len(set) == 0 {
		return nil
	}
	update.Update = "SET " + strings.Join(set, ", ")
	a, err := t.call(ctx, "UpdateItem", &update)
	if err == nil && a.failed {
		return dedupe.ErrLost
	}
	return err
}
