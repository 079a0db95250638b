// Package recent keeps the last entries of a list with a bound.
package recent

import "slices"

// Append appends item to list. When list then has twice as many entries as keep, it removes
// the oldest so that keep are left; dropped is how many it removed. A keep of 0 keeps all.
func Append[T any](list []T, keep int, item T) (grown []T, dropped int) {
	list = append(list, item)
	if keep <= 0 || len(list) < 2*keep {
		return list, 0
	}
	dropped = len(list) - keep
	return slices.Clone(list[dropped:]), dropped
}
