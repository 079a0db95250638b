package alarms

import (
	"cmp"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/yamltree"
	"github.com/throughline/throughline/metrics"
)

// spec is a document as it was written.
type spec struct {
	name, prefix, region, runbook, namespace, dashboard string
	names                                               string // the template of alarms' names, after the prefix: {resource}-{detail}-{key}
	profile                                             metrics.Profile
	limit                                               float64
	essential                                           bool // watch: essential: a few alarms for each service instead of every row
	steady                                              bool // traffic all day, not in bursts
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

// resource is one resource to watch. It has the members of every kind; a kind uses some
// of them.
type resource struct {
	line                             int
	kind                             kind
	name, as                         string
	timeout, every, retention, slo   time.Duration
	slack                            time.Duration // the slack after every
	retained                         bool          // the spec gives retention
	arn, id, stage                   string
	dimension                        string // the value of EventBus for a new custom bus
	qualifier, executedVersion       string // an alias or a version of a function
	reserved, concurrency, maxHops   float64
	stream, drained                  bool
	async, deadLetter, destination   bool
	of                               string // the function that the resource belongs to
	bus, dlq                         string
	service, function                string
	indexes, operations, detailTypes []string
}

// label returns the resource's name in alarms' names and in messages.
func (r resource) label() string {
	switch {
	case r.as != "":
		return r.as
	case r.qualifier != "" && r.executedVersion != "":
		return r.name + ":" + r.qualifier + ":" + r.executedVersion
	case r.qualifier != "":
		return r.name + ":" + r.qualifier
	case r.name != "":
		return r.name
	case r.service != "":
		return r.service
	case r.arn != "":
		last := r.arn[strings.LastIndexByte(r.arn, ':')+1:]
		if parts := strings.Split(last, "/"); len(parts) == 3 { // event-busv2/orders/ID
			return parts[1]
		}
		return last
	case r.id != "":
		return r.id
	default:
		return r.kind.name
	}
}

// change is what a spec sets instead of a pack's row. A line is 0 if the spec does not
// set the value.
type change struct {
	threshold  *yamltree.Node
	window     *yamltree.Node
	minSamples *yamltree.Node
	missing    *yamltree.Node
	severity   *yamltree.Node
	actions    *yamltree.Node
	period     *yamltree.Node
	statistic  *yamltree.Node
	lowSample  *yamltree.Node
	hours      *yamltree.Node
	at         int
	allow      string // why lint's warnings are not to be given
}

type override struct {
	change
	kind, key, name string
	enable, disable []string
	used            bool
}

// custom is an alarm that is not in a pack.
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

const defaultSizeLimit = 1 << 20 // the size limit of an entry since 2026

// read reads a spec from its document.
func read(data []byte) (spec, *reader, error) {
	root, err := parse(data)
	if err != nil {
		return spec{}, nil, err
	}
	r := &reader{}
	s := spec{namespace: metrics.DefaultNamespace, limit: defaultSizeLimit, notify: map[Severity][]string{}}
	if root.Kind == yamltree.Null {
		return spec{}, nil, Problems{{1, "the spec is empty: begin with `name:` and `resources:`, or with the output of `throughline alarms init`"}}
	}
	r.fields(root, "the spec", map[string]func(*yamltree.Node){
		"name":       func(n *yamltree.Node) { s.name = r.text(n, "name") },
		"prefix":     func(n *yamltree.Node) { s.prefix = r.text(n, "prefix") },
		"names":      func(n *yamltree.Node) { s.names = r.names(n) },
		"region":     func(n *yamltree.Node) { s.region = r.text(n, "region") },
		"runbook":    func(n *yamltree.Node) { s.runbook = r.text(n, "runbook") },
		"namespace":  func(n *yamltree.Node) { s.namespace = r.text(n, "namespace") },
		"dashboard":  func(n *yamltree.Node) { s.dashboard = r.text(n, "dashboard") },
		"logGroups":  func(n *yamltree.Node) { s.logGroups = r.texts(n, "logGroups") },
		"profile":    func(n *yamltree.Node) { s.profile = r.profile(n) },
		"traffic":    func(n *yamltree.Node) { s.steady = r.choice(n, "traffic", "burst", "steady") == "steady" },
		"watch":      func(n *yamltree.Node) { s.essential = r.choice(n, "watch", "essential", "all") == "essential" },
		"sizeLimit":  func(n *yamltree.Node) { s.limit = r.size(n) },
		"parameters": func(n *yamltree.Node) { s.parameters = r.parameters(n) },
		"tags":       func(n *yamltree.Node) { s.tags = r.tags(n) },
		"notify":     func(n *yamltree.Node) { r.notify(n, &s) },
		"defaults": func(n *yamltree.Node) {
			s.defaults.at = n.Line
			r.fields(n, "defaults", r.changes(&s.defaults))
		},
		"resources": func(n *yamltree.Node) {
			for _, item := range r.list(n, "resources") {
				s.resources = append(s.resources, r.resource(item))
			}
		},
		"overrides": func(n *yamltree.Node) {
			for _, item := range r.list(n, "overrides") {
				s.overrides = append(s.overrides, r.override(item))
			}
		},
		"alarms": func(n *yamltree.Node) {
			for _, item := range r.list(n, "alarms") {
				s.custom = append(s.custom, r.custom(item))
			}
		},
		"composites": func(n *yamltree.Node) {
			for _, item := range r.list(n, "composites") {
				s.composites = append(s.composites, r.composite(item))
			}
		},
	})
	if s.name == "" && root.Get("name") == nil {
		r.fail(1, "the spec has no name: add name, which marks the alarms as the spec's")
	}
	s.prefix = cmp.Or(s.prefix, s.name+"/")
	s.dashboard = cmp.Or(s.dashboard, s.name)
	if len(s.resources)+len(s.custom) == 0 {
		r.fail(1, "the spec has no resources and no alarms: add what it is to watch")
	}
	return s, r, nil
}

// names reads the template of alarms' names.
func (r *reader) names(n *yamltree.Node) string {
	text := r.text(n, "names")
	rest := strings.NewReplacer("{resource}", "", "{detail}", "", "{key}", "", "{kind}", "", "{severity}", "").Replace(text)
	if !strings.Contains(text, "{resource}") || !strings.Contains(text, "{key}") {
		r.fail(n.Line, "names: %q: it must contain {resource} and {key}, so that names differ", text)
	}
	if bare := strings.ReplaceAll(rest, "${", ""); strings.Contains(bare, "{") {
		r.fail(n.Line, "names: %q: it can contain {resource}, {detail}, {key}, {kind} and {severity}, which is that of the pack", text)
	}
	return text
}

func (r *reader) profile(n *yamltree.Node) metrics.Profile {
	if r.choice(n, "profile", "basic", "full") == "full" {
		return metrics.Full
	}
	return metrics.Basic
}

func (r *reader) size(n *yamltree.Node) float64 {
	f, err := scale{unit: bytes}.value(n.Value())
	if err != nil || f <= 0 {
		r.fail(n.Line, "sizeLimit: %q is not a size: write 1MiB or 256KiB", n.Value())
	}
	return f
}

func (r *reader) parameters(n *yamltree.Node) []Parameter {
	var out []Parameter
	if n.Kind != yamltree.Map {
		r.fail(n.Line, "parameters is %s: it must be a mapping of names", n.Kind)
	}
	for _, pair := range n.Pairs {
		p := Parameter{Name: pair.Key}
		if !identifier(pair.Key) {
			r.fail(pair.Line, "parameter %q: a name has letters and digits only", pair.Key)
		}
		r.fields(pair.Value, "parameter "+pair.Key, map[string]func(*yamltree.Node){
			"default":     func(n *yamltree.Node) { p.Default, p.HasDefault = n.Value(), true },
			"description": func(n *yamltree.Node) { p.Description = n.Value() },
			"logicalId":   func(n *yamltree.Node) { p.LogicalID = n.Value() },
		})
		out = append(out, p)
	}
	return out
}

func (r *reader) tags(n *yamltree.Node) []Tag {
	var out []Tag
	if n.Kind != yamltree.Map {
		r.fail(n.Line, "tags is %s: it must be a mapping", n.Kind)
	}
	for _, pair := range n.Pairs {
		out = append(out, Tag{pair.Key, r.text(pair.Value, "tag "+pair.Key)})
	}
	return out
}

func (r *reader) notify(n *yamltree.Node, s *spec) {
	if n.Value() == "none" {
		return
	}
	r.fields(n, "notify", map[string]func(*yamltree.Node){
		string(Critical): func(n *yamltree.Node) { s.notify[Critical] = r.topics(n) },
		string(Warning):  func(n *yamltree.Node) { s.notify[Warning] = r.topics(n) },
		"ok":             func(n *yamltree.Node) { s.ok = r.texts(n, "notify") },
		"noData":         func(n *yamltree.Node) { s.noData = r.texts(n, "notify") },
	})
}

// topics reads the topics to notify. An empty list is refused, because its alarms would
// notify nobody without a note.
func (r *reader) topics(n *yamltree.Node) []string {
	topics := r.texts(n, "notify")
	if len(topics) == 0 {
		r.fail(n.Line, "notify: an empty list notifies nobody: name a topic, remove the list, or write notify: none")
	}
	return topics
}

// changes are the members that defaults, overrides and custom alarms have in common.
func (r *reader) changes(c *change) map[string]func(*yamltree.Node) {
	return map[string]func(*yamltree.Node){
		"threshold":  func(n *yamltree.Node) { c.threshold = n },
		"for":        func(n *yamltree.Node) { c.window = n },
		"minSamples": func(n *yamltree.Node) { c.minSamples = n },
		"missing":    func(n *yamltree.Node) { c.missing = n },
		"severity":   func(n *yamltree.Node) { c.severity = n },
		"actions":    func(n *yamltree.Node) { c.actions = n },
		"period":     func(n *yamltree.Node) { c.period = n },
		"statistic":  func(n *yamltree.Node) { c.statistic = n },
		"lowSample":  func(n *yamltree.Node) { c.lowSample = n },
		"hours":      func(n *yamltree.Node) { c.hours = n },
		"allow":      func(n *yamltree.Node) { c.allow = r.text(n, "allow") },
	}
}

func (r *reader) override(n *yamltree.Node) override {
	o := override{change: change{at: n.Line}}
	take := r.changes(&o.change)
	take["match"] = func(n *yamltree.Node) {
		r.fields(n, "match", map[string]func(*yamltree.Node){
			"kind": func(n *yamltree.Node) { o.kind = r.choice(n, "kind", kindNames()...) },
			"key":  func(n *yamltree.Node) { o.key = r.text(n, "key") },
			"name": func(n *yamltree.Node) { o.name = r.text(n, "name") },
		})
	}
	take["enable"] = func(n *yamltree.Node) { o.enable = r.texts(n, "enable") }
	take["disable"] = func(n *yamltree.Node) { o.disable = r.texts(n, "disable") }
	r.fields(n, "an override", take)
	return o
}

func kindNames() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return append(names, "service", "custom")
}
