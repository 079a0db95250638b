package resourcepolicy

import (
	"strings"
	"testing"
)

func TestAllows(t *testing.T) {
	const queue, rule = "arn:aws:sqs:eu-west-1:123456789012:dead", "arn:aws:events:eu-west-1:123456789012:rule/trading/signals"
	statement := func(effect, principal, action, resource, condition string) string {
		if condition != "" {
			condition = `,"Condition":` + condition
		}
		return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":` + action + `,"Resource":"` + resource + `"` + condition + `}`
	}
	const events = `{"Service":"events.amazonaws.com"}`
	plain := statement("Allow", events, `"sqs:SendMessage"`, queue, "")
	for name, tt := range map[string]struct {
		policy string
		want   string // "" for allowed
	}{
		"None":           {"", "it has no resource policy"},
		"NotJSON":        {"{", "not JSON"},
		"NoStatements":   {`{"Statement":[]}`, "no statement allows sqs:SendMessage to events.amazonaws.com"},
		"Plain":          {`{"Statement":[` + plain + `]}`, ""},
		"OneStatement":   {`{"Statement":` + plain + `}`, ""},
		"BadStatement":   {`{"Statement":3}`, "cannot be read"},
		"Everyone":       {`{"Statement":[` + statement("Allow", `"*"`, `"sqs:*"`, "*", "") + `]}`, ""},
		"EveryAccount":   {`{"Statement":[` + statement("Allow", `{"AWS":"*"}`, `["sqs:GetQueueUrl","SQS:sendmessage"]`, "*", "") + `]}`, ""},
		"OtherService":   {`{"Statement":[` + statement("Allow", `{"Service":["sns.amazonaws.com"]}`, `"sqs:*"`, "*", "") + `]}`, "no statement allows"},
		"OtherAction":    {`{"Statement":[` + statement("Allow", events, `"sqs:ReceiveMessage"`, queue, "") + `]}`, "no statement allows"},
		"OtherResource":  {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue+"2", "") + `]}`, "no statement allows"},
		"ThisRule":       {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"ArnEquals":{"aws:SourceArn":"`+rule+`"}}`) + `]}`, ""},
		"RulesOfTheBus":  {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"ArnLike":{"AWS:SourceArn":["x","arn:aws:events:*:*:rule/trading/*"]}}`) + `]}`, ""},
		"OtherRule":      {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"ArnEquals":{"aws:SourceArn":"`+rule+`-2"}}`) + `]}`, "it allows signals-2, not signals"},
		"ExactText":      {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"StringEquals":{"aws:SourceArn":"arn:aws:events:*"}}`) + `]}`, "it allows"},
		"Account":        {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"StringEquals":{"aws:SourceAccount":"123456789012"}}`) + `]}`, ""},
		"OtherAccount":   {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"StringEquals":{"aws:SourceAccount":"1"}}`) + `]}`, "it allows 1"},
		"UnknownKey":     {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"StringEquals":{"aws:PrincipalOrgID":"o"}}`) + `]}`, "it has the condition StringEquals on aws:PrincipalOrgID"},
		"UnknownTest":    {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"NumericEquals":{"aws:SourceArn":"1"}}`) + `]}`, "it allows"},
		"Denied":         {`{"Statement":[` + plain + "," + statement("Deny", `"*"`, `"sqs:*"`, queue, `{"ArnNotLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/other/*"}}`) + `]}`, "a statement denies it"},
		"DeniedToOthers": {`{"Statement":[` + plain + "," + statement("Deny", `"*"`, `"sqs:*"`, queue, `{"ArnNotEquals":{"aws:SourceArn":"`+rule+`"}}`) + `]}`, ""},
		"OnlyByTLS":      {`{"Statement":[` + plain + "," + statement("Deny", `"*"`, `"sqs:*"`, queue, `{"Bool":{"aws:SecureTransport":false}}`) + `]}`, ""},
		"NotLike":        {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"StringNotLike":{"aws:SourceArn":"*other*"},"StringNotEquals":{"aws:SourceAccount":"1"}}`) + `]}`, ""},
		"IfExists":       {`{"Statement":[` + statement("Allow", events, `"sqs:SendMessage"`, queue, `{"ArnLikeIfExists":{"aws:SourceArn":"`+rule+`"}}`) + `]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Allows(tt.policy, "sqs:SendMessage", queue, rule)
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"*", "", true}, {"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "ab", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"*a*b", "xxaxxb", true}, {"*a*b", "xxaxxbx", false}, {"a**", "a", true}, {"a", "ab", false}, {"ab", "a", false}, {"*ab", "aab", true},
	} {
		if got := glob(tt.pattern, tt.text); got != tt.want {
			t.Errorf("glob(%q, %q) = %v", tt.pattern, tt.text, got)
		}
	}
}

func FuzzAllows(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"q","Condition":{"ArnEquals":{"aws:SourceArn":"r"}}}]}`, "q")
	f.Add(`{"Statement":{"Effect":"Deny","Principal":"*","Action":["*"],"Condition":{"Bool":{"a":[true,1,null]}}}}`, "")
	f.Fuzz(func(t *testing.T, policy, resource string) {
		if policy == "" && Allows(policy, "a", resource, "r") == "" {
			t.Fatal("no policy allows")
		}
		Allows(policy, "sqs:SendMessage", resource, "arn:aws:events:a:b:rule/x")
	})
}
