package read

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/metrics"
)

// traffic reads what happened: first names from log lines, as far as they can be read in
// a bounded time, then complete numbers from CloudWatch.
func (r *Account) traffic(ctx context.Context) error {
	for _, f := range r.System.Functions {
		r.options.Progress.Show("reading the log of %s", f.Name)
		if err := r.Lines(ctx, f, r.options.Now.Add(-r.options.Over), func(line []byte) { Take(&r.System.Observed, line) }); err != nil {
			return err
		}
		if err := r.log(ctx, f, refusals, r.options.Now.Add(-r.options.Over), func(at time.Time, line string) { r.addRefusal(f, at, line) }); err != nil {
			return err
		}
	}
	if why := r.System.Unread[system.Logs]; why != "" {
		r.Note("the logs, which name events and requests, could not be read: %s", why)
	}
	r.options.Progress.Show("reading metrics")
	if err := r.ownMetrics(ctx); err != nil {
		return r.skipPart(system.Metrics, "read metrics", err)
	}
	if err := r.awsMetrics(ctx); err != nil {
		return r.skipPart(system.Metrics, "read metrics", err)
	}
	return nil
}

// The patterns of log lines: Throughline's, and those of a function that could not
// serialise an event (Python's json, and EventBridge's error code).
const (
	ourLines = `{ ($.throughline = "*") || ($._aws.Timestamp > 0) }`
	refusals = `?"is not JSON serializable" ?"MalformedDetail"`
)

// Lines calls f with each line that Throughline wrote into a function's log since the
// time, oldest first. It reads a bounded number of pages in a bounded time, and adds a
// note if that is not the whole log.
func (r *Account) Lines(ctx context.Context, fn system.Function, since time.Time, f func(line []byte)) error {
	return r.log(ctx, fn, ourLines, since, func(_ time.Time, line string) { f([]byte(line)) })
}

// log calls f with the matching lines of a function's log, oldest first, within a bounded
// number of pages and a bounded time.
func (r *Account) log(ctx context.Context, fn system.Function, pattern string, since time.Time, f func(time.Time, string)) error {
	const pages, patience = 20, 30 * time.Second
	if fn.LogClass == "" {
		return nil // no log group
	}
	deadline := time.Now().Add(patience)
	input := &logs.FilterLogEventsInput{LogGroupName: &fn.LogGroup, FilterPattern: &pattern, StartTime: aws.Int64(since.UnixMilli())}
	for range pages {
		page, err := r.logs.FilterLogEvents(ctx, input)
		if err != nil {
			return r.skipPart(system.Logs, "read the log of "+fn.Name, err)
		}
		for _, e := range page.Events {
			f(time.UnixMilli(aws.ToInt64(e.Timestamp)), aws.ToString(e.Message))
		}
		if page.NextToken == nil {
			return nil
		}
		if input.NextToken = page.NextToken; time.Now().After(deadline) {
			break
		}
	}
	r.Note("the log of %s was not read to its end: shorten --since", fn.Name)
	return nil
}

func (r *Account) addRefusal(f system.Function, at time.Time, line string) {
	const longest = 160
	for _, phrase := range []string{"is not JSON serializable", "MalformedDetail"} {
		i := strings.Index(line, phrase)
		if i < 0 {
			continue
		}
		text := strings.TrimSpace(line[max(0, i-longest/2):min(len(line), i+len(phrase)+longest/2)])
		r.System.Observed.Errors = append(r.System.Observed.Errors, system.LogError{Function: f.Name, Message: strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "")})
		r.System.Observed.Errors[len(r.System.Observed.Errors)-1].At = at
		return
	}
}

var statistics = []string{"Sum", "Maximum", "SampleCount"}

