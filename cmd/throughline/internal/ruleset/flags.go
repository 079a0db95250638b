package ruleset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/read"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// Flags select rules: in a template, on buses of an account, or both.
type Flags struct {
	Template string
	Values   map[string]string // values of the template's parameters
	Buses    []string          // names or ARNs
}

// Bind adds --template, --set and --bus.
func (f *Flags) Bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Template, "template", "", "use the rules of the SAM or CloudFormation template in `FILE`")
	flags.StringToStringVar(&f.Values, "set", nil, "set a parameter of the template: `NAME=VALUE`")
	flags.StringSliceVar(&f.Buses, "bus", nil, "use the rules of the event bus `NAME` in the account, a name or ARN; repeat for more")
}

// Given reports whether any rules are named.
func (f *Flags) Given() bool { return f.Template != "" || len(f.Buses) > 0 }

// Set is a set of rules and where they are. It can be empty.
type Set struct {
	Rules []Rule
	Where string   // template.yaml, bus orders
	Notes []string // what could not be read
	// Queues are the numbers of messages, by name, in the account's queues that are
	// targets or dead-letter queues of rules.
	Queues map[string]int
}

// Load reads the rules. If buses are named, configure returns the account's
// configuration. With targets it also reads the targets: whether they exist, and whether
// their policies allow EventBridge to send.
func (f *Flags) Load(ctx context.Context, configure func(context.Context) (aws.Config, error), targets bool, progress terminal.Progress) (Set, error) {
	var set Set
	var where []string
	if f.Template != "" {
		data, err := os.ReadFile(f.Template)
		if err != nil {
			return set, fmt.Errorf("%w: name a SAM or CloudFormation template with --template", err)
		}
		routes, err := template.Routes(data, f.Values)
		if err != nil {
			return set, fmt.Errorf("%s: %w", f.Template, err)
		}
		set.Rules, where = OfTemplate(routes), append(where, f.Template)
	}
	if len(f.Buses) > 0 {
		cfg, err := configure(ctx)
		if err != nil {
			return set, err
		}
		of := read.New(cfg, read.Options{Now: time.Now(), Progress: progress})
		for _, bus := range f.Buses {
			of.Scope.AddBus(bus)
		}
		if err := of.ReadRules(ctx, targets); err != nil {
			return set, err
		}
		if err := set.add(of.System); err != nil {
			return set, err
		}
		where = append(where, "bus "+strings.Join(arn.Names(f.Buses), ", bus "))
	}
	set.Where = strings.Join(where, " and ")
	return set, nil
}

// add adds the rules of an account.
func (s *Set) add(of *system.System) error {
	for _, part := range []system.Part{system.Buses, system.Rules} {
		if why := of.Unread[part]; why != "" {
			return errors.New(why)
		}
	}
	for _, part := range []system.Part{system.Functions, system.Policies, system.Queues} {
		if why := of.Unread[part]; why != "" {
			s.Notes = append(s.Notes, why+": whether the rules can send to their targets is not known")
		}
	}
	for _, b := range of.Buses {
		if !b.Exists {
			text := "there is no bus " + b.Name
			if len(b.Others) > 0 {
				text += "; there is " + strings.Join(b.Others, ", ")
			}
			return errors.New(text)
		}
	}
	s.Rules = append(s.Rules, OfSystem(of)...)
	s.Queues = map[string]int{}
	for _, q := range of.Queues {
		if q.Exists {
			s.Queues[arn.Name(q.ARN)] = q.Messages
		}
	}
	return nil
}
