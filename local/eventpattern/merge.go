package eventpattern

import "maps"

// Merge adds what another pattern asks for to a pattern, both as encoding/json reads them,
// so that an event which matches both matches it. twice is a member of which both ask
// something, which one pattern cannot say; "" where there is none.
func Merge(all, more map[string]any) (twice string) {
	for key, value := range maps.Clone(more) {
		have, there := all[key]
		before, isObject := have.(map[string]any)
		add, areObjects := value.(map[string]any)
		switch {
		case !there:
			all[key] = value
		case isObject && areObjects:
			if inner := Merge(before, add); inner != "" {
				twice = key + "." + inner
			}
		default:
			twice = key
		}
	}
	return twice
}
