package metrics

import "strings"

const (
	// candidatesPerPlace is the maximum number of values per place that wait
	// for a place in a ranking.
	candidatesPerPlace = 4
	// latelyPerPlace defines the recent past: every count is halved after this number
	// of observations for each place.
	latelyPerPlace = 100
)

// ranking selects the dimension values that were seen most often in the recent
// past, up to its number of places. CloudWatch bills each value, and text from
// outside must not displace the values that a function really handles: a value
// that is seen twice as often as one with a place takes that place at the next
// flush. Places change only at a flush, so that a flush is consistent; only free
// places are filled at once. Use newRanking.
type ranking struct {
	places     int
	placed     map[string]int // the values that have a place, and how often they were seen
	candidates map[string]int // the values without a place
	seen       int            // since the counts were halved
}

func newRanking(places int) ranking {
	return ranking{places: places, placed: map[string]int{}, candidates: map[string]int{}}
}

// value returns the dimension value for an observation of v: v, or "other" if v has
// no place.
func (r *ranking) value(v string) string {
	r.seen++
	if n, ok := r.placed[v]; ok {
		r.placed[v] = n + 1
		return v
	}
	// A copy, because v may be a substring of a large string.
	if len(r.placed) < r.places {
		r.placed[strings.Clone(v)] = 1
		return v
	}
	if n, ok := r.candidates[v]; ok {
		r.candidates[v] = n + 1
		return other
	}
	if len(r.candidates) >= candidatesPerPlace*r.places {
		least, _ := extreme(r.candidates, -1)
		delete(r.candidates, least)
	}
	r.candidates[strings.Clone(v)] = 1
	return other
}

// turn gives places to the candidates that were seen more often, and decays the
// counts.
func (r *ranking) turn() {
	for len(r.candidates) > 0 {
		most, n := extreme(r.candidates, 1)
		least, held := extreme(r.placed, -1)
		if n < 2*held {
			break
		}
		delete(r.candidates, most)
		delete(r.placed, least)
		r.placed[most] = n
		if held > 0 {
			r.candidates[least] = held
		}
	}
	if r.seen < latelyPerPlace*r.places {
		return
	}
	r.seen = 0
	for v, n := range r.placed {
		r.placed[v] = n / 2
	}
	for v, n := range r.candidates {
		if r.candidates[v] = n / 2; n < 2 {
			delete(r.candidates, v)
		}
	}
}

// extreme returns the value with the largest count, or with sign -1 the smallest.
// Among equal counts it returns the first value by name, so that the result does not
// depend on the order of the map.
func extreme(counts map[string]int, sign int) (value string, count int) {
	first := true
	for v, n := range counts {
		if first || sign*n > sign*count || n == count && v < value {
			value, count, first = v, n, false
		}
	}
	return value, count
}
