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

// Comparison is the operator that compares a datapoint with the threshold. Its values are
// those of ComparisonOperator in CloudWatch's PutMetricAlarm.
type Comparison string

// The comparisons of static thresholds.
const (
	Greater        Comparison = "GreaterThanThreshold"
	GreaterOrEqual Comparison = "GreaterThanOrEqualToThreshold"
	Less           Comparison = "LessThanThreshold"
	LessOrEqual    Comparison = "LessThanOrEqualToThreshold"
)

// bands are the comparisons with an anomaly detection band. Specs cannot use them. Alarms
// that other tools wrote can.
var bands = []Comparison{"LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold"}

// Symbol returns the comparison as a spec writes it: >, >=, < or <=.
func (c Comparison) Symbol() string {
	for symbol, comparison := range comparisons {
		if comparison == c {
			return symbol
		}
	}
	return string(c)
}

var comparisons = map[string]Comparison{">": Greater, ">=": GreaterOrEqual, "<": Less, "<=": LessOrEqual}

// Breaches reports whether a datapoint with this value breaches the threshold.
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

// Missing is how an alarm treats missing data. Its values are those of TreatMissingData
// in CloudWatch's PutMetricAlarm.
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

// Stat is a metric and the statistic that an alarm reads of it.
type Stat struct {
	Namespace  string      `json:"namespace"`
	Metric     string      `json:"metric"`
	Dimensions []Dimension `json:"dimensions"`
	Statistic  string      `json:"statistic"`      // Sum, Average, Minimum, Maximum, SampleCount, or a percentile such as p99
	Period     int         `json:"period_seconds"` // seconds
	// Unit restricts the metric to datapoints that were published with this unit. Empty
	// means all units. Specs never set it.
	Unit string `json:"unit,omitempty"`
}

// Query is one line of an alarm: a metric, or an expression over other lines.
type Query struct {
	ID         string `json:"id"`
	Stat       *Stat  `json:"stat,omitempty"` // nil for an expression
	Expression string `json:"expression,omitempty"`
	Label      string `json:"label,omitempty"`
	Return     bool   `json:"return"` // this query's result is compared with the threshold
	// Period is the period, in seconds, of an expression without metrics, such as a
	// Metrics Insights query. 0 means the period of the metrics.
	Period int `json:"period_seconds,omitempty"`
}

// Severity is how urgent an alarm is.
type Severity string

// The severities. Critical pages somebody at once. A warning can wait until working
// hours.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
)

// Alarm is an alarm on a metric or on metric math: the supported part of CloudWatch's
// PutMetricAlarm. Two alarms with the same meaning are equal after [Alarm.Normalize]. In
// a [Set] that is not resolved, texts can contain placeholders such as ${OrdersFn}, and a
// literal ${ is written $${. Alarm is a value. Its zero value is not a valid alarm.
type Alarm struct {
	Name              string     `json:"name"`
	Description       string     `json:"description"` // Queries has one element for an alarm on a single metric.
	Queries           []Query    `json:"metrics"`
	Comparison        Comparison `json:"comparison"`
	Threshold         float64    `json:"threshold"`
	ThresholdMetric   string     `json:"threshold_metric,omitempty"` // the ID of an anomaly detection band, in place of Threshold
	EvaluationPeriods int        `json:"evaluation_periods"`         // N
	DatapointsToAlarm int        `json:"datapoints_to_alarm"`        // M; 0 means N
	Missing           Missing    `json:"missing"`
	LowSample         string     `json:"low_sample,omitempty"` // for percentiles: "", evaluate or ignore
	ActionsDisabled   bool       `json:"actions_disabled,omitempty"`
	Actions           []string   `json:"actions,omitempty"` // at most five in each list
	OKActions         []string   `json:"ok_actions,omitempty"`
	NoDataActions     []string   `json:"no_data_actions,omitempty"`
	Tags              []Tag      `json:"tags,omitempty"` // Meta is where the alarm comes from. Comparisons ignore it.
	Meta              Meta       `json:"meta"`
}

// Meta says where an alarm comes from.
type Meta struct {
	Kind     string   `json:"kind"` // of resource: lambda, dlq, …, or custom
	Resource string   `json:"resource"`
	Key      string   `json:"key"`   // the row of the pack: errors, depth, …
	Match    string   `json:"match"` // the name by which an override selects this alarm only; placeholders stay in it
	Severity Severity `json:"severity"`
	Line     int      `json:"line"`            // the line in the spec; 0 without a spec
	Allow    string   `json:"allow,omitempty"` // why lint's warnings are suppressed
	Origins  []Origin `json:"origins,omitempty"`
}

