package handling

import (
	"testing"

	"github.com/throughline/throughline/internal/lineage"
)

// An alarm stands on this count, so it is of faults alone.
func TestUncorrelatedReceivedIsAFault(t *testing.T) {
	for _, tt := range []struct {
		name, payload string
		want          bool
	}{
		{"FirstEventOfAShopWithoutCorrelationIDs", `{"id":"e-1","source":"shop","detail-type":"T","detail":{"order":1}}`, false},
		{"OfAWS", `{"id":"e-1","source":"aws.rds","detail-type":"RDS DB Instance Event","detail":{"EventID":"RDS-EVENT-0006"}}`, false},
		{"OfAWSWithACause", `{"id":"e-1","source":"aws.states","detail-type":"T","detail":{"causation_id":"x"}}`, false},
		{"Correlated", `{"id":"e-1","source":"shop","detail-type":"T","detail":{"correlation_id":"w-1","causation_id":"e-0"}}`, false},
		{"CausedAndUncorrelated", `{"id":"e-1","source":"shop","detail-type":"T","detail":{"causation_id":"e-0"}}`, true},
		{"StampedWithoutItsWorkflow", `{"id":"e-1","source":"shop","detail-type":"T","resources":["traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","hops:0"],"detail":{}}`, true},
	} {
		d := lineage.NewReader(lineage.Config{}).Read([]byte(tt.payload))
		if got := lostItsWorkflow(&d.Events[0]); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
