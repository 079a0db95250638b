package dynamo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
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
	real, want := table(t, url, peertest.MotoTable(t, url, "as-memory", "pk")), new(dedupe.Memory)
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
