package judge

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/throughline/throughline/local/eventpattern"
)

// change is a rule's condition on resources that the stamp's lines affect.
type change struct {
	certain bool // if false, only an ID that happens to match
	why     string
}

// stamps are the lines that are added to an event's resources (docs/wire.md): for a
// workflow's first event, and for an event that another one caused.
var stamps = [][]string{
	{"correlation:workflow-6513270e-269e-4d37-b2a7-4de452e6b438", "traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "hops:0"},
	{"correlation:workflow-6513270e-269e-4d37-b2a7-4de452e6b438", "causation:rebalance-b2061ecc-65d4-44fd-a9e7-8b06a72ed508", "parent:signal-d23f0824-128b-4f33-8c5c-7fd0a6a3a450",
		"traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "origin:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "hops:12"},
}

// bases are resources that an event can have itself.
var bases = [][]string{nil, {"arn:aws:s3:::a-bucket-of-somebody/an.object"}}

// stampChanges finds the conditions on resources of an event pattern that match
// differently when lines are added. It returns an error for a pattern that cannot be
// read.
func stampChanges(pattern string) ([]change, error) {
	if pattern == "" {
		return nil, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(pattern), &object); err != nil {
		return nil, fmt.Errorf("read its pattern: %w", err)
	}
	return changesIn(object)
}

func changesIn(object map[string]json.RawMessage) ([]change, error) {
	var found []change
	var branches []map[string]json.RawMessage
	if or, ok := object["$or"]; ok {
		if err := json.Unmarshal(or, &branches); err != nil {
			return nil, fmt.Errorf("read its pattern: $or: %w", err)
		}
	}
	for _, b := range branches {
		more, err := changesIn(b)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	conditions, ok := object["resources"]
	if !ok {
		return found, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(conditions, &list); err != nil {
		return nil, fmt.Errorf("read its pattern: resources: %w", err)
	}
	differs, err := matchesOtherwise(conditions)
	if err != nil {
		return nil, fmt.Errorf("read its pattern: %w", err)
	}
	if differs != "" {
		return append(found, change{true, fmt.Sprintf("resources %s: %s", conditions, differs)}), nil
	}
	for _, c := range list {
		if byAnID(c) {
			found = append(found, change{false, fmt.Sprintf("resources [%s]: a correlation ID can match it by chance", c)})
		}
	}
	return found, nil
}

// matchesOtherwise describes how stamped events match differently, or returns "".
func matchesOtherwise(conditions json.RawMessage) (string, error) {
	p, err := eventpattern.Compile(append(append([]byte(`{"resources":`), conditions...), '}'))
	if err != nil {
		return "", err
	}
	for i, base := range bases {
		for _, lines := range stamps {
			before, after := p.Match(withResources(base)), p.Match(withResources(append(append([]string(nil), base...), lines...)))
			if before == after {
				continue
			}
			which := "an event without resources of its own"
			if i > 0 {
				which = "an event with other resources"
			}
			if before {
				return which + " does not match it when stamped", nil
			}
			return which + " matches it when stamped", nil
		}
	}
	return "", nil
}

func withResources(lines []string) []byte {
	if lines == nil {
		lines = []string{}
	}
	event, _ := json.Marshal(map[string]any{"resources": lines}) // strings always marshal
	return event
}

// byAnID reports whether the condition can match a line through the opaque ID
// in it.
func byAnID(condition json.RawMessage) bool {
	var operator map[string]json.RawMessage
	if json.Unmarshal(condition, &operator) != nil {
		return false
	}
	if _, ok := operator["suffix"]; ok {
		return true
	}
	var text string
	return json.Unmarshal(operator["wildcard"], &text) == nil && strings.HasPrefix(text, "*")
}
