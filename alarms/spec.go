package alarms

import (
	"time"

	"github.com/throughline/throughline/alarms/internal/node"
	"github.com/throughline/throughline/metrics"
)

// spec is a document as it was written.
type spec struct {
	name, prefix, region, runbook, namespace, dashboard string
	profile                                             metrics.Profile
	limit                                               float64
	parameters                                          []Parameter
	notify                                              map[Severity][]string
	ok, noData                                          []string
	tags                                                []Tag
	defaults                                            change
	resources                                           []resource
	overrides                                           []override
	custom                                              []custom
	composites                                          []composite
	logGroups                                           []string
}

// resource is one thing to watch: the members of every kind together, of which
// a kind takes its own.
type resource struct {
	line                             int
	kind                             kind
	name, as                         string
	timeout, every, retention, slo   time.Duration
	reserved, concurrency, maxHops   float64
	stream, fifo, drained            bool
	bus, dlq                         string
	service, function, queue         string
	indexes, operations, detailTypes []string
	rules                            []string
}

// label is what the resource is called in names and messages.
func (r resource) label() string {
	switch {
	case r.as != "":
		return r.as
	case r.name != "":
		return r.name
	case r.service != "":
		return r.service
	default:
		return r.kind.name
	}
}

// change is what a spec says of alarms in place of a pack's row. Its lines say
// where; 0 is where it says nothing.
type change struct {
	threshold  *node.Node
	window     *node.Node
	minSamples *node.Node
	missing    *node.Node
	severity   *node.Node
	actions    *node.Node
	at         int
}

type override struct {
	change
	kind, key, name string
	enable, disable []string
	used            bool
}

// custom is an alarm that no pack has.
type custom struct {
	change
	line        int
	name        string
	description string
	queries     []Query
	period      int
}

type composite struct {
	line        int
	name        string
	description string
	severity    Severity
	any, all    []string
}

const defaultSizeLimit = 1 << 20 // of an entry, since 2026; see facts of PutEvents

// read takes a spec out of its document.
func read(data []byte) (spec, *reader, error) {
	root, err := parse(data)
	if err != nil {
		return spec{}, nil, err
	}
	r := &reader{}
	s := spec{namespace: metrics.DefaultNamespace, limit: defaultSizeLimit, notify: map[Severity][]string{}}
	if root.Kind == node.Null {
		return spec{}, nil, Problems{{1, "the spec is empty: begin with `name:` and `resources:`, or with the output of `throughline alarms init`"}}
	}
	r.fields(root, "the spec", map[string]func(*node.Node){
		"name":       func(n *node.Node) { s.name = r.text(n, "name") },
		"prefix":     func(n *node.Node) { s.prefix = r.text(n, "prefix") },
		"region":     func(n *node.Node) { s.region = r.text(n, "region") },
		"runbook":    func(n *node.Node) { s.runbook = r.text(n, "runbook") },
		"namespace":  func(n *node.Node) { s.namespace = r.text(n, "namespace") },
		"dashboard":  func(n *node.Node) { s.dashboard = r.text(n, "dashboard") },
		"logGroups":  func(n *node.Node) { s.logGroups = r.texts(n, "logGroups") },
		"profile":    func(n *node.Node) { s.profile = r.profile(n) },
		"sizeLimit":  func(n *node.Node) { s.limit = r.size(n) },
		"parameters": func(n *node.Node) { s.parameters = r.parameters(n) },
		"tags":       func(n *node.Node) { s.tags = r.tags(n) },
		"notify":     func(n *node.Node) { r.notify(n, &s) },
		"defaults": func(n *node.Node) {
			s.defaults.at = n.Line
			r.fields(n, "defaults", r.changes(&s.defaults))
		},
		"resources": func(n *node.Node) {
			for _, item := range r.list(n, "resources") {
				s.resources = append(s.resources, r.resource(item))
			}
		},
		"overrides": func(n *node.Node) {
			for _, item := range r.list(n, "overrides") {
				s.overrides = append(s.overrides, r.override(item))
			}
		},
		"alarms": func(n *node.Node) {
			for _, item := range r.list(n, "alarms") {
				s.custom = append(s.custom, r.custom(item))
			}
		},
		"composites": func(n *node.Node) {
			for _, item := range r.list(n, "composites") {
				s.composites = append(s.composites, r.composite(item))
			}
		},
	})
	if s.name == "" && root.Get("name") == nil {
		r.fail(1, "the spec has no name: it says whose the alarms are")
	}
	if s.prefix == "" {
		s.prefix = s.name + "/"
	}
	if s.dashboard == "" {
		s.dashboard = s.name
	}
	if len(s.resources)+len(s.custom) == 0 {
		r.fail(1, "the spec has no resources and no alarms: there is nothing to watch")
	}
	return s, r, nil
}

