package app

import (
	"fmt"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
)

// permissionsOf returns whether the policies of a template let its rules send to their
// targets, as throughline why reads them. The local bus sends in any case.
func permissionsOf(data []byte, values map[string]string) *system.Permissions {
	routes, err := template.Routes(data, values)
	if err != nil {
		return nil
	}
	p := &system.Permissions{}
	for _, r := range routes {
		for _, t := range r.Targets {
			switch t.Kind {
			case "function", "queue", "topic":
			default:
				continue
			}
			if p.Targets++; t.Refused != "" {
				p.Refused = append(p.Refused, fmt.Sprintf("rule %s cannot send to the %s %s: %s", r.Rule, t.Kind, t.Name, t.Refused))
			}
			if t.LettersRefused != "" {
				p.Refused = append(p.Refused, fmt.Sprintf("rule %s cannot send what it does not deliver to the dead-letter queue %s: %s", r.Rule, t.DeadLetter, t.LettersRefused))
			}
		}
	}
	return p
}

// refused returns a note for each target that a rule cannot send to in AWS.
func (a *App) refused() []string {
	if a.permissions == nil {
		return nil
	}
	return prefixed("in AWS, ", a.permissions.Refused)
}
