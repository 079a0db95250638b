// Package resourcepolicy evaluates the resource-based policy of a queue, topic,
// function or key for deliveries by EventBridge and other services (IAM user guide,
// "Policy evaluation logic", and EventBridge user guide, "Using resource-based
// policies"). It is pure.
package resourcepolicy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
)

// statement is one statement of a resource policy, with the elements that matter for a
// service (IAM user guide, "IAM JSON policy elements reference").
type statement struct {
	Effect    string
	Principal json.RawMessage
	Action    texts
	Resource  texts
	Condition map[string]map[string]texts
}

// texts is a text or a list of texts, as in policies.
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
		*t = append(*t, fmt.Sprint(v)) // a policy can have true or 1 instead of a text
	}
	return nil
}

const eventsPrincipal = "events.amazonaws.com"

// Allows returns why a policy does not let a rule of EventBridge do action on resource,
// or "" if it does. A condition on a key that EventBridge does not set counts as not met.
func Allows(policy, action, resource, rule string) string {
	return AllowsService(policy, eventsPrincipal, action, resource, rule, nil)
}

// AllowsService returns why a policy does not let a service, such as
// cloudwatch.amazonaws.com, do action on resource for source, which is an ARN, or "" if
// it does. Conditions can use the source, its account and the keys of context, in lower
// case. Any other condition counts as not met.
func AllowsService(policy, service, action, resource, source string, context map[string]string) string {
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
		if !s.isFor(service) || !matchesAny(s.Action, action, true) || len(s.Resource) > 0 && !matchesAny(s.Resource, resource, false) {
			continue
		}
		unmet := s.unmet(source, context)
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
	return "no statement allows " + action + " to " + service
}

// isFor reports whether the statement's principal includes the service.
func (s statement) isFor(service string) bool {
	var everyone string
	if json.Unmarshal(s.Principal, &everyone) == nil {
		return everyone == "*"
	}
	var by map[string]texts
	if json.Unmarshal(s.Principal, &by) != nil {
		return false
	}
	return slices.Contains(by["Service"], service) || slices.Contains(by["AWS"], "*") || slices.Contains(by["Service"], "*")
}

// unmet describes the condition that a delivery for source does not meet, or returns "".
func (s statement) unmet(source string, context map[string]string) string {
	for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
		keys := s.Condition[operator]
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			values, is := keys[key], ""
			switch strings.ToLower(key) {
			case "aws:sourcearn":
				is = source
			case "aws:sourceaccount":
				is = arn.Account(source)
			case "aws:securetransport":
				is = "true"
			default:
				value, known := context[strings.ToLower(key)]
				if is = value; known {
					break
				}
				return fmt.Sprintf("it has the condition %s on %s, which may not be met", operator, key)
			}
			if !met(strings.TrimSuffix(operator, "IfExists"), values, is) {
				return fmt.Sprintf("it allows %s, not %s", phrase.Some(arn.Names(values)), arn.Name(source))
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

// glob matches * and ? as policies do. Its time is bounded by the product of the lengths.
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