func (r *reader) profile(n *node.Node) metrics.Profile {
	if r.choice(n, "profile", "basic", "full") == "full" {
		return metrics.Full
	}
	return metrics.Basic
}

func (r *reader) size(n *node.Node) float64 {
	f, err := scale{unit: bytes}.value(n.Value())
	if err != nil || f <= 0 {
		r.fail(n.Line, "sizeLimit: %q is not a size: write 1MiB or 256KiB", n.Value())
	}
	return f
}

func (r *reader) parameters(n *node.Node) []Parameter {
	var out []Parameter
	if n.Kind != node.Map {
		r.fail(n.Line, "parameters is %s: it must be a mapping of names", n.Kind)
	}
	for _, pair := range n.Pairs {
		p := Parameter{Name: pair.Key}
		if !identifier(pair.Key) {
			r.fail(pair.Line, "parameter %q: a name is letters and digits", pair.Key)
		}
		r.fields(pair.Value, "parameter "+pair.Key, map[string]func(*node.Node){
			"default":     func(n *node.Node) { p.Default, p.HasDefault = n.Value(), true },
			"description": func(n *node.Node) { p.Description = n.Value() },
		})
		out = append(out, p)
	}
	return out
}

func (r *reader) tags(n *node.Node) []Tag {
	var out []Tag
	if n.Kind != node.Map {
		r.fail(n.Line, "tags is %s: it must be a mapping", n.Kind)
	}
	for _, pair := range n.Pairs {
		out = append(out, Tag{pair.Key, r.text(pair.Value, "tag "+pair.Key)})
	}
	return out
}

func (r *reader) notify(n *node.Node, s *spec) {
	r.fields(n, "notify", map[string]func(*node.Node){
		string(Critical): func(n *node.Node) { s.notify[Critical] = r.texts(n, "notify") },
		string(Warning):  func(n *node.Node) { s.notify[Warning] = r.texts(n, "notify") },
		"ok":             func(n *node.Node) { s.ok = r.texts(n, "notify") },
		"noData":         func(n *node.Node) { s.noData = r.texts(n, "notify") },
	})
}

// changes are the members that defaults, overrides and custom alarms share.
func (r *reader) changes(c *change) map[string]func(*node.Node) {
	return map[string]func(*node.Node){
		"threshold":  func(n *node.Node) { c.threshold = n },
		"for":        func(n *node.Node) { c.window = n },
		"minSamples": func(n *node.Node) { c.minSamples = n },
		"missing":    func(n *node.Node) { c.missing = n },
		"severity":   func(n *node.Node) { c.severity = n },
		"actions":    func(n *node.Node) { c.actions = n },
	}
}

func (r *reader) override(n *node.Node) override {
	o := override{change: change{at: n.Line}}
	take := r.changes(&o.change)
	take["match"] = func(n *node.Node) {
		r.fields(n, "match", map[string]func(*node.Node){
			"kind": func(n *node.Node) { o.kind = r.choice(n, "kind", kindNames()...) },
			"key":  func(n *node.Node) { o.key = r.text(n, "key") },
			"name": func(n *node.Node) { o.name = r.text(n, "name") },
		})
	}
	take["enable"] = func(n *node.Node) { o.enable = r.texts(n, "enable") }
	take["disable"] = func(n *node.Node) { o.disable = r.texts(n, "disable") }
	r.fields(n, "an override", take)
	return o
}

func kindNames() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return append(names, "custom")
}
