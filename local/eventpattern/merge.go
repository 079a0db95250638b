package eventpattern

import "maps"

// Merge adds the requirements of the pattern more to the pattern all, so that an event
// matches if it matches both. Both are values as encoding/json reads them. twice is a member
// that both patterns have conditions on, which one pattern cannot express; "" if there is none.
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
