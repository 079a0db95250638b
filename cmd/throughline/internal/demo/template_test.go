package demo

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/local/buslocal"
)

// TestTemplate holds that the demo's template has the demo's rules and subscribers, with
// targets that EventBridge may send to and the functions behind queues and topics.
func TestTemplate(t *testing.T) {
	for name, fresh := range map[string]bool{"Classic": false, "NewBus": true} {
		t.Run(name, func(t *testing.T) {
			s := &stage{bus: buslocal.New(buslocal.Options{Buses: []string{bus}})}
			defer s.bus.Close()
			if fresh {
				if _, err := s.startNewBus(); err != nil {
					t.Fatal(err)
				}
				defer s.newBus.service.Close()
				if err := s.subscribe(); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.addRules(); err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, r := range s.rules {
				for _, to := range r.Targets {
					want = append(want, fmt.Sprint(r.Name, " ", r.Pattern, " ", to.Target.Name()))
				}
			}
			for _, sub := range s.subscribers {
				want = append(want, fmt.Sprint(sub.Name, " ", sub.Filters[0].Pattern, " ", nameOf(sub.Invoke.TargetARN)))
			}
			routes, err := template.Routes(s.template(), nil)
			if err != nil {
				t.Fatal(err)
			}
			behind := map[string]string{}
			for _, r := range routes {
				for _, to := range r.Targets {
					got = append(got, fmt.Sprint(r.Rule, " ", string(r.Pattern), " ", to.Name))
					if r.Bus != bus || to.Refused != "" || to.DeadLetter != "dead-letters" {
						t.Errorf("%+v of %+v", to, r)
					}
					behind[to.Kind+" "+to.Name] = strings.Join(to.Functions, " ")
				}
			}
			if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Errorf("%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if behind["queue plans"] != "execution" || behind["topic hedges"] != "notifications" {
				t.Errorf("%v", behind)
			}
		})
	}
}
