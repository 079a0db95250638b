package dynamo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.uber.org/goleak"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/peertest"
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

// stood is a table over the stand-in.
func stood(tb testing.TB, s *standIn) *Table {
	tb.Helper()
	t, err := New(Config{Table: "seen", Region: "us-east-1", Endpoint: "http://127.0.0.1:1", Credentials: keys, Client: &http.Client{Transport: s}})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// direct is a table over the stand-in that makes no requests: signing, writing
// and reading them takes most of a call's time, and the mixed calls go through that.
func direct(tb testing.TB, s *standIn) *Table {
	t := stood(tb, s)
	t.call = s.call
	return t
}

// TestStandInIsAsMoto holds our stand-in for DynamoDB to moto, answer by answer,
// and so does TestStandInIsAsMemory with the store that package dedupe has in memory.
func TestStandInIsAsMoto(t *testing.T) {
	url := peertest.Moto(t)
	mixedCalls(t, stood(t, new(standIn)), table(t, url, peertest.MotoTable(t, url, "as-moto", "pk")), 1000)
}

func TestStandInIsAsMemory(t *testing.T) {
	mixedCalls(t, direct(t, new(standIn)), new(dedupe.Memory), 20_000)
}

// mixedCalls makes the same calls to two stores and compares what they answer.
func mixedCalls(t *testing.T, got, want dedupe.Store, calls int) {
	t.Helper()
	random := rand.New(rand.NewPCG(6, 1))
	states := []dedupe.State{dedupe.Expected, dedupe.Seen, dedupe.Claimed}
	last := map[string]dedupe.Record{}
	answers := map[string]int{}
	for i, made := 0, 0; made < calls; i++ {
		key := fmt.Sprint("portfolio#event-", random.IntN(20))
		now := at.Add(time.Duration(i) * 10 * time.Second)
		digest := []string{"", "a", "b"}[max(random.IntN(6)-3, 0)]
		h := dedupe.Handling{EnvelopeID: fmt.Sprint("env-", random.IntN(3)), RequestID: []string{"", "r-1", "r-2"}[random.IntN(3)], Failed: random.IntN(4) == 0}
		var call func(dedupe.Store) string
		switch random.IntN(4) {
		case 0, 1:
			r := dedupe.Record{
				State: states[random.IntN(3)], At: now, Digest: digest, First: h, Latest: h, Traceparent: fmt.Sprint("tp-", i), Count: 1,
				Expires: now.Add(time.Duration(1+random.IntN(60)) * time.Minute).Truncate(time.Second),
			}
			if r.State == dedupe.Expected {
				r.Digest, r.First, r.Latest, r.Traceparent, r.Count = "", dedupe.Handling{}, dedupe.Handling{}, "", 0
			}
			if r.State == dedupe.Claimed {
				r.Lease = now.Add(time.Duration(random.IntN(300)) * time.Second)
			}
			call = func(s dedupe.Store) string {
				before, won, err := s.Claim(t.Context(), key, r, now)
				if won {
					last[key] = r
				}
				return fmt.Sprintf("claim %v %+v %v", won, before, err)
			}
		case 2:
			call = func(s dedupe.Store) string {
				before, err := s.Repeat(t.Context(), key, h, digest, now)
				return fmt.Sprintf("repeat %v %+v %v", before.State != "", before, err)
			}
		default:
			o := dedupe.Outcome{First: random.IntN(2) == 0, Latest: true, Failed: random.IntN(2) == 0}
			r := last[key]
			if r.State == "" || r.Expires.Before(now) {
				continue // when what has expired is forgotten differs
			}
			if r.State == dedupe.Claimed && random.IntN(2) == 0 {
				o.Claimed, o.RequestID, o.Lease = true, r.First.RequestID, r.Lease
				if !o.Failed {
					o.Kept, o.Result = true, []byte("done")
				}
			}
			call = func(s dedupe.Store) string { return fmt.Sprint("settle ", s.Settle(t.Context(), key, o)) }
		}
		made++
		one, other := call(got), call(want)
		if one != other {
			t.Fatalf("round %d, %s:\n got %s\nwant %s", i, key, one, other)
		}
		words := strings.Fields(one)
		answers[words[0]+words[1]]++
	}
	for _, answer := range []string{"claimtrue", "claimfalse", "repeattrue", "repeatfalse", "settle<nil>", "settlethe"} {
		if answers[answer] < calls/100 {
			t.Errorf("too few of %s: %v", answer, answers)
		}
	}
}