// ownMetrics reads the metrics that the layer or the library emitted. They replace the
// sums over log lines.
func (r *Account) ownMetrics(ctx context.Context) error {
	o := &r.System.Observed
	var namespaces []string
	for _, f := range r.System.Functions {
		namespaces = add(namespaces, f.Namespace)
	}
	fresh := map[string]bool{} // counters and sizes that CloudWatch has already returned
	for _, namespace := range namespaces {
		all, err := account.ListMetrics(ctx, r.metrics, namespace)
		if err != nil {
			return err
		}
		var ours []types.Metric
		for _, m := range all {
			service := account.Dimension(m, metrics.DimensionService)
			if slices.ContainsFunc(r.System.Functions, func(f system.Function) bool { return f.Service == service && f.Namespace == namespace }) {
				ours = append(ours, m)
			}
		}
		err = account.Statistics(ctx, r.metrics, ours, statistics, r.options.Now, r.options.Over, func(m types.Metric, hour []float64) {
			name, service := aws.ToString(m.MetricName), account.Dimension(m, metrics.DimensionService)
			eventType, host := account.Dimension(m, metrics.DimensionEventType), account.Dimension(m, metrics.DimensionHost)
			t := o.Of(service)
			t.Metrics[name] = true
			first := !fresh[service+" "+name+" "+eventType]
			fresh[service+" "+name+" "+eventType] = true
			record(t, metrics.Name(name), eventType, host, hour, first)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// record adds an hour's Sum, Maximum and SampleCount of a metric. The first hour replaces
// the existing value.
func record(t *system.Traffic, name metrics.Name, eventType, host string, hour []float64, first bool) {
	sum, most, count := hour[0], hour[1], hour[2]
	m, known := metrics.Lookup(name)
	switch {
	case !known:
	case host != "" && name == metrics.RequestDuration:
		t.Hosts[host] = max(t.Hosts[host], most)
	case eventType != "" && name == metrics.PayloadSize:
		z := t.Sizes[eventType]
		if first {
			z.Count = 0
		}
		if z.Count += count; most > z.Max {
			z.Max, z.EventID = most, "" // the log line with its ID was not read
		}
		t.Sizes[eventType] = z
	case eventType != "" && name == metrics.HopCount:
		t.Hops = max(t.Hops, most)
	case eventType != "" || host != "":
	case name == metrics.Duration:
		if first {
			t.Invocations = 0
		}
		t.Invocations += count
		if d := milliseconds(most); d > t.Duration {
			t.Duration, t.SlowestID = d, ""
		}
	case m.Kind == metrics.Counter:
		if first {
			t.Sum[string(name)] = 0
		}
		t.Sum[string(name)] += sum
	}
}

// awsMetrics reads AWS's metrics of functions, rules and log groups.
func (r *Account) awsMetrics(ctx context.Context) error {
	o := &r.System.Observed
	o.EMFRejected, o.Matched = map[string]float64{}, map[string]float64{}
	o.Dead = system.DeadLettering{Sent: map[string]float64{}, Lost: map[string]float64{}}
	metric := func(namespace, name string, dimensions ...string) types.Metric {
		m := types.Metric{Namespace: &namespace, MetricName: &name}
		for i := 0; i < len(dimensions); i += 2 {
			m.Dimensions = append(m.Dimensions, types.Dimension{Name: &dimensions[i], Value: &dimensions[i+1]})
		}
		return m
	}
	list := []types.Metric{metric("AWS/Events", "PutEventsEntriesCount"), metric("AWS/Events", "PutEventsFailedEntriesCount"), metric("AWS/Events", "PutEventsRequestSize")}
	for _, f := range r.System.Functions {
		list = append(list, metric("AWS/Lambda", "Duration", "FunctionName", f.Name), metric("AWS/Lambda", "Invocations", "FunctionName", f.Name),
			metric("AWS/Logs", "EMFValidationErrors", "LogGroupName", f.LogGroup), metric("AWS/Logs", "EMFParsingErrors", "LogGroupName", f.LogGroup))
	}
	of := map[string]string{} // the bus of each rule on the default bus, whose metrics have no EventBusName
	for _, b := range r.System.Buses {
		for _, rule := range b.Rules {
			for _, name := range []string{"MatchedEvents", "InvocationsSentToDlq", "InvocationsFailedToBeSentToDlq"} {
				if b.Name == "default" {
					list = append(list, metric("AWS/Events", name, "RuleName", rule.Name))
					of[rule.Name] = b.Name
					continue
				}
				list = append(list, metric("AWS/Events", name, "EventBusName", b.Name, "RuleName", rule.Name))
			}
		}
	}
	invocations := map[string]float64{}
	err := account.Statistics(ctx, r.metrics, list, statistics, r.options.Now, r.options.Over, func(m types.Metric, hour []float64) {
		rule, bus := account.Dimension(m, "RuleName"), account.Dimension(m, "EventBusName")
		bus = cmp.Or(bus, of[rule])
		switch name := account.Dimension(m, "FunctionName"); aws.ToString(m.MetricName) {
		case "Duration":
			t := o.Of(r.service(name))
			if d := milliseconds(hour[1]); d > t.Duration {
				t.Duration, t.SlowestID = d, ""
			}
		case "Invocations":
			invocations[r.service(name)] += hour[0]
		case "EMFValidationErrors", "EMFParsingErrors":
			o.EMFRejected[account.Dimension(m, "LogGroupName")] += hour[0]
		case "PutEventsEntriesCount":
			o.Account.Entries += hour[0]
		case "PutEventsFailedEntriesCount":
			o.Account.Failed += hour[0]
		case "PutEventsRequestSize":
			o.Account.LargestRequest = max(o.Account.LargestRequest, hour[1])
		case "MatchedEvents":
			o.Matched[bus] += hour[0]
		case "InvocationsSentToDlq":
			o.Dead.Sent[rule] += hour[0]
		case "InvocationsFailedToBeSentToDlq":
			o.Dead.Lost[rule] += hour[0]
		}
	})
	for service, n := range invocations {
		o.Of(service).Invocations = n
	}
	return err
}

func (r *Account) service(function string) string {
	for _, f := range r.System.Functions {
		if f.Name == function {
			return f.Service
		}
	}
	return function
}

// alarms reads which metrics alarms watch, and how this account spells EventBridge's
// metrics.
func (r *Account) alarms(ctx context.Context) error {
	r.options.Progress.Show("reading alarms")
	listed, err := account.ListMetrics(ctx, r.metrics, "AWS/Events")
	if err != nil {
		return r.skipPart(system.Metrics, "list metrics", err)
	}
	var spelt []string
	for _, m := range listed {
		spelt = add(spelt, aws.ToString(m.MetricName))
	}
	r.System.PublishedMetrics = map[string][]string{"AWS/Events": spelt}
	pages := cloudwatch.NewDescribeAlarmsPaginator(r.metrics, &cloudwatch.DescribeAlarmsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return r.skipPart(system.Alarms, "describe alarms", err)
		}
		for _, a := range page.MetricAlarms {
			if a.MetricName != nil {
				r.System.Alarms = append(r.System.Alarms, system.Alarm{Name: aws.ToString(a.AlarmName), Namespace: aws.ToString(a.Namespace), Metric: *a.MetricName})
			}
			for _, q := range a.Metrics {
				if q.MetricStat != nil && q.MetricStat.Metric != nil {
					m := q.MetricStat.Metric
					r.System.Alarms = append(r.System.Alarms, system.Alarm{Name: aws.ToString(a.AlarmName), Namespace: aws.ToString(m.Namespace), Metric: aws.ToString(m.MetricName)})
				}
			}
		}
	}
	return nil
}
