package dynamo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.uber.org/goleak"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/peertest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(os.Exit), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

var at = time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)

var keys = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"}, nil
})

// motoCall is one call to moto in AWS's JSON protocol.
func motoCall(tb testing.TB, url, target string, in any) map[string]any {
	tb.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		tb.Fatal(err)
	}
	service := map[string]string{"Dyn": "dynamodb", "AWS": "events", "Ama": "sqs"}[target[:3]]
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url+"/", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261123/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s %s", target, resp.Status, data)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil && len(data) > 0 {
		tb.Fatal(err)
	}
	return out
}

var made atomic.Int64

// unique is a name that no test of this process has used: they share one moto.
func unique(name string) string { return fmt.Sprint(name, "-", made.Add(1)) }

// createTable makes a table whose key is the attribute key, and returns its name.
func createTable(tb testing.TB, url, name, key string) string {
	tb.Helper()
	name = unique(name)
	motoCall(tb, url, "DynamoDB_20120810.CreateTable", map[string]any{
		"TableName": name, "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []any{map[string]string{"AttributeName": key, "AttributeType": "S"}},
		"KeySchema":            []any{map[string]string{"AttributeName": key, "KeyType": "HASH"}},
	})
	return name
}

func table(tb testing.TB, url, name string) *Table {
	tb.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	tb.Cleanup(client.CloseIdleConnections)
	t, err := New(Config{Table: name, Region: "us-east-1", Endpoint: url, Credentials: keys, Client: client})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// TestTableIsAsMemory holds the table, with the conditions that DynamoDB reads,
// to the store that package dedupe has in memory.
func TestTableIsAsMemory(t *testing.T) {
	url := peertest.Moto(t)
	real, want := table(t, url, createTable(t, url, "as-memory", "pk")), new(dedupe.Memory)
	random := rand.New(rand.NewPCG(6, 1))
	states := []dedupe.State{dedupe.Expected, dedupe.Seen, dedupe.Claimed}
	rounds := 400
	if os.Getenv("THROUGHLINE_SOAK") == "1" {
		rounds = 8000
	}
	leases := map[string]dedupe.Record{}
	for i := range rounds {
		key := fmt.Sprint("portfolio#event-", random.IntN(20))
		now := at.Add(time.Duration(i) * 10 * time.Second)
		request := fmt.Sprint("r-", random.IntN(3))
		h := dedupe.Handling{EnvelopeID: fmt.Sprint("env-", random.IntN(3)), RequestID: request, Failed: random.IntN(4) == 0}
		var got, expected string
		switch random.IntN(4) {
		case 0, 1:
			r := dedupe.Record{
				State: states[random.IntN(3)], At: now, First: h, Latest: h, Traceparent: fmt.Sprint("tp-", i), Count: 1,
				Expires: now.Add(time.Duration(1+random.IntN(60)) * time.Minute).Truncate(time.Second),
			}
			if r.State == dedupe.Expected {
				r.First, r.Latest, r.Traceparent, r.Count = dedupe.Handling{}, dedupe.Handling{}, "", 0
			}
			if r.State == dedupe.Claimed {
				r.Lease = now.Add(time.Duration(random.IntN(300)) * time.Second)
			}
			before, won, err := real.Claim(t.Context(), key, r, now)
			got = fmt.Sprintf("claim %+v %v %v", before, won, err)
			before, won, err = want.Claim(t.Context(), key, r, now)
			expected = fmt.Sprintf("claim %+v %v %v", before, won, err)
			if won {
				leases[key] = r
			}
		case 2:
			before, err := real.Repeat(t.Context(), key, h, now)
			got = fmt.Sprintf("repeat %+v %v", before, err)
			before, err = want.Repeat(t.Context(), key, h, now)
			expected = fmt.Sprintf("repeat %+v %v", before, err)
		default:
			o := dedupe.Outcome{First: random.IntN(2) == 0, Latest: true, Failed: random.IntN(2) == 0}
			if r := leases[key]; r.State == dedupe.Claimed && random.IntN(2) == 0 {
				o.Claimed, o.RequestID, o.Lease = true, r.First.RequestID, r.Lease
				if !o.Failed {
					o.Kept, o.Result = true, []byte("done")
				}
			}
			got, expected = fmt.Sprint("settle ", real.Settle(t.Context(), key, o)), fmt.Sprint("settle ", want.Settle(t.Context(), key, o))
		}
		if got != expected {
			t.Fatalf("round %d, %s:\n got %s\nwant %s", i, key, got, expected)
		}
	}
}
