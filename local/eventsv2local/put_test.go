package eventsv2local

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/local/clock"
)

func TestWholeRequestsAreRefused(t *testing.T) {
	s := newStage(t, Options{Limit: 1000})
	many := func(n int) []Entry {
		list := make([]Entry, n)
		for i := range list {
			list[i] = Entry{Source: "s", DetailType: "T"}
		}
		return list
	}
	keys := map[string]string{}
	for n := range 101 {
		keys[strings.Repeat("k", n+1)] = "v"
	}
	for name, tt := range map[string]struct {
		bus     string
		entries []Entry
		raw     bool
		want    string
	}{
		"Fine":               {s.bus.ARN, many(100), false, ""},
		"NoEntry":            {s.bus.ARN, nil, false, "InvalidInputException"},
		"TooManyEntries":     {s.bus.ARN, many(101), false, "InvalidInputException"},
		"UnknownBus":         {s.bus.ARN[:len(s.bus.ARN)-1] + "-", many(1), false, "ResourceNotFoundException"},
		"ABusByName":         {"orders", many(1), false, "ResourceNotFoundException"},
		"TooLarge":           {s.bus.ARN, []Entry{{Source: "s", DetailType: "T", Detail: `"` + strings.Repeat("x", 1000) + `"`}}, false, "InvalidInputException"},
		"NoSource":           {s.bus.ARN, []Entry{{DetailType: "T"}}, false, "InvalidInputException"},
		"LongType":           {s.bus.ARN, []Entry{{Source: "s", DetailType: strings.Repeat("T", 129)}}, false, "InvalidInputException"},
		"TooManyResources":   {s.bus.ARN, []Entry{{Source: "s", DetailType: "T", Resources: make([]string, 101)}}, false, "InvalidInputException"},
		"ALongResource":      {s.bus.ARN, []Entry{{Source: "s", DetailType: "T", Resources: []string{strings.Repeat("r", 2049)}}}, false, "InvalidInputException"},
		"TooManyKeys":        {s.bus.ARN, []Entry{{ContentType: typeJSON, Data: []byte("1"), Metadata: keys}}, true, "InvalidInputException"},
		"ASlashInAKey":       {s.bus.ARN, []Entry{{ContentType: typeJSON, Data: []byte("1"), Metadata: map[string]string{"a/b": "v"}}}, true, "InvalidInputException"},
		"AnEmptyValue":       {s.bus.ARN, []Entry{{ContentType: typeJSON, Data: []byte("1"), Metadata: map[string]string{"a": ""}}}, true, "InvalidInputException"},
		"NoContentType":      {s.bus.ARN, []Entry{{Data: []byte("1")}}, true, "InvalidInputException"},
		"MetadataCountsToo":  {s.bus.ARN, []Entry{{ContentType: typeJSON, Data: []byte("1"), Metadata: map[string]string{"a": strings.Repeat("v", 1000)}}}, true, "InvalidInputException"},
		"AnEmptyResourceToo": {s.bus.ARN, []Entry{{Source: "s", DetailType: "T", Resources: make([]string, 100)}}, false, ""},
	} {
		results, err := s.Put(tt.bus, tt.entries, tt.raw, false)
		if code(err) != tt.want || err == nil && len(results) != len(tt.entries) {
			t.Errorf("%s: %v, %d results", name, err, len(results))
		}
	}
}

func TestEntriesAreRefusedAlone(t *testing.T) {
	s := newStage(t, Options{})
	for name, tt := range map[string]struct {
		entry Entry
		raw   bool
		want  string
	}{
		"Fine":             {Entry{Source: "s", DetailType: "T"}, false, ""},
		"OfAWS":            {Entry{Source: "aws.s", DetailType: "T"}, false, "VALIDATION_ERROR"},
		"NoJSON":           {Entry{Source: "s", DetailType: "T", Detail: "{"}, false, "VALIDATION_ERROR"},
		"Raw":              {Entry{ContentType: "application/octet-stream", Data: []byte{0}}, true, ""},
		"RawNoJSON":        {Entry{ContentType: typeJSON, Data: []byte("{")}, true, "VALIDATION_ERROR"},
		"RawOfAnotherType": {Entry{ContentType: typeEvent, Data: []byte("{}")}, true, "VALIDATION_ERROR"},
	} {
		results, err := s.Put(s.bus.ARN, []Entry{tt.entry}, tt.raw, false)
		if err != nil || results[0].ErrorCode != tt.want || (results[0].SuccessCode == published) != (tt.want == "") || (results[0].EventID == "") != (tt.want != "") {
			t.Errorf("%s: %+v, %v", name, results, err)
		}
	}
	s.FailEntries("Throttled", 1)
	if r := s.put("{}", "{}"); r[0].ErrorCode != "Throttled" || r[1].ErrorCode != "" {
		t.Errorf("%+v", r)
	}
	if l := s.Ledger(); l.Refused != 5 || len(l.Published) != 3 {
		t.Errorf("%d refused, %d published", l.Refused, len(l.Published))
	}
}

