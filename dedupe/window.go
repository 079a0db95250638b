package dedupe

// window remembers a value for each of the latest keys, and forgets the oldest
// beyond its limit. It grows with use; at its limit it allocates no more.
type window[V any] struct {
	limit int
	slots map[key]int32 // index in ring
	ring  []slot[V]
	next  int32 // the oldest, once the ring is full
}

type slot[V any] struct {
	key   key
	at    int64 // microseconds
	value V
}

// get is the value of k, nil where there is none or it is from before expired.
func (w *window[V]) get(k key, expired int64) *V {
	i, ok := w.slots[k]
	if !ok || w.ring[i].at < expired {
		return nil
	}
	return &w.ring[i].value
}

// put remembers value for k, in the place of an older value for it.
func (w *window[V]) put(k key, at int64, value V) {
	if w.slots == nil {
		w.slots = map[key]int32{}
	}
	if i, ok := w.slots[k]; ok {
		w.ring[i] = slot[V]{k, at, value}
		return
	}
	if len(w.ring) < w.limit {
		w.slots[k] = int32(len(w.ring))
		w.ring = append(w.ring, slot[V]{k, at, value})
		return
	}
	delete(w.slots, w.ring[w.next].key)
	w.ring[w.next] = slot[V]{k, at, value}
	w.slots[k] = w.next
	w.next = (w.next + 1) % int32(w.limit)
}
