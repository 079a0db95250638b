package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/peertest"
)

// answering is a table whose answers are given.
func answering(t *testing.T, handle http.HandlerFunc) *Table {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return table(t, server.URL, "seen")
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":%q}`, code, message)
}

var seen = dedupe.Record{State: dedupe.Seen, At: at, First: dedupe.Handling{EnvelopeID: "env-1", RequestID: "r-1"}, Latest: dedupe.Handling{EnvelopeID: "env-1", RequestID: "r-1"}, Count: 1, Expires: at.Add(time.Hour)}

func TestErrorsSayWhatToDo(t *testing.T) {
	for name, tt := range map[string]struct {
		status        int
		code, message string
		want          string
		calls         int32
		throttled     bool
	}{
		"NoTable":       {400, "ResourceNotFoundException", "Requested resource not found", "throughline dedupe create-table --table seen", 1, false},
		"WrongKey":      {400, "ValidationException", "One or more parameter values were invalid: Missing the key id in the item", "has not the string pk as its only key", 1, false},
		"TooLarge":      {400, "ValidationException", "Item size has exceeded the maximum allowed size", "Item size has exceeded", 1, false},
		"Denied":        {400, "AccessDeniedException", "User is not authorized", "allow the function's role dynamodb:PutItem and dynamodb:UpdateItem", 1, false},
		"BadToken":      {400, "UnrecognizedClientException", "The security token is invalid", "does not take the credentials", 1, false},
		"Throttled":     {400, "ProvisionedThroughputExceededException", "slow down", "make it on-demand", 3, true},
		"OwnFault":      {500, "InternalServerError", "", "AWS health dashboard", 3, false},
		"NotDynamoDB":   {502, "", "", "HTTP 502", 3, false},
		"SomethingElse": {400, "ItemCollectionSizeLimitExceededException", "too large", "too large", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			store := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				if tt.code == "" {
					w.WriteHeader(tt.status)
					return
				}
				refuse(w, tt.status, tt.code, tt.message)
			})
			_, won, err := store.Claim(t.Context(), "k", seen, at)
			if won || err == nil || !strings.Contains(err.Error(), tt.want) || Throttled(err) != tt.throttled {
				t.Errorf("won %v, error %v", won, err)
			}
			if n := calls.Load(); n != tt.calls {
				t.Errorf("sent %d times, want %d", n, tt.calls)
			}
		})
	}
}

// TestErrorsOfAnActualTable holds the two texts that we read to what a table says.
func TestErrorsOfAnActualTable(t *testing.T) {
	url := peertest.Moto(t)
	other := peertest.MotoTable(t, url, "other-key", "id")
	for name, want := range map[string]string{"missing": "there is no dedupe table missing in us-east-1", other: "has not the string pk"} {
		if _, _, err := table(t, url, name).Claim(t.Context(), "k", seen, at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBadTableIsSaidOnceAndEventsGoOn asks a table that is not there a thousand times.
func TestBadTableIsSaidOnceAndEventsGoOn(t *testing.T) {
	store := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 400, "ResourceNotFoundException", "Requested resource not found")
	})
	var mu sync.Mutex
	var said []string
	c := dedupe.New(dedupe.Config{Store: store, Wait: time.Second, Warn: func(m string) {
		mu.Lock()
		said = append(said, m)
		mu.Unlock()
	}})
	for i := range 1000 {
		p := c.Start(t.Context(), []dedupe.Delivery{{Consumer: "f", EventID: fmt.Sprint(i), At: at}})
		if v := p.Verdicts(t.Context())[0]; !v.Unknown || v.Kind != "" {
			t.Fatalf("event %d: %+v", i, v)
		}
		p.Done(t.Context(), i%2 == 0)
	}
	if len(said) != 1 || !strings.Contains(said[0], "create-table") {
		t.Errorf("said %q", said)
	}
}

