package eventsv2local

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/throughline/throughline/local/eventpattern"
)

// Scope is the part of an event that a filter applies to.
type Scope string

// The scopes.
const (
	ScopeData           Scope = "DATA"
	ScopeMetadata       Scope = "METADATA"
	ScopeSystemMetadata Scope = "SYSTEM_METADATA"
)

// Filter is one of a subscriber's filters. An event must match all of them.
type Filter struct {
	Pattern string // EventBridge's JSON
	Scope   Scope

	compiled *eventpattern.Pattern
}

const maxPattern = 4096

// compile compiles a filter's pattern. It returns an error if the filter is invalid.
func (f *Filter) compile() error {
	if len(f.Pattern) > maxPattern {
		return fmt.Errorf("a pattern has at most %d characters", maxPattern)
	}
	var source any
	if err := json.Unmarshal([]byte(f.Pattern), &source); err != nil {
		return fmt.Errorf("the pattern is no JSON: %w", err)
	}
	for _, operator := range operators(source) {
		switch {
		case operator == "wildcard":
			return fmt.Errorf("%q is not known to the new custom buses", operator)
		case f.Scope == ScopeMetadata:
			return fmt.Errorf("a METADATA filter knows exact values alone, not %q", operator)
		}
	}
	switch f.Scope {
	case ScopeData, ScopeMetadata, ScopeSystemMetadata:
	default:
		return fmt.Errorf("the scope %q is not DATA, METADATA or SYSTEM_METADATA", f.Scope)
	}
	var err error
	f.compiled, err = eventpattern.Compile([]byte(f.Pattern))
	return err
}

// operators returns the names of the comparison operators in a pattern: members of
// objects in lists.
func operators(source any) (names []string) {
	switch v := source.(type) {
	case map[string]any:
		for _, below := range v {
			names = append(names, operators(below)...)
		}
	case []any:
		for _, condition := range v {
			if object, ok := condition.(map[string]any); ok {
				for name, below := range object {
					names = append(append(names, name), operators(below)...)
				}
			}
		}
	}
	return names
}

// match reports whether an event matches. delivery is its delivery type.
func (f *Filter) match(e *Event, delivery string) bool {
	part := e.Data
	switch f.Scope {
	case ScopeMetadata:
		part = texts(e.Metadata)
	case ScopeSystemMetadata:
		part = texts(e.system(delivery))
	case ScopeData:
		if !strings.HasPrefix(strings.TrimSpace(string(part)), "{") {
			return false
		}
	}
	return f.compiled.Match(part)
}

func texts(m map[string]string) []byte {
	if m == nil {
		return []byte("{}")
	}
	data, _ := json.Marshal(m) // strings always marshal
	return data
}
