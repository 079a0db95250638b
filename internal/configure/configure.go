// Package configure turns the settings of the environment into the
// configuration of the other packages, for the library's Setup, the extension
// and the sidecar.
package configure

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/dedupe/dynamo"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/metrics/logs"
)

// Tracing returns how lineage is read and stamped. Its TracerProvider is nil.
func Tracing(s settings.Settings) lineage.Config {
	modes := map[string]lineage.StampMode{
		"resources": lineage.StampResources, "detail": lineage.StampDetail, "both": lineage.StampBoth, "off": lineage.StampOff,
	}
	c := lineage.Config{
		Stamp: modes[s.Stamp], DetailKey: s.DetailKey, TraceHeader: s.StampTraceHeader, StampContentBased: s.StampContentBased,
		EventID: s.EventID, CorrelationID: s.CorrelationID, CausationID: s.CausationID,
		ParentMode: s.TraceMode == "parent", OwnSampling: s.Sampling == "own", XRay: s.Traces == "xray", MaxHops: s.MaxHops,
	}
	if s.Disabled {
		c.Stamp = lineage.StampOff
	}
	return c
}

// HTTP returns the description of the HTTP APIs that are called: Alpaca at
// THROUGHLINE_HTTP_HOSTS, and the routes of THROUGHLINE_HTTP_ROUTES. warning contains
// an invalid route, which is ignored; empty if there is none.
func HTTP(s settings.Settings) (api outbound.API, warning string) {
	api = alpaca.API(s.HTTPHosts)
	table, err := outbound.ParseRoutes(s.HTTPRoutes)
	if err != nil {
		warning = "THROUGHLINE_HTTP_ROUTES: " + err.Error()
	}
	if known := api.Route; len(table) > 0 {
		api.Route = func(host, path string) string { return cmp.Or(table.Route(host, path), known(host, path)) }
	}
	return api, warning
}

// Metrics returns which metrics are emitted, and how.
func Metrics(s settings.Settings) metrics.Config {
	profiles := map[string]metrics.Profile{"basic": metrics.Basic, "full": metrics.Full, "off": metrics.Off}
	c := metrics.Config{Namespace: s.Namespace, Service: s.Service, Profile: profiles[s.Metrics], EventTypesMax: s.EventTypesMax, Level: s.EMFLevel}
	if s.Disabled {
		c.Profile = metrics.Off
	}
	return c
}

// Dedupe returns the Checker that the settings configure, nil if they turn it off.
// The warnings describe invalid settings, which are ignored. warn is called with
// problems of events or of the table that are found later.
func Dedupe(s settings.Settings, getenv func(string) string, credentials aws.CredentialsProvider, warn func(string)) (checker *dedupe.Checker, warnings []string) {
	if s.Disabled || s.Dedupe == "off" {
		return nil, nil
	}
	config := dedupe.Config{Consumer: s.DedupeConsumer, Warn: warn}
	var err error
	if config.Keys, err = dedupe.ParseKeys(s.DedupeKeys); err != nil {
		warnings = append(warnings, "THROUGHLINE_DEDUPE_KEYS: "+err.Error())
	}
	rules, groups := withoutGroup(s.Order)
	config.Groups = groups
	if config.Order, err = dedupe.ParseOrder(rules); err != nil {
		warnings = append(warnings, "THROUGHLINE_ORDER: "+err.Error())
	}
	if table, shared := strings.CutPrefix(s.Dedupe, "dynamodb:"); shared {
		endpoint := cmp.Or(getenv("AWS_ENDPOINT_URL_DYNAMODB"), getenv("AWS_ENDPOINT_URL"))
		store, err := dynamo.New(dynamo.Config{Table: table, Region: getenv("AWS_REGION"), Credentials: credentials, Endpoint: endpoint})
		if err != nil {
			warnings = append(warnings, err.Error()+"; repeats are told within one environment")
		} else {
			config.Store, config.ShareOrder = store, true
		}
	}
	return dedupe.New(config), warnings
}

// withoutGroup returns the rules of THROUGHLINE_ORDER without the word "group", and
// whether they contain it.
func withoutGroup(order string) (rules string, groups bool) {
	var rest []string
	for item := range strings.SplitSeq(order, ",") {
		if strings.TrimSpace(item) == "group" {
			groups = true
		} else {
			rest = append(rest, item)
		}
	}
	return strings.Join(rest, ","), groups
}

// Sample returns the sampler that OTEL_TRACES_SAMPLER names, for spans whose sampling
// no upstream service has decided; nil samples all. warning describes an invalid
// setting, empty if there is none.
func Sample(getenv func(string) string) (sample func(trace.TraceID) bool, warning string) {
	switch name := strings.TrimPrefix(getenv("OTEL_TRACES_SAMPLER"), "parentbased_"); name {
	case "", "always_on":
		return nil, ""
	case "always_off":
		return func(trace.TraceID) bool { return false }, ""
	case "traceidratio":
		argument := getenv("OTEL_TRACES_SAMPLER_ARG")
		if argument == "" {
			return nil, ""
		}
		ratio, err := strconv.ParseFloat(argument, 64)
		if err != nil || ratio < 0 || ratio > 1 {
			return nil, fmt.Sprintf("OTEL_TRACES_SAMPLER_ARG=%q: it takes a number from 0 to 1; 1 is used", argument)
		}
		return ratioBased(ratio), ""
	default:
		return nil, fmt.Sprintf("OTEL_TRACES_SAMPLER=%q is not known; parentbased_always_on is used", getenv("OTEL_TRACES_SAMPLER"))
	}
}

// ratioBased decides as OpenTelemetry's TraceIDRatioBased does, from the lower half of
// the ID, so that all samplers with the same ratio agree.
func ratioBased(ratio float64) func(trace.TraceID) bool {
	if ratio >= 1 {
		return nil
	}
	bound := uint64(ratio * (1 << 63))
	return func(id trace.TraceID) bool { return binary.BigEndian.Uint64(id[8:16])>>1 < bound }
}

// CredentialsFunc is a function that implements aws.CredentialsProvider.
type CredentialsFunc func(context.Context) (aws.Credentials, error)

// Retrieve implements aws.CredentialsProvider.
func (f CredentialsFunc) Retrieve(ctx context.Context) (aws.Credentials, error) { return f(ctx) }

// MetricsOut returns the writer of metric lines: stdout, or a writer to CloudWatch
// Logs. warning says why it is stdout although the settings name CloudWatch Logs;
// warn is called with problems that are found later.
func MetricsOut(s settings.Settings, getenv func(string) string, credentials aws.CredentialsProvider, stdout io.Writer, warn func(string)) (out io.Writer, warning string) {
	sink, group, _ := strings.Cut(s.MetricsSink, ":")
	if sink != "logs" {
		return stdout, ""
	}
	// Lambda does not pass the group's name to extensions: use its default.
	group = cmp.Or(group, getenv("AWS_LAMBDA_LOG_GROUP_NAME"))
	if name := getenv("AWS_LAMBDA_FUNCTION_NAME"); group == "" && name != "" {
		group = "/aws/lambda/" + name
	}
	endpoint := cmp.Or(getenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"), getenv("AWS_ENDPOINT_URL"))
	w, err := logs.New(logs.Config{Group: group, Region: getenv("AWS_REGION"), Credentials: credentials, Endpoint: endpoint, Warn: warn})
	if err != nil {
		return stdout, err.Error() + "; they go to the standard output"
	}
	return w, ""
}