// TestLostAnswerIsNoRepeat cuts the connection after the write.
func TestLostAnswerIsNoRepeat(t *testing.T) {
	var calls atomic.Int32
	var first atomic.Value
	store := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if calls.Add(1) == 1 {
			first.Store(string(body))
			panic(http.ErrAbortHandler)
		}
		item := first.Load().(string)
		item = item[strings.Index(item, `"Item":`):strings.Index(item, `,"ConditionExpression"`)]
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",%s}`, item)
	})
	before, won, err := store.Claim(t.Context(), "k", seen, at)
	if err != nil || !won || before.State != "" {
		t.Errorf("got %+v, %v, %v", before, won, err)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestWhatCountsIsNotSentAgainWhenItsAnswerIsLost(t *testing.T) {
	var calls atomic.Int32
	store := answering(t, func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		panic(http.ErrAbortHandler)
	})
	if _, err := store.Repeat(t.Context(), "k", seen.First, "", at); err == nil || calls.Load() != 1 {
		t.Errorf("%d calls, error %v", calls.Load(), err)
	}
}

// TestWarm: the first call after it uses its connection.
func TestWarm(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	store := table(t, server.URL, "seen")
	dedupe.New(dedupe.Config{Store: store}).Warm(t.Context())
	if connections.Load() != 1 {
		t.Fatalf("%d connections", connections.Load())
	}
	if _, won, err := store.Claim(t.Context(), "k", seen, at); err != nil || !won || connections.Load() != 1 {
		t.Errorf("%v, %v, %d connections", won, err, connections.Load())
	}
	var none *dedupe.Checker
	none.Warm(t.Context())
	dedupe.New(dedupe.Config{Store: new(dedupe.Memory)}).Warm(t.Context())
	server.Close()
	store.Warm(t.Context()) // says nothing
}

// TestSigned signs what arrived once more.
func TestSigned(t *testing.T) {
	var mu sync.Mutex
	var problem string
	store := answering(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		problem = resign(r)
		fmt.Fprint(w, "{}")
	})
	if _, won, err := store.Claim(t.Context(), "k", seen, at); err != nil || !won {
		t.Fatal(won, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if problem != "" {
		t.Error(problem)
	}
}

func resign(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	given := r.Header.Get("Authorization")
	when, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err.Error()
	}
	again, _ := http.NewRequest(r.Method, "http://"+r.Host+"/", strings.NewReader(string(body)))
	again.Header.Set("Content-Type", r.Header.Get("Content-Type"))
	again.Header.Set("X-Amz-Target", r.Header.Get("X-Amz-Target"))
	c, _ := keys.Retrieve(context.Background())
	if err := v4.NewSigner().SignHTTP(context.Background(), c, again, sha(body), "dynamodb", "us-east-1", when); err != nil {
		return err.Error()
	}
	if want := again.Header.Get("Authorization"); given != want {
		return "got " + given + "\nwant " + want
	}
	if r.Header.Get("X-Amz-Target") != "DynamoDB_20120810.PutItem" {
		return r.Header.Get("X-Amz-Target")
	}
	return ""
}

func TestConfiguration(t *testing.T) {
	for want, c := range map[string]Config{
		"dynamodb:<table>": {Region: "us-east-1", Credentials: keys},
		"AWS_REGION":       {Table: "seen", Credentials: keys},
		"credentials":      {Table: "seen", Region: "us-east-1"},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for region, want := range map[string]string{"eu-west-1": "https://dynamodb.eu-west-1.amazonaws.com", "cn-north-1": "https://dynamodb.cn-north-1.amazonaws.com.cn"} {
		if tb, err := New(Config{Table: "seen", Region: region, Credentials: keys}); err != nil || tb.config.Endpoint != want {
			t.Errorf("%s: %v", region, err)
		}
	}
}

func TestCredentialsThatAreNotThere(t *testing.T) {
	none := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("none") })
	store, err := New(Config{Table: "seen", Region: "us-east-1", Credentials: none})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Claim(t.Context(), "k", seen, at); err == nil || !strings.Contains(err.Error(), "get credentials: none") {
		t.Error(err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(400, `{"__type":"x#ConditionalCheckFailedException","Item":{"pk":{"S":"k"},"at":{"N":"1"},"count":{"N":"-"},"result":{"B":"!"}}}`)
	f.Add(200, `{"Attributes":{"state":{"N":"1"},"expiry":{"N":"99999999999999999999"}}}`)
	f.Add(500, "")
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
		})}
		store, err := New(Config{Table: "seen", Region: "us-east-1", Credentials: keys, Client: client})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if before, won, err := store.Claim(ctx, "k", seen, at); err == nil && !won && before.State == "" {
			t.Errorf("neither won nor lost: %+v", before)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func sha(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
