package alarms

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/throughline/throughline/metrics"
)

// Comparison is how a datapoint is held against the threshold, in
// CloudWatch's own words.
type Comparison string

// The comparisons of static thresholds.
const (
	Greater        Comparison = "GreaterThanThreshold"
	GreaterOrEqual Comparison = "GreaterThanOrEqualToThreshold"
	Less           Comparison = "LessThanThreshold"
	LessOrEqual    Comparison = "LessThanOrEqualToThreshold"
)

// bands are the comparisons with an anomaly detection band. Specs have none; alarms
// that others wrote do.
var bands = []Comparison{"LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold"}

// Symbol is the comparison as it is written in a spec: >, >=, <, <=.
func (c Comparison) Symbol() string {
	for symbol, comparison := range comparisons {
		if comparison == c {
			return symbol
		}
	}
	return string(c)
}

var comparisons = map[string]Comparison{">": Greater, ">=": GreaterOrEqual, "<": Less, "<=": LessOrEqual}

// Breaches says whether a datapoint of value breaches threshold.
func (c Comparison) Breaches(value, threshold float64) bool {
	switch c {
	case GreaterOrEqual:
		return value >= threshold
	case Less:
		return value < threshold
	case LessOrEqual:
		return value <= threshold
	default:
		return value > threshold
	}
}

// Missing is how missing data are treated, in CloudWatch's own words.
type Missing string

// The treatments of missing data.
const (
	MissingMissing Missing = "missing"
	NotBreaching   Missing = "notBreaching"
	Breaching      Missing = "breaching"
	Ignore         Missing = "ignore"
)

// Dimension is one dimension of a metric.
type Dimension struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Tag is one tag of an alarm.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Stat is a metric with the statistic that is taken of it.
type Stat struct {
	Namespace  string      `json:"namespace"`
	Metric     string      `json:"metric"`
	Dimensions []Dimension `json:"dimensions"`
	Statistic  string      `json:"statistic"`      // Sum, Average, Minimum, Maximum, SampleCount, or a percentile such as p99
	Period     int         `json:"period_seconds"` // seconds
	// Unit restricts the metric to datapoints that were published with this unit; empty
	// takes all. Specs never set it.
	Unit string `json:"unit,omitempty"`
}

// Query is one line of an alarm: a metric, or an expression over other lines.
type Query struct {
	ID         string `json:"id"`
	Stat       *Stat  `json:"stat,omitempty"` // nil for an expression
	Expression string `json:"expression,omitempty"`
	Label      string `json:"label,omitempty"`
	Return     bool   `json:"return"` // the one that is held against the threshold
	// Period is that of an expression without metrics, such as a Metrics Insights query, in
	// seconds; 0 for that of the metrics.
	Period int `json:"period_seconds,omitempty"`
}

// Severity is how urgent an alarm is.
type Severity string

// The severities: critical wakes somebody, a warning waits for the morning.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
)

// Alarm is the part of CloudWatch's PutMetricAlarm that is supported. Two
// alarms that mean the same are equal after [Alarm.Normalize]. In a [Set] that
// is not resolved, texts may hold placeholders such as ${OrdersFn}, and a
// literal ${ is written $${. It is a value; the zero value is not a valid alarm.
type Alarm struct {
	Name              string     `json:"name"`
	Description       string     `json:"description"` // Queries of an alarm on one metric is that metric alone.
	Queries           []Query    `json:"metrics"`
	Comparison        Comparison `json:"comparison"`
	Threshold         float64    `json:"threshold"`
	ThresholdMetric   string     `json:"threshold_metric,omitempty"` // the ID of an anomaly detection band, in place of Threshold
	EvaluationPeriods int        `json:"evaluation_periods"`         // N
	DatapointsToAlarm int        `json:"datapoints_to_alarm"`        // M; 0 means N
	Missing           Missing    `json:"missing"`
	LowSample         string     `json:"low_sample,omitempty"` // of percentiles: "", evaluate or ignore
	ActionsDisabled   bool       `json:"actions_disabled,omitempty"`
	Actions           []string   `json:"actions,omitempty"` // at most five in each list
	OKActions         []string   `json:"ok_actions,omitempty"`
	NoDataActions     []string   `json:"no_data_actions,omitempty"`
	Tags              []Tag      `json:"tags,omitempty"` // Meta is where the alarm came from. It is no part of what is compared.
	Meta              Meta       `json:"meta"`
}

// Meta says where an alarm came from.
type Meta struct {
	Kind     string   `json:"kind"` // of resource: lambda, dlq, …, or custom
	Resource string   `json:"resource"`
	Key      string   `json:"key"`   // of the pack's row: errors, depth, …
	Match    string   `json:"match"` // by which an override of the spec names this alarm alone; placeholders stay in it
	Severity Severity `json:"severity"`
	Line     int      `json:"line"`            // of the spec, 0 where there is none
	Allow    string   `json:"allow,omitempty"` // why lint's warnings are not to be given
	Origins  []Origin `json:"origins,omitempty"`
}

