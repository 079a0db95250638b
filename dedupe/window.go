package dedupe

// window keeps a value for each of the latest keys, and removes the oldest beyond
// its limit. It grows with use, and allocates no memory once it is full. Its index is
// a hash table with open addressing; the keys are hashes themselves.
type window[V any] struct {
	limit int
	index []int32 // index in ring plus one, 0 for none; its length is a power of two
	ring  []slot[V]
	next  int // the oldest, once the ring is full
}

type slot[V any] struct {
	key   key
	at    int64 // microseconds
	value V
}

const firstIndex = 64

// find returns the position of k in the index, or the position at which to insert it.
func (w *window[V]) find(k key) int {
	mask := len(w.index) - 1
	i := int(k.a) & mask
	for w.index[i] != 0 && w.ring[w.index[i]-1].key != k {
		i = (i + 1) & mask
	}
	return i
}

// get returns the value of k, nil if there is none or it is older than expired.
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

// put stores value for k and replaces an older value.
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

// remove removes k from the index. It moves later entries of the same probe sequence
// into the gap.
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

// len returns how many keys are stored.
func (w *window[V]) len() int { return len(w.ring) }
