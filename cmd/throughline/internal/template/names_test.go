package template

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesIn(t *testing.T) {
	const template = small + `
  Loose: {Type: AWS::Serverless::Function, Properties: {Events: {Any: {Type: EventBridgeRule, Properties: {RuleName: any, Pattern: {source: [a]}}}}}}
  ByDefault: {Type: AWS::Events::Rule, Properties: {Name: !Sub "r-${Stage}", EventPattern: {source: [a]}, EventBusName: default}}
  Custom: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [a]}, EventBusName: !GetAtt Bus.Name}}
  Elsewhere: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [a]}, EventBusName: !Ref Other}}
`
	got, err := NamesIn([]byte(template), map[string]string{"Stage": "dev"})
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2][]string{
		"functions": {got.Functions, {"orders-dev", "reports"}},
		"buses":     {got.Buses, {"trading-dev", "default"}},
		"rules":     {got.DefaultRules, {"any", "r-dev"}},
		"unknown":   {got.Unknown, {"Loose", "Elsewhere's bus"}},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
		}
	}
	// Without a value, and without a default, nothing is guessed.
	if got, err := NamesIn([]byte(template), nil); err != nil || slices.Contains(got.Functions, "orders-") || !slices.Contains(got.Unknown, "Orders") {
		t.Errorf("%v, %v", got, err)
	}
	withDefault := strings.Replace(template, "Stage: {Type: String}", "Stage: {Type: String, Default: prod}", 1)
	if got, _ := NamesIn([]byte(withDefault), nil); !slices.Contains(got.Functions, "orders-prod") {
		t.Errorf("%v", got)
	}
	// A name that CloudFormation generates is given by the logical ID, also to what refers to it.
	const generated = `
Parameters: {Other: {Type: String, Default: x}}
Conditions: {Never: !Equals [a, b]}
Resources:
  Bus: {Type: AWS::Events::EventBus}
  New: {Type: AWS::EventsV2::EventBus}
  Off: {Type: AWS::Lambda::Function, Condition: Never}
  Checkout: {Type: AWS::Serverless::Function, Properties: {Events: {Any: {Type: EventBridgeRule, Properties: {Pattern: {source: [a]}}}}}}
  Fulfil: {Type: AWS::Lambda::Function}
  Rule: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [a]}, EventBusName: !Ref Bus}}
`
	values := map[string]string{"Bus": "b-1", "New": "n-1", "Checkout": "c-1", "Fulfil": "f-${1}", "CheckoutAny": "r-1", "Other": "y", "Off": "o"}
	got, err = NamesIn([]byte(generated), values)
	if err != nil || !slices.Equal(got.Functions, []string{"c-1", "f-${1}"}) || !slices.Equal(got.Buses, []string{"b-1", "default"}) ||
		!slices.Equal(got.NewBuses, []string{"n-1"}) || !slices.Equal(got.DefaultRules, []string{"r-1"}) || len(got.Unknown) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := NamesIn([]byte(generated), map[string]string{"Chekout": "c-1"}); err == nil || !strings.Contains(err.Error(), "--set Chekout: the template has no such parameter or resource") {
		t.Error(err)
	}
	for text, want := range map[string]string{"": "no Resources", "a: [": "not YAML"} {
		if _, err := NamesIn([]byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzNamesIn(f *testing.F) {
	f.Add(small)
	f.Add("Resources: {A: {Type: AWS::Lambda::Function, Properties: {FunctionName: !Ref A}}}")
	f.Fuzz(func(t *testing.T, template string) {
		names, err := NamesIn([]byte(template), map[string]string{"Stage": "dev"})
		if err == nil && slices.Contains(names.Functions, "") {
			t.Fatal("an empty name")
		}
	})
}
