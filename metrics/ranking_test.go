package metrics

import (
	"fmt"
	"testing"
)

// seen records an event of each type, as often as it says, and flushes.
func seen(t *testing.T, s *Set, times int, types ...string) (told map[string]int) {
	t.Helper()
	for range times {
		for _, name := range types {
			s.Record(Observation{At: at, Name: PayloadSize, Value: 1, EventType: name})
		}
	}
	told = map[string]int{}
	for _, line := range flush(t, s) {
		fields, defined := validate(t, line)
		if n := len(defined[string(PayloadSize)]); n > 0 {
			told[fields["EventType"].(string)] += n
		}
	}
	return told
}

func several(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint(prefix, i))
	}
	return names
}

// Twenty types that came once, first of all, do not blind the others.
func TestTypesSeenMostOfLateAreToldApart(t *testing.T) {
	s := New(Config{Service: "f"})
	seen(t, s, 1, several("junk", 20)...)
	types := several("T", 20)
	for range 3 {
		seen(t, s, 1, types...)
	}
	if told := seen(t, s, 1, types...); len(told) != 20 || told[other] != 0 || told["T7"] != 1 {
		t.Errorf("told apart: %v", told)
	}
}

// Types that were frequent once give way to those of today.
func TestTypesOfThePastGiveWay(t *testing.T) {
	s := New(Config{Service: "f", EventTypesMax: 3})
	for range 5 {
		seen(t, s, 100, several("past", 3)...)
	}
	for range 15 {
		seen(t, s, 20, several("today", 3)...)
	}
	if told := seen(t, s, 1, several("today", 3)...); len(told) != 3 || told[other] != 0 {
		t.Errorf("told apart: %v", told)
	}
}

// A stream of types that come once each takes no place of a regular one, and is
// bounded in memory.
func TestJunkTakesNoPlaceOfARegularType(t *testing.T) {
	s := New(Config{Service: "f", EventTypesMax: 3})
	regular := several("T", 3)
	seen(t, s, 3, regular...)
	for round := range 50 {
		told := seen(t, s, 1, append(several(fmt.Sprint("junk", round, "-"), 30), regular...)...)
		if told["T0"] != 1 || told["T1"] != 1 || told["T2"] != 1 || told[other] != 30 {
			t.Fatalf("round %d: told apart %v", round, told)
		}
	}
	if n := len(s.types.placed) + len(s.types.candidates); n > 3+3*candidatesPerPlace {
		t.Errorf("%d types in memory", n)
	}
}

// Within one flush a type is either told apart or not.
func TestATypeKeepsItsPlaceWithinAFlush(t *testing.T) {
	s := New(Config{Service: "f", EventTypesMax: 1})
	seen(t, s, 1, "junk")
	if told := seen(t, s, 1000, "T"); told["T"] != 0 || told[other] != 1000 {
		t.Errorf("in the flush: %v", told)
	}
	if told := seen(t, s, 1, "T"); told["T"] != 1 {
		t.Errorf("in the next: %v", told)
	}
}
