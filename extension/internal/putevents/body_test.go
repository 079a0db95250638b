package putevents

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/lineage"
)

// stampAll gives every entry more resources, a detail and a trace header.
func stampAll(p Body) []lineage.Entry {
	sent := make([]lineage.Entry, len(p.entries))
	for i := range p.entries {
		sent[i] = p.entries[i].entry
		sent[i].Resources = append(append([]string(nil), sent[i].Resources...), "correlation:a<b", `cau"sation`)
		sent[i].TraceHeader = "Root=1-00000000-000000000000000000000000;Sampled=1"
	}
	return sent
}

// with is the body with its entries changed to sent.
func (p *Body) with(sent []lineage.Entry) (string, error) {
	changes, err := p.With(sent)
	return string(Apply(p.body, changes)), err
}

func TestSplice(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"Inserted": {`{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\"a\":1}"}]}`,
			`{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\"a\":1}","Resources":["correlation:a<b","cau\"sation"],"TraceHeader":"Root=1-00000000-000000000000000000000000;Sampled=1"}]}`},
		"Replaced": {` { "Entries" : [ { "Resources" : [ "arn:1" ] , "Detail" : "{}" , "Unknown" : {"x":[1e400]} } ] , "More" : 1 } `,
			` { "Entries" : [ { "Resources" : ["arn:1","correlation:a<b","cau\"sation"] , "Detail" : "{}" , "Unknown" : {"x":[1e400]} ,"TraceHeader":"Root=1-00000000-000000000000000000000000;Sampled=1"} ] , "More" : 1 } `},
		"Empty":  {`{"Entries":[{}]}`, `{"Entries":[{"Resources":["correlation:a<b","cau\"sation"],"TraceHeader":"Root=1-00000000-000000000000000000000000;Sampled=1"}]}`},
		"Null":   {`{"Entries":[{"Resources":null}]}`, `{"Entries":[{"Resources":["correlation:a<b","cau\"sation"],"TraceHeader":"Root=1-00000000-000000000000000000000000;Sampled=1"}]}`},
		"Header": {`{"Entries":[{"TraceHeader":"x","Resources":[]}]}`, `{"Entries":[{"TraceHeader":"Root=1-00000000-000000000000000000000000;Sampled=1","Resources":["correlation:a<b","cau\"sation"]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Read([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.with(stampAll(p))
			if err != nil || got != tt.want {
				t.Errorf("got  %s\nwant %s (%v)", got, tt.want, err)
			}
			same := make([]lineage.Entry, len(p.entries))
			for i := range p.entries {
				same[i] = p.entries[i].entry
			}
			if got, err := p.with(same); err != nil || got != tt.in {
				t.Errorf("unchanged entries give %s (%v)", got, err)
			}
		})
	}
}

// many are n members of an object.
func many(n int) string {
	var members []string
	for i := range n {
		members = append(members, strconv.Quote(strconv.Itoa(i))+":1")
	}
	return strings.Join(members, ",")
}

func TestWhatIsNoPutEventsIsLeftAlone(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `{"Entries":{}}`, `{"Entries":[1]}`, `{"Entries":[{"Detail":1}]}`, `{"Entries":[]} x`, `{"Entries":[]`,
		`{"Entries":[{"Detail":"{}","Detail":"{}"}]}`, `{"Entries":[],"Entries":[]}`, `{"Entries":null}`, `{"Entries":[{"Resources":"a"}]}`, `{"Entries":[{"Resources":[1]}]}`,
		`{"Entries":[{"Detail":"{}"}],}`, `{"Entries":[{"Source":"s",}]}`, "{\"Entries\":[{\"Source\":\"\xff\"}]}", `{"Entries":[],"EndpointId":1}`, `{"Entries":[{` + many(65) + `}]}`} {
		if _, err := Read([]byte(body)); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

// What would take many times its own size to read is left alone.
func TestReadingIsBounded(t *testing.T) {
	entries := func(n int) []byte { return []byte(`{"Entries":[{}` + strings.Repeat(",{}", n-1) + `]}`) }
	if body, err := Read(entries(MaxEntries)); err != nil || len(body.Entries()) != MaxEntries {
		t.Errorf("%d entries, %v", len(body.Entries()), err)
	}
	if _, err := Read(entries(200_000)); !errors.Is(err, ErrTooMany) {
		t.Errorf("200 000 entries: %v", err)
	}
	if _, err := Read([]byte(`{"Entries":[{"Resources":[""` + strings.Repeat(`,""`, maxResources) + `]}]}`)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too many resources: %v", err)
	}
}

// Whatever is read keeps every member but those of the stamp, as it was.
func FuzzSplice(f *testing.F) {
	f.Add(`{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\"a\":\"\\u00fc\"}","Resources":["a"],"X":1.50}],"Y":null}`)
	f.Add(`{}`)
	f.Add(`{"Entries":[{},{"Resources":null,"Time":1}],"EndpointId":"a.veo"}`)
	f.Add(`{"Entries":[{"Detail":"\ud800","Resources":["\ud800"]}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		p, err := Read([]byte(body))
		if err != nil {
			return
		}
		sent := stampAll(p)
		out, err := p.with(sent)
		if err != nil {
			t.Fatal(err)
		}
		var before, after map[string]any
		for _, side := range []struct {
			text string
			into *map[string]any
		}{{body, &before}, {out, &after}} {
			d := json.NewDecoder(strings.NewReader(side.text))
			d.UseNumber()
			if err := d.Decode(side.into); err != nil {
				t.Fatalf("%v in %s", err, side.text)
			}
		}
		entries, _ := after["Entries"].([]any)
		for i, e := range entries {
			members, _ := e.(map[string]any)
			if !reflect.DeepEqual(members["TraceHeader"], sent[i].TraceHeader) {
				t.Errorf("trace header %v", members["TraceHeader"])
			}
			resources, _ := members["Resources"].([]any)
			if len(resources) != len(sent[i].Resources) {
				t.Errorf("resources %v", resources)
			}
		}
		for _, side := range []map[string]any{before, after} {
			list, _ := side["Entries"].([]any)
			for _, e := range list {
				members, _ := e.(map[string]any)
				delete(members, "Resources")
				delete(members, "TraceHeader")
			}
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s became %s", body, out)
		}
	})
}

