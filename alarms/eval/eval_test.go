package eval

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/throughline/throughline/alarms"
)

func marks(text string) []Mark {
	out := make([]Mark, len(text))
	for i, c := range text {
		out[i] = map[rune]Mark{'-': None, '0': Good, 'X': Breach}[c]
	}
	return out
}

// TestDocumentedTables are the tables of "Configuring how CloudWatch alarms
// treat missing data": datapoints oldest first, states under missing, ignore,
// breaching and notBreaching; keep is the state it had.
func TestDocumentedTables(t *testing.T) {
	const keep = State("keep")
	for _, row := range []struct {
		m, n   int
		points string
		want   [4]State
	}{
		{3, 3, "0-X-X", [4]State{OK, OK, OK, OK}},
		{3, 3, "0----", [4]State{OK, OK, OK, OK}},
		{3, 3, "-----", [4]State{Insufficient, keep, InAlarm, OK}},
		{3, 3, "0XX-X", [4]State{InAlarm, InAlarm, InAlarm, InAlarm}},
		{3, 3, "--X--", [4]State{InAlarm, keep, InAlarm, OK}},
		{2, 3, "0-X-X", [4]State{InAlarm, InAlarm, InAlarm, InAlarm}},
		{2, 3, "00X0X", [4]State{InAlarm, InAlarm, InAlarm, InAlarm}},
		{2, 3, "0-X--", [4]State{OK, OK, InAlarm, OK}},
		{2, 3, "----0", [4]State{OK, OK, InAlarm, OK}},
		{2, 3, "---X-", [4]State{InAlarm, keep, InAlarm, OK}},
		// The edition of 2019 (awsdocs/amazon-cloudwatch-user-guide) has these besides.
		{3, 3, "----X", [4]State{Insufficient, keep, InAlarm, OK}},
		{3, 3, "X----", [4]State{InAlarm, keep, InAlarm, OK}},
		{2, 3, "----X", [4]State{Insufficient, keep, InAlarm, OK}},
	} {
		for i, missing := range []alarms.Missing{alarms.MissingMissing, alarms.Ignore, alarms.Breaching, alarms.NotBreaching} {
			for _, before := range []State{OK, InAlarm, Insufficient} {
				want := row.want[i]
				if want == keep {
					want = before
				}
				rule := Rule{M: row.m, N: row.n, Missing: missing}
				if got := rule.Next(before, marks(row.points)); got != want {
					t.Errorf("%d of %d, %s, missing data %s, from %s: %s, not %s", row.m, row.n, row.points, missing, before, got, want)
				}
			}
		}
	}
}

// TestWhereTheDocumentsAreSilent pins what was chosen.
func TestWhereTheDocumentsAreSilent(t *testing.T) {
	for points, want := range map[string]State{
		"-X---": InAlarm,
		"X---X": InAlarm,
		"---X-": Insufficient, // one breach, and too new to be all that will come
		"0---X": OK,
	} {
		if got := (Rule{M: 3, N: 3, Missing: alarms.MissingMissing}).Next(OK, marks(points)); got != want {
			t.Errorf("%s: %s, not %s", points, got, want)
		}
	}
	// A sparse metric's last point is read until it leaves the range, notBreaching or not.
	rule := Rule{M: 1, N: 1, Missing: alarms.NotBreaching}
	for points, want := range map[string]State{"--X": InAlarm, "-X-": InAlarm, "X--": InAlarm, "X---": OK} {
		if got := rule.Next(OK, marks(points)); got != want {
			t.Errorf("1 of 1, %s: %s, not %s", points, got, want)
		}
	}
}

