// Package emf reads members of CloudWatch's embedded metric format (CloudWatch user
// guide, "Specification: Embedded metric format").
package emf

import "encoding/json"

// Values returns the observations in a metric's member: a number, or an array. It returns
// none for anything else.
func Values(raw json.RawMessage) []float64 {
	var one float64
	if json.Unmarshal(raw, &one) == nil {
		return []float64{one}
	}
	var several []float64
	_ = json.Unmarshal(raw, &several) // anything else has no values
	return several
}