func TestDeduplication(t *testing.T) {
	c := clock.New(noon, 0)
	for _, all := range []bool{false, true} {
		s := newStage(t, Options{Clock: c, HashAll: all})
		put := func(e Entry, byContent bool) string {
			t.Helper()
			results, err := s.Put(s.bus.ARN, []Entry{e}, false, byContent)
			if err != nil {
				t.Fatal(err)
			}
			return results[0].SuccessCode
		}
		e := Entry{Source: "s", DetailType: "T", Detail: "{}"}
		id := e
		id.DeduplicationID = "d-1"
		group := id
		group.Group = "g"
		other := e
		other.Resources = []string{"traceparent:x"}
		resourcesMatter := map[bool]string{false: deduplicated, true: published}[all]
		for i, tt := range []struct {
			e         Entry
			byContent bool
			want      string
		}{
			{e, false, published}, {e, false, published}, {e, true, published}, {e, true, deduplicated}, {other, true, resourcesMatter},
			{id, false, published}, {id, false, deduplicated}, {id, true, deduplicated}, {group, false, published},
		} {
			if got := put(tt.e, tt.byContent); got != tt.want {
				t.Errorf("hash of all %v: %d is %s, want %s", all, i, got, tt.want)
			}
		}
		c.Advance(rememberedFor)
		if got := put(id, false); got != published {
			t.Errorf("after the window: %s", got)
		}
	}
}

func TestABusIsCreatingAtFirst(t *testing.T) {
	c := clock.New(noon, 0)
	s := newStage(t, Options{Clock: c, Provisioning: time.Minute})
	if _, err := s.Put(s.bus.ARN, []Entry{{Source: "s", DetailType: "T"}}, false, false); code(err) != "InvalidStateException" {
		t.Error(err)
	}
	if _, err := s.bus.Subscribe(Spec{Name: "a", Invoke: Invoke{TargetARN: function}}); code(err) != "InvalidStateException" {
		t.Error(err)
	}
	c.Advance(time.Minute)
	s.put("{}")
	if _, err := s.bus.Subscribe(Spec{Name: "a", Invoke: Invoke{TargetARN: function}}); err != nil {
		t.Error(err)
	}
	if _, err := s.bus.Subscribe(Spec{Name: "b", Invoke: Invoke{TargetARN: function}}); code(err) != "ConcurrentModificationException" {
		t.Error(err)
	}
	c.Advance(time.Minute)
	if _, err := s.bus.Subscribe(Spec{Name: "a", Invoke: Invoke{TargetARN: function}}); code(err) != "ResourceAlreadyExistsException" {
		t.Error(err)
	}
}

// call sends a request in CBOR, with definite lengths.
func call(t *testing.T, url, operation string, in cbor.Value) (int, cbor.Map) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+prefix+operation, bytes.NewReader(cbor.Encode(in)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	r.Header.Set("Content-Type", "application/cbor")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		t.Fatalf("%v %v", err, resp.Header)
	}
	v, err := cbor.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := v.(cbor.Map)
	return resp.StatusCode, m
}

func TestCallsInCBOR(t *testing.T) {
	s := newStage(t, Options{})
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	entries := cbor.List{cbor.Map{"Source": cbor.String("s"), "DetailType": cbor.String("T"), "Detail": cbor.String("{}"), "Time": &cbor.Tag{ID: 1, Value: cbor.Uint(1795773600)}}}
	in := cbor.Map{"EventBusArn": cbor.String(s.bus.ARN), "Entries": entries}
	status, out := call(t, url, "PutEvents", in)
	list, _ := out["Entries"].(cbor.List)
	if status != 200 || out["FailedEntryCount"] != nil || len(list) != 1 || list[0].(cbor.Map)["SuccessCode"] != cbor.String(published) {
		t.Errorf("%d %v", status, out)
	}
	if e := s.Ledger().Published[0]; !e.Time.Equal(time.Unix(1795773600, 0)) || e.Size != 18 {
		t.Errorf("published %+v", e)
	}
	s.Throttle(1)
	if status, out := call(t, url, "PutEvents", in); status != 429 || !strings.HasSuffix(string(out["__type"].(cbor.String)), "#ThrottlingException") {
		t.Errorf("%d %v", status, out)
	}
	s.Cut(1)
	if status, _ := call(t, url, "PutEvents", in); status != 0 || len(s.Ledger().Published) != 2 {
		t.Errorf("%d, %d published", status, len(s.Ledger().Published))
	}
	for operation, in := range map[string]cbor.Value{"PutEvents": cbor.List{}, "PutRawEvents": cbor.String("x"), "Nonsense": cbor.Map{}, "DescribeEventBus": cbor.Map{"EventBusArn": cbor.Uint(1)}} {
		if status, _ := call(t, url, operation, in); status < 400 || status > 499 {
			t.Errorf("%s: %d", operation, status)
		}
	}
	// Lengths that are not known beforehand, as AWS's client for Go writes them.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+prefix+"ListEventBuses", strings.NewReader("\xbf\xff"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}