// plain is a second reading of the same page, written from its words: choose
// the datapoints to be looked at, then count.
func plain(r Rule, before State, all []Mark) State {
	window := all
	reach := r.Range
	if reach < r.N {
		reach = r.N + 2
	}
	for len(window) > reach {
		window = window[1:]
	}
	var present []int // positions of real points
	for i, m := range window {
		if m != None {
			present = append(present, i)
		}
	}
	count := func(positions []int, m Mark) (n int) {
		for _, p := range positions {
			if window[p] == m {
				n++
			}
		}
		return n
	}
	if len(present) >= r.N {
		if count(present[len(present)-r.N:], Breach) >= r.M {
			return InAlarm
		}
		return OK
	}
	lacking := r.N - len(present)
	x := count(present, Breach)
	switch r.Missing {
	case alarms.Breaching:
		x += lacking
	case alarms.NotBreaching:
	default:
		if len(present) == 0 && r.Missing == alarms.Ignore {
			return before
		}
		if len(present) == 0 {
			return Insufficient
		}
		allBreach := count(present, Good) == 0
		if oldest := len(window) - present[0]; x < r.M && allBreach {
			if r.Missing == alarms.Ignore {
				return before
			}
			if oldest < r.M {
				return Insufficient
			}
			return InAlarm
		}
	}
	if x >= r.M {
		return InAlarm
	}
	return OK
}

var treatments = []alarms.Missing{alarms.MissingMissing, alarms.Ignore, alarms.Breaching, alarms.NotBreaching}

// TestTwoReadingsAgree on every window of up to eight datapoints, and on long
// random ones state by state.
func TestTwoReadingsAgree(t *testing.T) {
	check := func(r Rule, before State, all []Mark) {
		t.Helper()
		if got, want := r.Next(before, all), plain(r, before, all); got != want {
			t.Fatalf("%+v from %s over %v: %s, and by the second reading %s", r, before, all, got, want)
		}
	}
	compared := 0
	for n := 1; n <= 4; n++ {
		for m := 1; m <= n; m++ {
			for _, missing := range treatments {
				for length := range 9 {
					total := 1
					for range length {
						total *= 3
					}
					for code := range total {
						all := make([]Mark, length)
						for i, c := 0, code; i < length; i, c = i+1, c/3 {
							all[i] = Mark(c % 3)
						}
						check(Rule{M: m, N: n, Missing: missing}, OK, all)
						compared++
					}
				}
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + random.IntN(15)
		r := Rule{M: 1 + random.IntN(n), N: n, Missing: treatments[random.IntN(4)], Range: n + random.IntN(5)}
		var all []Mark
		state := State("")
		for range 200 {
			all = append(all, Mark(random.IntN(3)))
			before := state
			if before == "" {
				before = Insufficient
			}
			check(r, before, all)
			state = r.Next(state, all)
			compared++
		}
	}
	t.Logf("%d evaluations agree", compared)
}

func FuzzNext(f *testing.F) {
	f.Add(uint8(2), uint8(3), uint8(0), uint8(5), []byte("0-X--"))
	f.Add(uint8(1), uint8(1), uint8(3), uint8(0), []byte{})
	f.Fuzz(func(t *testing.T, m, n, missing, reach uint8, points []byte) {
		r := Rule{M: int(m)%8 + 1, Missing: treatments[missing%4], Range: int(reach) % 20}
		r.N = r.M + int(n)%8
		all := make([]Mark, len(points))
		for i, p := range points {
			all[i] = Mark(p % 3)
		}
		if got, want := r.Next(OK, all), plain(r, OK, all); got != want {
			t.Fatalf("%s, and by the second reading %s", got, want)
		}
		if r.Missing != alarms.NotBreaching || len(all) == 0 {
			return
		}
		// A datapoint that turns bad, or a bad one where there was none, never makes an alarm good.
		for i := range all {
			if all[i] == Breach {
				continue
			}
			worse := append([]Mark{}, all...)
			worse[i] = Breach
			if r.Next(OK, all) == InAlarm && r.Next(OK, worse) != InAlarm {
				t.Fatalf("a worse point ended the alarm: %v, %v", all, worse)
			}
		}
	})
}

func ExampleRule_Next() {
	rule := Rule{M: 2, N: 3, Missing: alarms.NotBreaching}
	fmt.Println(rule.Next(OK, []Mark{Good, Breach, None, Breach}))
	fmt.Println(rule.Next(InAlarm, []Mark{Good, Good, Good}))
	// Output:
	// ALARM
	// OK
}