// Origin says which line set a field.
type Origin struct {
	Field  string `json:"field"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Composite is an alarm over other alarms' states: PutCompositeAlarm.
type Composite struct {
	Name            string   `json:"name"`
	Description     string   `json:"description"`
	Rule            string   `json:"rule"`
	ActionsDisabled bool     `json:"actions_disabled,omitempty"`
	Actions         []string `json:"actions,omitempty"`
	OKActions       []string `json:"ok_actions,omitempty"`
	NoDataActions   []string `json:"no_data_actions,omitempty"`
	Tags            []Tag    `json:"tags,omitempty"`
	Meta            Meta     `json:"meta"` // no part of what is compared
}

// Normalize returns the alarm with its defaults spelled out and its lists in
// order, so that what CloudWatch reports compares equal to what was asked for.
// The result shares nothing with a.
func (a Alarm) Normalize() Alarm {
	a.Description = strings.TrimSpace(a.Description)
	a.DatapointsToAlarm = cmp.Or(a.DatapointsToAlarm, a.EvaluationPeriods)
	a.Missing = cmp.Or(a.Missing, MissingMissing)
	if a.LowSample == "evaluate" { // what CloudWatch does when nothing is said
		a.LowSample = ""
	}
	queries := make([]Query, len(a.Queries))
	for i, q := range a.Queries {
		if q.Stat != nil {
			s := *q.Stat
			s.Dimensions = sorted(s.Dimensions, func(x, y Dimension) int { return cmp.Compare(x.Name, y.Name) })
			q.Stat = &s
		}
		q.Expression = strings.TrimSpace(q.Expression)
		queries[i] = q
	}
	if len(queries) == 1 && queries[0].Stat != nil {
		queries[0].ID, queries[0].Label, queries[0].Return = "m1", "", true
	} else {
		slices.SortFunc(queries, func(x, y Query) int { return cmp.Compare(x.ID, y.ID) })
	}
	a.Queries = queries
	a.Actions, a.OKActions, a.NoDataActions = sorted(a.Actions, cmp.Compare[string]), sorted(a.OKActions, cmp.Compare[string]), sorted(a.NoDataActions, cmp.Compare[string])
	a.Tags = sortedTags(a.Tags)
	return a
}

// Normalize returns the composite with its lists in order.
func (c Composite) Normalize() Composite {
	c.Description = strings.TrimSpace(c.Description)
	c.Rule = strings.Join(strings.Fields(c.Rule), " ")
	c.Actions, c.OKActions, c.NoDataActions = sorted(c.Actions, cmp.Compare[string]), sorted(c.OKActions, cmp.Compare[string]), sorted(c.NoDataActions, cmp.Compare[string])
	c.Tags = sortedTags(c.Tags)
	return c
}

// sorted is a copy of list in order, nil where there is nothing in it.
func sorted[T any](list []T, compare func(T, T) int) []T {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.SortFunc(list, compare)
	return list
}

func sortedTags(tags []Tag) []Tag {
	return sorted(tags, func(x, y Tag) int { return cmp.Compare(x.Key, y.Key) })
}

// Equal says whether two alarms mean the same, tags included.
func Equal(a, b Alarm) bool {
	a, b = a.Normalize(), b.Normalize()
	a.Meta, b.Meta = Meta{}, Meta{}
	return reflect.DeepEqual(a, b)
}

// Hash is a short digest of what the alarm does: everything but tags.
func (a Alarm) Hash() string {
	a = a.Normalize()
	a.Meta, a.Tags = Meta{}, nil
	return digest(a)
}

// Hash is a short digest of what the composite does: everything but tags.
func (c Composite) Hash() string {
	c = c.Normalize()
	c.Meta, c.Tags = Meta{}, nil
	return digest(c)
}

func digest(v any) string {
	text, _ := json.Marshal(v) // plain structs of texts and numbers always marshal; see Lint for thresholds that are not finite
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Stats are the metrics that the alarm reads.
func (a Alarm) Stats() []Stat {
	var stats []Stat
	for _, q := range a.Queries {
		if q.Stat != nil {
			stats = append(stats, *q.Stat)
		}
	}
	return stats
}

// Period is the length in seconds of one of the alarm's datapoints, 0 for an
// alarm without a metric.
func (a Alarm) Period() int {
	for _, q := range a.Queries {
		if q.Stat != nil {
			return q.Stat.Period
		}
	}
	for _, q := range a.Queries {
		if q.Period > 0 {
			return q.Period
		}
	}
	return 0
}

// Set is what a spec compiles to.
type Set struct {
	Name       string // the spec's: ownership
	Prefix     string // that every alarm's name begins with
	Namespace  string // of Throughline's own metrics
	Profile    metrics.Profile
	Region     string // where the dashboard's widgets look; empty for the caller's
	Parameters []Parameter
	Alarms     []Alarm // by name
	Composites []Composite
	LogGroups  []string // that the saved queries read
	Dashboard  string   // its name
	Notes      []Note
	// Partial says that resources are left out for want of their names; see
	// [CompileKnown]. What an account has of the spec's beside it stays.
	Partial bool
}

// Parameter is a placeholder that a spec declares.
type Parameter struct {
	Name        string
	Default     string
	HasDefault  bool
	Description string
	// LogicalID is that of the resource of a CloudFormation stack whose name this is, or
	// with .Arn behind it whose ARN; nested stacks' IDs stand before it: Inner/Queue. It is
	// empty for any other parameter.
	LogicalID string
}

// Note says what a spec leaves out, and why.
type Note struct {
	Line    int
	Message string
}
