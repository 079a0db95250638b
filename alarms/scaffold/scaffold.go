// Package scaffold writes the first spec of alarms of a system that is described
// by a CloudFormation or SAM template. It is pure.
package scaffold

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/internal/node"
)

// Spec returns a commented spec called name, for the functions, rules, queues,
// dead-letter queues, tables and schedules of a template. What the template does
// not name, for CloudFormation makes it up, becomes a parameter. It returns an
// error for a template that cannot be read or has nothing to watch.
func Spec(template []byte, name string) ([]byte, error) {
	root, err := node.Parse(template)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	if root.Get("Resources") == nil {
		return nil, errors.New("read the template: it has no Resources")
	}
	t := &reading{root: root, parameters: map[string]string{}, dead: map[string]bool{}}
	t.findDeadLetters(root)
	for _, pair := range root.Get("Resources").Pairs {
		t.resource(pair.Key, pair.Value)
	}
	if len(t.lines) == 0 {
		return nil, errors.New("the template has no function, rule, queue, table or schedule: there is nothing to watch")
	}
	return t.write(name), nil
}

// line is one resource of the spec. rank puts functions first.
type line struct {
	rank       int
	kind, name string
	text       string
}

// service is a function by what Throughline's metrics call it; attached says
// that the template gives it the layer.
type service struct {
	name, function string
	attached       bool
}

type reading struct {
	root       *node.Node
	parameters map[string]string // by name, what it stands for
	dead       map[string]bool   // queues that others send failures to
	lines      []line
	services   []service
	logGroups  []string
	full       bool // a function's settings ask for every metric
}

// findDeadLetters marks the queues that a redrive policy or a dead-letter
// configuration anywhere in the template refers to.
func (t *reading) findDeadLetters(n *node.Node) {
	if n == nil {
		return
	}
	for _, p := range n.Pairs {
		switch p.Key {
		case "deadLetterTargetArn", "DeadLetterConfig", "DeadLetterQueue", "DlqArn", "OnFailure":
			for _, queue := range references(p.Value) {
				t.dead[queue] = true
			}
		}
		t.findDeadLetters(p.Value)
	}
	for _, item := range n.Items {
		t.findDeadLetters(item)
	}
}

// references are the logical names that a value refers to.
func references(n *node.Node) []string {
	if n == nil {
		return nil
	}
	var out []string
	for _, p := range n.Pairs {
		switch {
		case p.Key == "Ref" && p.Value.Scalar():
			out = append(out, p.Value.Value())
		case p.Key == "Fn::GetAtt" && len(p.Value.List()) > 0:
			out = append(out, p.Value.List()[0].Value())
		default:
			out = append(out, references(p.Value)...)
		}
	}
	for _, item := range n.Items {
		out = append(out, references(item)...)
	}
	return out
}

func (t *reading) resource(id string, n *node.Node) {
	p := n.Get("Properties")
	switch n.Get("Type").Value() {
	case "AWS::Serverless::Function":
		t.function(id, p, t.root.At("Globals", "Function"))
		for _, event := range pairs(p.Get("Events")) {
			t.event(id, event.Key, event.Value)
		}
	case "AWS::Lambda::Function":
		t.function(id, p, nil)
	case "AWS::Events::Rule":
		t.rule(id, p, p.Get("Name"), p.Get("Targets").List())
	case "AWS::SQS::Queue":
		t.queue(id, p)
	case "AWS::DynamoDB::Table", "AWS::Serverless::SimpleTable":
		t.table(id, p)
	case "AWS::Scheduler::ScheduleGroup":
		t.add(5, "scheduler", "name", t.name(id, p.Get("Name"), "schedule group"))
	case "AWS::Scheduler::Schedule":
		if p.Get("GroupName") == nil {
			t.defaultGroup()
		}
	}
}

func pairs(n *node.Node) []node.Pair {
	if n == nil {
		return nil
	}
	return n.Pairs
}

// add writes one resource: pairs of members and values, of which empty ones are
// left out. Values are written as YAML already.
func (t *reading) add(rank int, kind string, members ...string) {
	parts := []string{"kind: " + kind}
	for i := 0; i < len(members); i += 2 {
		if members[i+1] != "" {
			parts = append(parts, members[i]+": "+members[i+1])
		}
	}
	text := "  - {" + strings.Join(parts, ", ") + "}"
	if !slices.ContainsFunc(t.lines, func(l line) bool { return l.text == text }) {
		t.lines = append(t.lines, line{rank, kind, members[1], text})
	}
}

// name is a resource's physical name as the spec can have it: itself, a text
// with parameters, or a parameter of its own where the template gives none.
func (t *reading) name(id string, n *node.Node, what string) string {
	switch {
	case n.Scalar() && n.Value() != "":
		return strconv.Quote(alarms.Literal(n.Value()))
	case n.Get("Ref") != nil:
		return strconv.Quote(t.parameter(n.Get("Ref").Value()))
	case n.Get("Fn::Sub").Scalar():
		return strconv.Quote(t.sub(n.Get("Fn::Sub").Value()))
	default:
		name := letters(id)
		t.parameters[name] = fmt.Sprintf("the name that CloudFormation gave the %s %s", what, id)
		return strconv.Quote("${" + name + "}")
	}
}