// What is read of an entry is what encoding/json reads.
func FuzzReadEntries(f *testing.F) {
	f.Add(`{"Entries":[{"Source":"s\u00fc","DetailType":null,"Detail":"{\"a\":\"\\u00fc\"}","Resources":["a","\n",null],"Time":1,"EventBusName":"b","X":1.50}],"EndpointId":"a.veo"}`)
	f.Add(`{"Entries":[{"Detail":"\ud800"},{"Time":null}]}`)
	f.Add(`{"Entries":[{"Source":"s","source":"t"}],"entries":[]}`)
	f.Fuzz(func(t *testing.T, body string) {
		p, err := Read([]byte(body))
		if err != nil {
			return
		}
		var whole map[string]json.RawMessage // which, other than a struct, tells capitals apart
		if err := json.Unmarshal([]byte(body), &whole); err != nil {
			t.Fatalf("%q was read, and encoding/json says %v", body, err)
		}
		var endpoint string
		var entries []map[string]json.RawMessage
		for name, into := range map[string]any{"EndpointId": &endpoint, "Entries": &entries} {
			if raw, there := whole[name]; there {
				if err := json.Unmarshal(raw, into); err != nil {
					t.Fatalf("%q: %s: %v", body, name, err)
				}
			}
		}
		if p.EndpointID != endpoint || len(p.entries) != len(entries) {
			t.Fatalf("%q: %d entries for %q, want %d for %q", body, len(p.entries), p.EndpointID, len(entries), endpoint)
		}
		for i, e := range p.entries {
			var w lineage.Entry
			for name, into := range map[string]any{"Source": &w.Source, "DetailType": &w.DetailType, "Detail": &w.Detail, "EventBusName": &w.Bus, "TraceHeader": &w.TraceHeader, "Resources": &w.Resources} {
				if raw, there := entries[i][name]; there {
					if err := json.Unmarshal(raw, into); err != nil {
						t.Fatalf("%q: %s: %v", body, name, err)
					}
				}
			}
			raw, there := entries[i]["Time"]
			w.HasTime = there && string(raw) != "null"
			if len(w.Resources) == 0 {
				w.Resources = nil
			}
			if !reflect.DeepEqual(e.entry, w) {
				t.Fatalf("%q: entry %d is %+v, want %+v", body, i, e.entry, w)
			}
		}
	})
}