// Origin says which line set a field.
type Origin struct {
	Field  string `json:"field"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Composite is an alarm on the states of other alarms: CloudWatch's PutCompositeAlarm.
type Composite struct {
	Name            string   `json:"name"`
	Description     string   `json:"description"`
	Rule            string   `json:"rule"`
	ActionsDisabled bool     `json:"actions_disabled,omitempty"`
	Actions         []string `json:"actions,omitempty"`
	OKActions       []string `json:"ok_actions,omitempty"`
	NoDataActions   []string `json:"no_data_actions,omitempty"`
	Tags            []Tag    `json:"tags,omitempty"`
	Meta            Meta     `json:"meta"` // comparisons ignore it
}

// Normalize returns the alarm with its defaults filled in and its lists sorted, so that
// an alarm that CloudWatch reports compares equal to the alarm that was sent. The result
// shares no memory with a.
func (a Alarm) Normalize() Alarm {
	a.Description = strings.TrimSpace(a.Description)
	a.DatapointsToAlarm = cmp.Or(a.DatapointsToAlarm, a.EvaluationPeriods)
	a.Missing = cmp.Or(a.Missing, MissingMissing)
	if a.LowSample == "evaluate" { // CloudWatch's default
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

// Normalize returns the composite with its lists sorted.
func (c Composite) Normalize() Composite {
	c.Description = strings.TrimSpace(c.Description)
	c.Rule = strings.Join(strings.Fields(c.Rule), " ")
	c.Actions, c.OKActions, c.NoDataActions = sorted(c.Actions, cmp.Compare[string]), sorted(c.OKActions, cmp.Compare[string]), sorted(c.NoDataActions, cmp.Compare[string])
	c.Tags = sortedTags(c.Tags)
	return c
}

// sorted returns a sorted copy of list, or nil if list is empty.
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

// Equal reports whether two alarms have the same meaning, tags included.
func Equal(a, b Alarm) bool {
	a, b = a.Normalize(), b.Normalize()
	a.Meta, b.Meta = Meta{}, Meta{}
	return reflect.DeepEqual(a, b)
}

// Hash returns a short digest of the alarm without its tags.
func (a Alarm) Hash() string {
	a = a.Normalize()
	a.Meta, a.Tags = Meta{}, nil
	return digest(a)
}

// Hash returns a short digest of the composite without its tags.
func (c Composite) Hash() string {
	c = c.Normalize()
	c.Meta, c.Tags = Meta{}, nil
	return digest(c)
}

func digest(v any) string {
	text, _ := json.Marshal(v) // structs of texts and finite numbers always marshal; Lint refuses a threshold that is not finite
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Stats returns the metrics that the alarm reads.
func (a Alarm) Stats() []Stat {
	var stats []Stat
	for _, q := range a.Queries {
		if q.Stat != nil {
			stats = append(stats, *q.Stat)
		}
	}
	return stats
}

// Period returns the alarm's period in seconds, or 0 for an alarm without a metric.
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

// Set is the result of compiling a spec: its alarms, composites, dashboard and notes.
type Set struct {
	Name       string // the spec's name, which the alarms' tags carry to mark ownership
	Prefix     string // the prefix of every alarm's name
	Namespace  string // the namespace of Throughline's own metrics
	Profile    metrics.Profile
	Region     string // the Region of the dashboard's widgets; empty means the caller's
	Parameters []Parameter
	Alarms     []Alarm // sorted by name
	Composites []Composite
	LogGroups  []string // the log groups that the saved queries read
	Dashboard  string   // the dashboard's name
	Notes      []Note
	// Found are problems that are visible only where the alarms were read, such as a
	// reference that returns another name. [Lint] reports them with its own.
	Found []Finding
	// Partial reports that the set leaves out resources whose names are not known; see
	// [CompileKnown]. Alarms of the spec that the account has in addition are kept.
	Partial bool
}

// Parameter is a placeholder that a spec declares.
type Parameter struct {
	Name        string
	Default     string
	HasDefault  bool
	Description string
	// LogicalID is set if the parameter's value is the name of a resource of a
	// CloudFormation stack, or, with the suffix .Arn, its ARN: it is that resource's
	// logical ID. Logical IDs of nested stacks stand before it: Inner/Queue. It is empty
	// for any other parameter.
	LogicalID string
}

// Note says what a spec leaves out, and why.
type Note struct {
	Line    int
	Message string
}
