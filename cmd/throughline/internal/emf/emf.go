// Package emf reads members of CloudWatch's embedded metric format (CloudWatch user
// guide, "Specification: Embedded metric format").
package emf

import "encoding/json"

// Values are the observations in a metric's member, one or a list; none where it is
// neither.
func Values(raw json.RawMessage) []float64 {
	var one float64
	if json.Unmarshal(raw, &one) == nil {
		return []float64{one}
	}
	var several []float64
	_ = json.Unmarshal(raw, &several) // what is neither has no values
	return several
}
