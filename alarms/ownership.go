package alarms

import "slices"

// These tags mark the alarms of a spec. They have the spec's name and a digest of the
// alarm as it was applied.
const (
	TagManagedBy = "managed-by"
	TagSpec      = "throughline:spec"
	TagHash      = "throughline:hash"

	ManagedBy = "throughline" // the value of TagManagedBy
)

// Owned returns the set, which must be resolved, with the ownership tags: the owner, and
// [Alarm.Hash].
func (s Set) Owned() Set {
	s.Alarms, s.Composites = slices.Clone(s.Alarms), slices.Clone(s.Composites)
	for i, a := range s.Alarms {
		s.Alarms[i].Tags = s.owned(a.Tags, a.Hash())
	}
	for i, c := range s.Composites {
		s.Composites[i].Tags = s.owned(c.Tags, c.Hash())
	}
	return s
}

func (s Set) owned(tags []Tag, hash string) []Tag {
	ours := []Tag{{TagManagedBy, ManagedBy}, {TagSpec, s.Name}, {TagHash, hash}}
	for _, t := range tags {
		if !slices.ContainsFunc(ours, func(o Tag) bool { return o.Key == t.Key }) {
			ours = append(ours, t)
		}
	}
	return sortedTags(ours)
}
