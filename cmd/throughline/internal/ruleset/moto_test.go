package ruleset

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/throughline/throughline/local/eventpattern"
	"github.com/throughline/throughline/peertest"
)

// judge has moto hold events against patterns: a line of standard input is a pair.
const judge = `
import json, sys
from moto.events.models import EventPatternParser, EventPattern
for line in sys.stdin:
    pattern, event = json.loads(line)
    try:
        matches = EventPattern(pattern, EventPatternParser(pattern).parse()).matches_event(json.loads(event))
    except Exception as e:
        matches = type(e).__name__
    print(json.dumps(matches))
`

// otherwise are the pairs of which moto says something else, and why.
var otherwise = map[string]string{
	`{"detail":{"paid":[true]}}	{"detail":{"paid":1}}`:                                                      "True is 1 in Python",
	`{"detail":{"paid":[0]}}	{"detail":{"paid":false}}`:                                                     "False is 0 in Python",
	`{"detail":{"tags":[{"exists":true}]}}	{"detail":{"tags":[]}}`:                                          "an empty array has no value (event-ruler, README)",
	`{"detail":{"items":{"error":[{"exists":false}]}}}	{"detail":{"items":[{"id":1},{"error":"e"}]}}`:       "moto does not look into arrays of objects",
	`{"detail":{"items":{"sku":["a"],"n":[1]}}}	{"detail":{"items":[{"sku":"b","n":2},{"sku":"a","n":1}]}}`: "moto does not look into arrays of objects",
	`{"detail":{"epoch":[{"numeric":[">",0]}]}}	{"detail":{"epoch":1795813267000}}`:                         "EventBridge compares numbers up to 5.0e9",
	`{"detail":{"price":[{"numeric":[">",1]}]}}	{"detail":{"price":1.0000001}}`:                             "EventBridge compares six decimals",
}

// TestPatternsAgreeWithMoto holds the evaluator to moto's where moto implements what
// EventBridge documents.
func TestPatternsAgreeWithMoto(t *testing.T) {
	python := peertest.Module(t, "moto")
	var input strings.Builder
	var pairs [][]string
	for _, name := range []string{"misses.txt", "matches.txt"} {
		data, err := os.ReadFile("../../../../local/eventpattern/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(data), "\n") {
			columns := strings.Split(line, "\t")
			if len(columns) < 2 {
				continue
			}
			pair := columns[len(columns)-2:]
			pairs = append(pairs, pair)
			row, err := json.Marshal(pair)
			if err != nil {
				t.Fatal(err)
			}
			input.Write(append(row, '\n'))
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", judge)
	cmd.Stdin = strings.NewReader(input.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Fields(string(out))
	if len(answers) != len(pairs) || len(pairs) < 250 {
		t.Fatalf("%d answers of %d pairs", len(answers), len(pairs))
	}
	agreed, left := 0, len(otherwise)
	for i, pair := range pairs {
		p, err := eventpattern.Compile([]byte(pair[0]))
		if err != nil {
			t.Fatal(err)
		}
		_, known := otherwise[pair[0]+"\t"+pair[1]]
		same := answers[i] == map[bool]string{true: "true", false: "false"}[p.Match([]byte(pair[1]))]
		switch {
		case same && !known:
			agreed++
		case same || !known:
			t.Errorf("moto says %s, known to differ %v: %s\t%s", answers[i], known, pair[0], pair[1])
		default:
			left--
		}
	}
	if left != 0 {
		t.Errorf("%d patterns of which moto is said to differ were not met", left)
	}
	t.Logf("%d of %d agree", agreed, len(pairs))
}
