package checkcmd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// statement is one statement of a resource policy, as far as EventBridge is
// concerned (IAM user guide, "IAM JSON policy elements reference").
type statement struct {
	Effect    string
	Principal json.RawMessage
	Action    texts
	Resource  texts
	Condition map[string]map[string]texts
}

// texts is a text or a list of them, as policies have it.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	var one any
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	list, ok := one.([]any)
	if !ok {
		list = []any{one}
	}
	for _, v := range list {
		*t = append(*t, fmt.Sprint(v)) // a policy may say true or 1 where it means a text
	}
	return nil
}

const eventsPrincipal = "events.amazonaws.com"

// allows says why a policy does not let a rule do action on resource, "" where
// it does. A condition on what EventBridge does not tell counts as not met.
func allows(policy, action, resource, rule string) string {
	if policy == "" {
		return "it has no resource policy"
	}
	var document struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		return "its policy is not JSON: " + err.Error()
	}
	var statements []statement
	if err := json.Unmarshal(document.Statement, &statements); err != nil {
		var one statement
		if err := json.Unmarshal(document.Statement, &one); err != nil {
			return "its policy cannot be read: " + err.Error()
		}
		statements = []statement{one}
	}
	allowed, near := false, ""
	for _, s := range statements {
		if !s.forEvents() || !matchesAny(s.Action, action, true) || len(s.Resource) > 0 && !matchesAny(s.Resource, resource, false) {
			continue
		}
		unmet := s.unmet(rule)
		switch {
		case s.Effect == "Deny" && unmet == "":
			return "a statement denies it"
		case s.Effect == "Allow" && unmet == "":
			allowed = true
		case s.Effect == "Allow" && near == "":
			near = unmet
		}
	}
	switch {
	case allowed:
		return ""
	case near != "":
		return near
	}
	return "no statement allows " + action + " to " + eventsPrincipal
}

// forEvents reports whether the statement's principal includes EventBridge.
func (s statement) forEvents() bool {
	var everyone string
	if json.Unmarshal(s.Principal, &everyone) == nil {
		return everyone == "*"
	}
	var by map[string]texts
	if json.Unmarshal(s.Principal, &by) != nil {
		return false
	}
	return slices.Contains(by["Service"], eventsPrincipal) || slices.Contains(by["AWS"], "*") || slices.Contains(by["Service"], "*")
}

// unmet names the condition that a delivery of the rule does not meet, "" for
// none.
func (s statement) unmet(rule string) string {
	account := ""
	if parts := strings.SplitN(rule, ":", 6); len(parts) == 6 {
		account = parts[4]
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			is := ""
			switch strings.ToLower(key) {
			case "aws:sourcearn":
				is = rule
			case "aws:sourceaccount":
				is = account
			case "aws:securetransport":
				is = "true"
			default:
				return fmt.Sprintf("it asks for %s of %s, which is not known to be met", operator, key)
			}
			if !met(strings.TrimSuffix(operator, "IfExists"), values, is) {
				return fmt.Sprintf("it lets %s through, not %s", some(lasts(values)), last(rule))
			}
		}
	}
	return ""
}

func met(operator string, values texts, is string) bool {
	switch operator {
	case "ArnEquals", "ArnLike", "StringLike":
		return matchesAny(values, is, false)
	case "StringEquals":
		return slices.Contains(values, is)
	case "StringEqualsIgnoreCase", "Bool":
		return matchesAny(values, is, true)
	case "ArnNotEquals", "ArnNotLike", "StringNotLike":
		return !matchesAny(values, is, false)
	case "StringNotEquals":
		return !slices.Contains(values, is)
	}
	return false
}

func matchesAny(patterns texts, text string, fold bool) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if fold {
			return glob(strings.ToLower(p), strings.ToLower(text))
		}
		return glob(p, text)
	})
}

// glob matches * and ? as policies do. It takes time in the product of the
// lengths at most.
func glob(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
