package dedupe

// window remembers a value for each of the latest keys, and forgets the oldest
// beyond its limit. It grows with use; at its limit it allocates no more. Its
// index is a table with open addressing: keys are hashes already.
type window[V any] struct {
	limit int
	index []int32 // place in ring plus one, 0 for none; a power of two long
	ring  []slot[V]
	next  int // the oldest, once the ring is full
}

type slot[V any] struct {
	key   key
	at    int64 // microseconds
	value V
}

const firstIndex = 64

// find is where in the index k is, or where it would be put.
func (w *window[V]) find(k key) int {
	mask := len(w.index) - 1
	i := int(k.a) & mask
	for w.index[i] != 0 && w.ring[w.index[i]-1].key != k {
		i = (i + 1) & mask
	}
	return i
}

// get is the value of k, nil where there is none or it is from before expired.
func (w *window[V]) get(k key, expired int64) *V {
	if len(w.index) == 0 {
		return nil
	}
	place := w.index[w.find(k)]
	if place == 0 || w.ring[place-1].at < expired {
		return nil
	}
	return &w.ring[place-1].value
}

// put remembers value for k, in the place of an older value for it.
func (w *window[V]) put(k key, at int64, value V) {
	if len(w.ring) < w.limit && 2*(len(w.ring)+1) > len(w.index) {
		w.grow()
	}
	if i := w.find(k); w.index[i] != 0 {
		w.ring[w.index[i]-1] = slot[V]{k, at, value}
		return
	}
	if len(w.ring) < w.limit {
		w.ring = append(w.ring, slot[V]{k, at, value})
		w.index[w.find(k)] = int32(len(w.ring))
		return
	}
	w.remove(w.ring[w.next].key)
	w.ring[w.next] = slot[V]{k, at, value}
	w.index[w.find(k)] = int32(w.next + 1)
	w.next = (w.next + 1) % w.limit
}

func (w *window[V]) grow() {
	w.index = make([]int32, max(firstIndex, 2*len(w.index)))
	for i := range w.ring {
		w.index[w.find(w.ring[i].key)] = int32(i + 1)
	}
}

// remove takes k out of the index and closes the gap that it leaves: each that
// was put off by it moves up.
func (w *window[V]) remove(k key) {
	mask := len(w.index) - 1
	gap := w.find(k)
	for i := (gap + 1) & mask; w.index[i] != 0; i = (i + 1) & mask {
		home := int(w.ring[w.index[i]-1].key.a) & mask
		if (i-home)&mask >= (i-gap)&mask {
			w.index[gap], gap = w.index[i], i
		}
	}
	w.index[gap] = 0
}

// len is how many keys are remembered.
func (w *window[V]) len() int { return len(w.ring) }