func (t *reading) parameter(ref string) string {
	name := letters(ref)
	of := "the template's parameter"
	if strings.HasPrefix(ref, "AWS::") {
		of = "CloudFormation's"
	} else if t.root.At("Resources", ref) != nil {
		of = "the name that CloudFormation gave"
	}
	t.parameters[name] = of + " " + ref
	return "${" + name + "}"
}

func (t *reading) sub(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, rest, closed := strings.Cut(after, "}")
		switch {
		case !closed:
			b.WriteString("$${" + after)
			return b.String()
		case strings.HasPrefix(name, "!"):
			b.WriteString("$${" + name[1:] + "}")
		default:
			b.WriteString(t.parameter(name))
		}
		text = rest
	}
}

func letters(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, strings.TrimPrefix(s, "AWS::"))
	if s == "" || s[0] <= '9' {
		s = "P" + s
	}
	return s
}

// write puts the parts together, with comments that say what each is for.
func (t *reading) write(name string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# Alarms as code, from a template. Check it with:  throughline alarms lint
# What every field is set to, and by which line:    throughline alarms explain
name: %s
# Every alarm's name begins with it; routing may depend on it.
prefix: %s
`, strconv.Quote(name), strconv.Quote(name+"-"))
	if len(t.parameters) > 0 {
		b.WriteString("\n# Names that the template leaves to CloudFormation or to its caller: give them with\n# --set NAME=VALUE, or a default here. Rendered templates take them as parameters.\nparameters:\n")
		for _, p := range sortedKeys(t.parameters) {
			fmt.Fprintf(&b, "  %s: {description: %s}\n", p, strconv.Quote(t.parameters[p]))
		}
	}
	b.WriteString(`
# SNS topics to tell. Without any, alarms change state and tell nobody.
notify:
  critical: []
  warning: []

# What to do about each alarm stands there; {kind}, {key} and {resource} are the
# alarm's: lambda, errors, a function's name. Put your own in its place.
runbook: https://github.com/throughline/throughline/blob/main/docs/operations.md#{kind}-{key}
`)
	if t.full {
		b.WriteString("\n# The functions have THROUGHLINE_METRICS=full.\nprofile: full\n")
	}
	t.writeLogGroups(&b)
	b.WriteString("\nresources:\n")
	slices.SortStableFunc(t.lines, func(a, b line) int { return cmp.Compare(a.rank, b.rank) })
	for _, l := range t.lines {
		b.WriteString(t.apart(l) + "\n")
	}
	b.WriteString("  - {kind: account}\n")
	t.writeServices(&b)
	b.WriteString(`
# overrides:
#   - {match: {kind: lambda, key: errors}, threshold: 5%, minSamples: 50, for: 3 of 5}
#   - {match: {name: a-function}, disable: [duration]}
`)
	return []byte(b.String())
}

// apart is the line of a resource, with another name for a table that is called
// as a function is: both have an alarm on throttles.
func (t *reading) apart(l line) string {
	taken := slices.ContainsFunc(t.lines, func(o line) bool { return o.kind == "lambda" && o.name == l.name })
	if l.kind != "dynamodb" || !taken {
		return l.text
	}
	return strings.TrimSuffix(l.text, "}") + ", as: " + strings.TrimSuffix(l.name, `"`) + `-table"}`
}

// maxLogGroups is how many one query of Logs Insights reads.
const maxLogGroups = 50

func (t *reading) writeLogGroups(b *strings.Builder) {
	if len(t.logGroups) == 0 {
		return
	}
	b.WriteString("\n# What the saved queries and the dashboard's tables read.\n")
	if n := len(t.logGroups); n > maxLogGroups {
		fmt.Fprintf(b, "# A query reads %d log groups: of %d functions the first stand here.\n", maxLogGroups, n)
	}
	b.WriteString("logGroups:\n")
	for _, g := range t.logGroups[:min(len(t.logGroups), maxLogGroups)] {
		b.WriteString("  - " + g + "\n")
	}
}

func (t *reading) writeServices(b *strings.Builder) {
	for _, attached := range []bool{true, false} {
		begun := false
		for _, s := range t.services {
			if s.attached != attached {
				continue
			}
			mark := ""
			if !attached {
				mark = "# "
			}
			if !begun && attached {
				b.WriteString("\n  # What only the Throughline layer or library can tell. List the event types that\n  # a service publishes or handles, for alarms on their sizes.\n")
			} else if !begun {
				b.WriteString("\n  # Where the Throughline layer or library is attached: what only it can tell.\n")
			}
			begun = true
			fmt.Fprintf(b, "  %s- {kind: extension, service: %s, function: %s}\n  %s- {kind: events, service: %s, detailTypes: []}\n", mark, s.name, s.function, mark, s.name)
		}
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
