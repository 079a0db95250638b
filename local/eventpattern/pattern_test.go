package eventpattern

import (
	"encoding/json"
	"testing"
)

const matched = `{"source":"alchemiser.strategy","detail-type":"SignalGenerated","resources":["correlation:x","hops:1"],
"detail":{"n":5,"f":1.0,"s":"Hello*World","empty":[],"list":["a","b"],"null":null,"yes":true,"ip":"10.0.0.7","nested":[{"a":1},{"a":2}],"blank":"",
"mixed":["v",{"x":1},{"y":2}],"deep":[[1],[[3]]],"dot.ted":"d","big":123456789012345678,"v6":"2001:db8::1"}}`

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		want    bool
	}{
		{`{"source":["alchemiser.strategy"]}`, true},
		{`{"source":["other"]}`, false},
		{`{"source":["other","alchemiser.strategy"],"detail-type":["SignalGenerated"]}`, true},
		{`{"source":["alchemiser.strategy"],"detail-type":["Other"]}`, false},
		{`{"source":[{"prefix":"alchemiser."}]}`, true},
		{`{"source":[{"prefix":"ALCHEMISER."}]}`, false},
		{`{"source":[{"prefix":{"equals-ignore-case":"ALCHEMISER."}}]}`, true},
		{`{"source":[{"suffix":".strategy"}]}`, true},
		{`{"source":[{"suffix":{"equals-ignore-case":".STRATEGY"}}]}`, true},
		{`{"source":[{"equals-ignore-case":"Alchemiser.Strategy"}]}`, true},
		{`{"source":[{"anything-but":"alchemiser.strategy"}]}`, false},
		{`{"source":[{"anything-but":["a","b"]}]}`, true},
		{`{"source":[{"anything-but":{"prefix":"alch"}}]}`, false},
		{`{"source":[{"anything-but":{"suffix":["x","strategy"]}}]}`, false},
		{`{"source":[{"anything-but":{"wildcard":"*.other"}}]}`, true},
		{`{"detail":{"n":[{"anything-but":5}]}}`, false},
		{`{"detail":{"n":[{"anything-but":[6,7]}]}}`, true},
		{`{"detail":{"absent":[{"anything-but":"x"}]}}`, false},
		{`{"detail":{"n":[5]}}`, true},
		{`{"detail":{"n":[5.0]}}`, true},
		{`{"detail":{"n":["5"]}}`, false},
		{`{"detail":{"f":[1]}}`, true},
		{`{"detail":{"n":[{"numeric":[">",0,"<=",5]}]}}`, true},
		{`{"detail":{"n":[{"numeric":["<",5]}]}}`, false},
		{`{"detail":{"n":[{"numeric":["=",5.0]}]}}`, true},
		{`{"detail":{"s":[{"numeric":[">",0]}]}}`, false},
		{`{"detail":{"s":[{"wildcard":"Hello*"}]}}`, true},
		{`{"detail":{"s":[{"wildcard":"*W*d"}]}}`, true},
		{`{"detail":{"s":[{"wildcard":"Hello\\*World"}]}}`, true},
		{`{"detail":{"s":[{"wildcard":"Hell\\*World"}]}}`, false},
		{`{"detail":{"s":[{"wildcard":"HelloWorld"}]}}`, false},
		{`{"detail":{"n":[{"exists":true}]}}`, true},
		{`{"detail":{"n":[{"exists":false}]}}`, false},
		{`{"detail":{"absent":[{"exists":false}]}}`, true},
		{`{"detail":{"absent":{"below":[{"exists":false}]}}}`, true},
		{`{"detail":{"empty":[{"exists":false}]}}`, true},
		{`{"detail":{"empty":[{"exists":true}]}}`, false},
		{`{"detail":{"null":[{"exists":true}]}}`, true},
		{`{"detail":{"null":[null]}}`, true},
		{`{"detail":{"absent":[null]}}`, false},
		{`{"detail":{"blank":[""]}}`, true},
		{`{"detail":{"yes":[true]}}`, true},
		{`{"detail":{"yes":["true"]}}`, false},
		{`{"detail":{"list":["b"]}}`, true},
		{`{"detail":{"list":["c"]}}`, false},
		{`{"detail":{"list":[{"anything-but":"a"}]}}`, true},
		{`{"detail":{"nested":{"a":[2]}}}`, true},
		{`{"detail":{"nested":{"a":[3]}}}`, false},
		{`{"detail":{"ip":[{"cidr":"10.0.0.0/24"}]}}`, true},
		{`{"detail":{"ip":[{"cidr":"10.0.1.0/24"}]}}`, false},
		{`{"resources":[{"prefix":"correlation:"}]}`, true},
		{`{"resources":[{"prefix":"traceparent:"}]}`, false},
		{`{"detail":{"n":[{"anything-but":"5"}]}}`, true},
		{`{"detail":{"n":[{"anything-but":{"prefix":"5"}}]}}`, true},
		{`{"detail":{"null":[{"anything-but":"x"}]}}`, true},
		{`{"detail":{"null":[{"anything-but":{"suffix":["x"]}}]}}`, true},
		{`{"detail":{"s":[{"anything-but":{"equals-ignore-case":["HELLO*world"]}}]}}`, false},
		{`{"detail":{"absent":[{"anything-but":{"wildcard":"x*"}}]}}`, false},
		{`{"detail":{"absent":{"s":[{"anything-but":["x"]},{"exists":false}]}}}`, true},
		{`{"detail":{"s":[{"exists":true},{"prefix":"no"}]}}`, true},
		{`{"detail":{"nested":[{"exists":true}]}}`, false},
		{`{"detail":{"nested":[{"exists":false}]}}`, true},
		{`{"detail":{"nested":{"b":[{"exists":false}]}}}`, true},
		{`{"detail":{"nested":{"a":[{"exists":false}]}}}`, false},
		{`{"detail":{"mixed":[{"exists":false}]}}`, false},
		{`{"detail":{"mixed":["v"]}}`, true},
		{`{"detail":{"mixed":{"x":[1],"y":[2]}}}`, false},
		{`{"detail":{"mixed":{"x":[1],"y":[{"exists":false}]}}}`, true},
		{`{"detail":{"deep":[3]}}`, true},
		{`{"detail":{"dot.ted":["d"]}}`, true},
		{`{"detail":{"dot":{"ted":["d"]}}}`, true},
		{`{"detail.dot.ted":["d"]}`, true},
		{`{"detail":{"blank":[{"prefix":""}]}}`, true},
		{`{"detail":{"blank":[{"wildcard":"*"}]}}`, true},
		{`{"detail":{"blank":[{"equals-ignore-case":""}]}}`, true},
		{`{"detail":{"big":[123456789012345678]}}`, true},
		{`{"detail":{"big":[123456789012345679]}}`, false},
		{`{"detail":{"big":[{"numeric":[">",0]}]}}`, false},
		{`{"detail":{"f":[{"numeric":["=",100e-2]}]}}`, true},
		{`{"detail":{"v6":["2001:db8:0:0::1"]}}`, true},
		{`{"detail":{"v6":[{"cidr":"2001:db8::/32"}]}}`, true},
		{`{"source":["x"],"source":["alchemiser.strategy"]}`, true},
		{`{"$or":[{"source":["x"]},{"detail":{"n":[5]}}]}`, true},
		{`{"$or":[{"source":["x"]},{"detail":{"n":[6]}}]}`, false},
		{`{"detail":{"$or":[{"n":[6]},{"yes":[true]}]},"source":["alchemiser.strategy"]}`, true},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			p, err := Compile([]byte(tt.pattern))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Match([]byte(matched)); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for _, pattern := range []string{
		``, `[]`, `{}`, `{"a":1}`, `{"a":{}}`, `{"a":[]}`, `{"a":[[1]]}`, `{"a":[{"unknown":1}]}`, `{"a":[{"prefix":1}]}`, `{"a":[{"exists":"yes"}]}`,
		`{"a":[{"numeric":[">"]}]}`, `{"a":[{"numeric":["~",1]}]}`, `{"a":[{"numeric":[">","1"]}]}`, `{"a":[{"cidr":"x"}]}`, `{"a":[{"anything-but":[]}]}`,
		`{"a":[{"anything-but":[{}]}]}`, `{"a":[{"wildcard":"a**b"}]}`, `{"a":[{"wildcard":"a\\b"}]}`, `{"a":[{}]}`, `{"a":[{"prefix":"a","suffix":"b"}]}`, `{"$or":[{"a":[1]}]}`, `{"$or":[1,2]}`, `{"$or":{"a":[1]}}`, `{"$or":[{"prefix":["x"]},{"a":[1]}]}`, `{"a":{"b":[1]},"a.b":[2]}`,
		`{"a":[{"numeric":["<",1,">",0]}]}`, `{"a":[{"numeric":[">",1,">",0]}]}`, `{"a":[{"numeric":[">",2,"<",1]}]}`, `{"a":[{"numeric":[">",5000000001]}]}`, `{"a":[{"numeric":[">",0.0000001]}]}`,
		`{"a":[{"anything-but":[1,"a"]}]}`, `{"a":[{"anything-but":[null]}]}`, `{"a":[{"anything-but":{"prefix":""}}]}`, `{"a":[{"anything-but":{"prefix":{"equals-ignore-case":"a"}}}]}`,
		`{"a":[{"anything-but":{"numeric":["=",1]}}]}`, `{"a":[{"anything-but":{"suffix":[1]}}]}`, `{"a":[{"anything-but":{"suffix":[]}}]}`, `{"a":[{"EXISTS":true}]}`, `{"a":[{"cidr":"10.0.0.1"}]}`,
		`{"a":[{"prefix":["x"]}]}`, `{"a":[{"equals-ignore-case":{"prefix":"x"}}]}`, `{"a":["x"]}x`, `{"a":["x"]} {}`,
	} {
		if _, err := Compile([]byte(pattern)); err == nil {
			t.Errorf("%s is taken", pattern)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`{"detail":{"s":[{"wildcard":"H*o"},{"anything-but":{"prefix":"x"}}]}}`, matched)
	f.Add(`{"$or":[{"a":[{"exists":false}]},{"b":[{"numeric":["<",1]}]}]}`, `{"a":[]}`)
	f.Fuzz(func(_ *testing.T, pattern, event string) {
		if p, err := Compile([]byte(pattern)); err == nil {
			p.Match([]byte(event))
		}
	})
}

// FuzzExact holds that a pattern made from an event's own text matches it.
func FuzzExact(f *testing.F) {
	f.Add("key", "value")
	f.Add("$or", "\"")
	f.Fuzz(func(t *testing.T, key, value string) {
		if key == "$or" {
			t.Skip("a word of the language")
		}
		pattern, err := json.Marshal(map[string][]string{key: {value}})
		if err != nil {
			t.Fatal(err)
		}
		event, err := json.Marshal(map[string]string{key: value})
		if err != nil {
			t.Fatal(err)
		}
		p, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Match(event) {
			t.Errorf("%s does not match %s", pattern, event)
		}
	})
}
