package eventfile_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/app/eventfile"
	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/eventpattern"
)

func TestRead(t *testing.T) {
	for name, c := range map[string]struct{ file, want, err string }{
		"Envelope": {`{"id":"1","source":"s","detail-type":"T","time":"2026-01-02T03:04:05Z","resources":["r"],"detail":{"a":1}}`, "1||s|T|{\"a\":1}|[r]|2026", ""},
		"Entry":    {`{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\"a\":1}","EventBusName":"arn:aws:events:us-east-1:1:event-bus/b"}]}`, "|b|s|T|{\"a\":1}|[]|1", ""},
		"Lines":    {"{\"source\":\"s\",\"detail-type\":\"T\",\"detail\":{}}\n\n{\"source\":\"s\",\"detail-type\":\"U\",\"detail\":{}}", "||s|T|{}|[]|1 ||s|U|{}|[]|1", ""},
		"NoEvent":  {`{"a":1}`, "", "the file has no event"},
		"NoSource": {`{"source":"","detail-type":"T","detail":{}}`, "", "event 1: the event has no source"},
		"NoObject": {`{"source":"s","detail-type":"T","detail":[1]}`, "", "not a JSON object"},
		"Empty":    {``, "", "the file has no event"},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := eventfile.Read(strings.NewReader(c.file))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v", err)
				}
				return
			}
			var got []string
			for _, e := range events {
				got = append(got, fmt.Sprintf("%s|%s|%s|%s|%s|%v|%d", e.ID, e.Bus, e.Source, e.DetailType, e.Detail, e.Resources, e.Time.Year()))
			}
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("%v\n got %s\nwant %s", err, strings.Join(got, " "), c.want)
			}
		})
	}
}

// TestSampleMatches: what a sample has is what the rule takes.
func TestSampleMatches(t *testing.T) {
	bus := buslocal.New(buslocal.Options{})
	for _, pattern := range []string{
		`{"detail-type":["T"]}`, `{"detail-type":["U","T"],"source":["shop"]}`, `{"detail-type":[{"prefix":"T"}],"source":[{"prefix":"shop."}]}`,
		`{"detail-type":["T"],"detail":{"a":["x"],"b":{"c":[1,2]}}}`, `{"detail-type":["T"],"detail":{"n":[{"numeric":[">",0,"<=",5]}]}}`, `{"detail-type":["T"],"detail":{"n":[{"numeric":["<",0]}]}}`,
		`{"detail-type":["T"],"detail":{"n":[{"numeric":[">",0,"<",1]}]}}`, `{"detail-type":["T"],"detail":{"n":[{"numeric":["=",3.5]}]}}`, `{"detail-type":["T"],"detail":{"n":[{"numeric":[">=",7]}]}}`,
		`{"detail-type":["T"],"detail":{"a":[{"exists":true}],"b":[{"exists":false}]}}`, `{"detail-type":["T"],"detail":{"a":[{"anything-but":["x"]}]}}`, `{"detail-type":["T"],"detail":{"a":[{"suffix":".png"}]}}`,
		`{"detail-type":["T"],"detail":{"a":[{"wildcard":"in/*/x"}]}}`, `{"detail-type":["T"],"detail":{"a":[{"equals-ignore-case":"ABC"}]}}`, `{"detail-type":["T"],"detail":{"a":[{"cidr":"10.0.0.0/24"}]}}`,
		`{"detail-type":["T"],"detail":{"$or":[{"a":["x"]},{"b":["y"]}]}}`, `{"detail-type":["T"],"detail":{"a":[true]}}`,
	} {
		e, ok := eventfile.Sample([]eventfile.Rule{{Bus: "other", Pattern: `{"detail-type":["Other"]}`}, {Bus: "b", Pattern: pattern}}, "T", nil)
		if !ok || e.Bus != "b" || e.Check() != nil {
			t.Errorf("%s: %+v", pattern, e)
			continue
		}
		compiled, err := eventpattern.Compile([]byte(pattern))
		if err != nil {
			t.Fatal(err)
		}
		if envelope := bus.Envelope(buslocal.Event{Source: e.Source, DetailType: e.DetailType, Detail: string(e.Detail)}); !compiled.Match(envelope) {
			t.Errorf("%s does not take %s", pattern, envelope)
		}
	}
	if e, ok := eventfile.Sample([]eventfile.Rule{{Pattern: `{"detail-type":["T"]}`}}, "U", nil); ok {
		t.Errorf("%+v", e)
	}
	e, _ := eventfile.Sample([]eventfile.Rule{{Pattern: `{"detail-type":["T"],"detail":{"a":["x"]}}`}}, "T", map[string]any{"a": "y", "b": 1})
	var detail map[string]any
	if json.Unmarshal(e.Detail, &detail) != nil || detail["a"] != "y" || detail["b"] != 1.0 {
		t.Errorf("%s", e.Detail)
	}
}

func FuzzSample(f *testing.F) {
	f.Add(`{"detail-type":["T"],"detail":{"n":[{"numeric":[">",0]}],"$or":[{"a":[{"cidr":"::/0"}]}]}}`, "T")
	f.Fuzz(func(t *testing.T, pattern, typ string) {
		if e, ok := eventfile.Sample([]eventfile.Rule{{Pattern: pattern}}, typ, nil); ok && !json.Valid(e.Detail) {
			t.Errorf("%s", e.Detail)
		}
	})
}

func ExampleSample() {
	e, ok := eventfile.Sample([]eventfile.Rule{{Bus: "shop", Pattern: `{"source":["web"],"detail-type":["OrderPlaced"],"detail":{"total":[{"numeric":[">",10]}]}}`}}, "OrderPlaced", map[string]any{"order_id": "o-1"})
	fmt.Println(e.Bus, e.Source, string(e.Detail), ok)
	// Output: shop web {"order_id":"o-1","total":11} true
}
