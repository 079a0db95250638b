package eventfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rule is a rule of a bus, with its pattern as JSON, from which a sample is made.
type Rule struct{ Bus, Pattern string }

// Sample makes an event of a detail-type that matches a rule: source and members of the
// detail come from the pattern, as far as possible. detail, if not nil, has members that
// replace these. ok is false if no rule names the type.
func Sample(rules []Rule, detailType string, detail map[string]any) (e Event, ok bool) {
	for _, r := range rules {
		var pattern map[string]any
		if json.Unmarshal([]byte(r.Pattern), &pattern) != nil {
			continue
		}
		types, _ := pattern["detail-type"].([]any)
		if !slices.ContainsFunc(types, func(t any) bool { return fits(t, detailType) }) {
			continue
		}
		e = Event{Bus: r.Bus, DetailType: detailType, Source: "throughline.dev"}
		if source, is := value(pattern["source"]).(string); is && source != "" {
			e.Source = source
		}
		members, _ := value(pattern["detail"]).(map[string]any)
		if members == nil {
			members = map[string]any{}
		}
		maps.Copy(members, detail)
		e.Detail, _ = json.Marshal(members) // plain values always marshal
		return e, true
	}
	return Event{}, false
}

// fits reports whether a condition on a text is this text or a prefix of it.
func fits(condition any, text string) bool {
	if prefix, is := operator(condition, "prefix").(string); is {
		return strings.HasPrefix(text, prefix)
	}
	return condition == text
}

func operator(condition any, name string) any {
	of, _ := condition.(map[string]any)
	return of[name]
}

// value returns a value that matches a part of a pattern, or nil.
func value(pattern any) any {
	switch p := pattern.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, below := range p {
			if name == "$or" {
				if list, _ := below.([]any); len(list) > 0 {
					if first, is := value(list[0]).(map[string]any); is {
						maps.Copy(out, first)
					}
				}
				continue
			}
			if v := value(below); v != nil {
				out[name] = v
			}
		}
		return out
	case []any:
		for _, condition := range p {
			if v := satisfying(condition); v != nil {
				return v
			}
		}
	}
	return nil
}

// satisfying returns a value that matches one condition.
func satisfying(condition any) any {
	of, is := condition.(map[string]any)
	if !is {
		return condition
	}
	for name, argument := range of {
		switch name {
		case "prefix", "suffix", "equals-ignore-case":
			if text, is := argument.(string); is {
				return text
			}
		case "wildcard":
			return strings.ReplaceAll(fmt.Sprint(argument), "*", "x")
		case "exists":
			if argument == true {
				return "x"
			}
		case "anything-but":
			return "something-else"
		case "cidr":
			address, _, _ := strings.Cut(fmt.Sprint(argument), "/")
			return address
		case "numeric":
			return number(argument)
		}
	}
	return nil
}

// number returns a number within bounds such as [">", 0, "<=", 5].
func number(bounds any) any {
	list, _ := bounds.([]any)
	low, high, open := 0.0, 0.0, [2]bool{true, true}
	for i := 0; i+1 < len(list); i += 2 {
		n, _ := list[i+1].(float64)
		switch list[i] {
		case "=":
			return n
		case ">":
			low, open[0] = n+1, false
		case ">=":
			low, open[0] = n, false
		case "<":
			high, open[1] = n-1, false
		case "<=":
			high, open[1] = n, false
		}
	}
	switch {
	case open[0] && open[1]:
		return 1.0
	case open[1]:
		return low
	case open[0] || low > high:
		if !open[0] { // the bounds are exclusive
			return (low - 1 + high + 1) / 2
		}
		return high
	}
	return low
}
