package alarms

import "slices"

// The tags by which alarms are known to be a spec's, with its name and what was
// last applied of each.
const (
	TagManagedBy = "managed-by"
	TagSpec      = "throughline:spec"
	TagHash      = "throughline:hash"

	ManagedBy = "throughline" // the value of TagManagedBy
)

// Owned returns the set, which must be resolved, with the tags that an alarm is
// applied with: whose it is, and [Alarm.Hash] of what it was.
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
