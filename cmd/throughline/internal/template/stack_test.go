package template

import "testing"

// TestStackOfARNs: a placeholder for an ARN is what Ref gives of a state machine.
func TestStackOfARNs(t *testing.T) {
	s, err := OpenStack([]byte("Resources: {Flow: {Type: AWS::StepFunctions::StateMachine, Condition: C}, Q: {Type: AWS::SQS::Queue}}"), Options{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	s.r.placeholders.take("arn Flow", "FlowArn", placeholder{})
	s.r.placeholders.take("arn InnerFlow", "InnerFlowArn", placeholder{})
	if ref, ok := s.Placeholder("FlowArn", false); !ok || ref.ID != "Flow" || ref.Attribute != "" || ref.Condition != "C" || s.Nested("FlowArn") {
		t.Errorf("%+v, %v", ref, ok)
	}
	if _, ok := s.Placeholder("InnerFlowArn", false); ok || !s.Nested("InnerFlowArn") {
		t.Error("the ARN of a nested stack's state machine is known")
	}
}
