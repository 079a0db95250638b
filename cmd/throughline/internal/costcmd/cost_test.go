package costcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	alarmscloudwatch "github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func configure(_ context.Context, options ...func(*config.LoadOptions) error) (aws.Config, error) {
	var load config.LoadOptions
	for _, o := range options {
		if err := o(&load); err != nil {
			return aws.Config{}, err
		}
	}
	return aws.Config{Region: load.Region, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", "")}, nil
}

func run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := New(configure, func() time.Time { return noon })
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// lines are what our own metrics write of an hour: 100 events of 1 KB and ten of
// 200 000 bytes, four chunks each.
func lines(t *testing.T) string {
	t.Helper()
	set := metrics.New(metrics.Config{Service: "strategy"})
	for i := range 110 {
		o := metrics.Observation{At: noon.Add(time.Duration(i) * time.Minute / 2), Name: metrics.PayloadSize, Value: 1_024, EventType: "Small"}
		if i%11 == 10 {
			o.Value, o.EventType = 200_000, "Large"
		}
		set.Record(o)
		set.Record(metrics.Observation{At: o.At, Name: metrics.EventsPublished, Value: 1, EventType: o.EventType})
	}
	var out strings.Builder
	if err := set.Flush(&out, noon); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func project1(t *testing.T, stdin string, args ...string) projection {
	t.Helper()
	out, err := run(t, stdin, append(args, "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	var p projection
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9*math.Max(1, math.Abs(want)) }

func TestProjection(t *testing.T) {
	p := project1(t, lines(t), "--file", "-", "--over", "1h", "--retention", "365")
	if len(p.Types) != 2 || p.Types[0].EventType != "Large" || p.Total.EventType != "all" || p.Hours != 1 || p.Estimated {
		t.Fatalf("%+v", p)
	}
	large := p.Types[0]
	events, size := 10*730.0, 10*200_000*730.0
	for name, pair := range map[string][2]float64{
		"events": {large.Events, events}, "chunks": {large.Chunks, 4 * events}, "bus": {large.Bus, 4 * events / 1e6}, "replay": {large.Replay, 4 * events / 1e6},
		"archive in": {large.ArchiveIn, size / (1 << 30) * 0.10}, "archive kept": {large.ArchiveStorage, size / (1 << 30) * 0.023 * 12},
		"bus of all": {p.Total.Bus, (4*events + 100*730) / 1e6}, "small bytes": {p.Types[1].Bytes, 100 * 1024 * 730},
		// EventsPublished and its four zeros on the service, PayloadSize of two types.
		"metrics": {float64(p.Metrics.Metrics), 7}, "custom metrics": {p.Metrics.Custom, 7 * 0.30},
		"all of it": {p.Monthly, p.Total.Bus + p.Total.ArchiveIn + p.Total.ArchiveStorage + 7*0.30 + p.Metrics.Logs},
	} {
		if !near(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	if p.Metrics.Logs <= 0 {
		t.Error("the log lines cost nothing")
	}
}

// TestNewBus: KB are rounded up for each event, and the stamp's share is what it adds to that.
func TestNewBus(t *testing.T) {
	events := `{"EventType":"Small","PayloadSize":[1030,1024,100],"_aws":{"Timestamp":5,"CloudWatchMetrics":[]}}` + "\n" +
		`{"EventType":"Large","PayloadSize":[10000],"_aws":{"Timestamp":5,"CloudWatchMetrics":[]}}`
	p := project1(t, events, "--file", "-", "--over", "730h", "--retention", "31", "--new-bus", "--deliveries", "3")
	if p.NewBus == nil || len(p.NewBus.Types) != 2 {
		t.Fatalf("%+v", p.NewBus)
	}
	const kb = 1.0 / (1 << 20) // of a GB
	large, small, n := p.NewBus.Types[0], p.NewBus.Types[1], p.NewBus
	for name, pair := range map[string][2]float64{
		"large KB": {large.Kilobytes, 10}, "small KB": {small.Kilobytes, 4}, "large stamp": {large.StampKB, 0}, "small stamp": {small.StampKB, 1},
		"in": {n.Total.In, 14 * kb * 0.18}, "out": {n.Total.Out, 3 * 14 * kb * 0.05}, "kept": {n.Total.Kept, 14 * kb * 0.08 * 30 / (730.0 / 24)},
		"a group": {small.PerGroup, 1500 / (1 + 4.0/3)}, "share": {n.StampShare, 1.0 / 14}, "stamp": {n.Stamp, (n.Total.In + n.Total.Out + n.Total.Kept) / 14},
	} {
		if !near(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	out, err := run(t, events, "--file", "-", "--over", "730h", "--new-bus")
	for _, want := range []string{"prices of 2026-10, which are not certain", "an event group takes 1500 a second", "(7 % of the KB)"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: no %q in\n%s", err, want, out)
		}
	}
	if p := project1(t, events, "--file", "-", "--over", "730h"); p.NewBus != nil {
		t.Errorf("%+v", p.NewBus)
	}
	if all, stamp := average(10, 1000); all != 10 || !near(stamp, 2590.0/1024) {
		t.Errorf("%v, %v", all, stamp)
	}
}

func TestTheFileTellsItsTime(t *testing.T) {
	const line = `{"EventType":"T","PayloadSize":5,"_aws":{"Timestamp":%d,"CloudWatchMetrics":[]}}` + "\n"
	if p := project1(t, fmt.Sprintf(line+line, 5, 5+2*time.Hour.Milliseconds()), "--file", "-"); p.Hours != 2 {
		t.Errorf("%v hours", p.Hours)
	}
	for _, args := range [][]string{{}, {"--json"}} {
		if out, err := run(t, lines(t), append(args, "--file", "-")...); terminal.Code(err) != 2 || out != "" || !strings.Contains(err.Error(), "covers 54m0s, which is too short to project a month: give the time that its events stand for with --over") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if out, err := run(t, lines(t), "--file", "-", "--over", "54m"); err != nil || !strings.Contains(out, "the month is a rough estimate") {
		t.Errorf("%v\n%s", err, out)
	}
	one := `{"EventType":"T","PayloadSize":5,"_aws":{"Timestamp":5,"CloudWatchMetrics":[]}}`
	if _, err := run(t, one, "--file", "-"); err == nil || !strings.Contains(err.Error(), "give it with --over") {
		t.Errorf("of one moment: %v", err)
	}
}

func TestPrices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prices.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"as_of":"2027-01-01","bus_per_million_chunks":2.5}`)
	before, after := project1(t, lines(t), "--file", "-", "--over", "1h"), project1(t, lines(t), "--file", "-", "--over", "1h", "--prices", file)
	if !near(after.Total.Bus, 2.5*before.Total.Bus) || !near(after.Total.Replay, before.Total.Replay) || after.PricesAsOf != "2027-01-01" || before.PricesAsOf != "2026-06" {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	out, err := run(t, "", "--show-prices")
	if err != nil {
		t.Fatal(err)
	}
	write(out)
	if got := project1(t, lines(t), "--file", "-", "--over", "1h", "--prices", file); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("what --show-prices printed: %+v", got)
	}
	for text, want := range map[string]string{
		`{"bus":1}`: "unknown field", `{"logs_per_gb":-1}`: "below zero", `{"metric_months":[{"up_to":5,"each":1}]}`: "must ascend", `x`: "invalid character",
	} {
		write(text)
		if _, err := run(t, lines(t), "--file", "-", "--prices", file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	p, err := readPrices(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]float64{0: 0, 100: 30, 10_000: 3_000, 20_000: 4_000, 2_000_000: 3_000 + 24_000 + 37_500 + 20_000} {
		if got := p.metrics(n); !near(got, want) {
			t.Errorf("%d metrics cost %v, want %v", n, got, want)
		}
	}
}

func TestText(t *testing.T) {
	out, err := run(t, lines(t), "--file", "-", "--over", "1h")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"covers 1h0m0s; prices of 2026-06 in us-east-1 (USD)", "KEPT 30 d", "Large\n", "all\n", "Throughline's metrics: 7 custom metrics, at most 2.10", "in all, at most 2.", "a replay of all of it once is 0."} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestErrors(t *testing.T) {
	for want, args := range map[string][]string{
		"there is no file /":            {"--file", filepath.Join(t.TempDir(), "absent")},
		"run `make demo`":               {},
		"has no sizes of events":        {"--file", "-"},
		"must not be below zero":        {"--file", "-", "--retention", "-1"},
		"none of the others can be":     {"--file", "-", "--cloudwatch"},
		"no such file or directory":     {"--prices", filepath.Join(t.TempDir(), "absent")},
		"list metrics: operation error": {"--cloudwatch", "--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:1"},
	} {
		if out, err := run(t, "", args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
}

func TestCloudWatchInMoto(t *testing.T) {
	url := peertest.MotoAccount(t)
	cfg, err := configure(t.Context(), config.WithRegion("us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.BaseEndpoint = &url
	client := alarmscloudwatch.NewClient(cfg)
	datum := func(name, eventType string, at time.Time, value float64) types.MetricDatum {
		d := types.MetricDatum{MetricName: &name, Timestamp: &at, Value: &value, Dimensions: []types.Dimension{{Name: aws.String("Service"), Value: aws.String("strategy")}}}
		if eventType != "" {
			d.Dimensions = append(d.Dimensions, types.Dimension{Name: aws.String("EventType"), Value: &eventType})
		}
		return d
	}
	var data []types.MetricDatum
	for i := range 10 {
		at := noon.Add(-time.Duration(i+1) * time.Hour)
		data = append(data, datum("PayloadSize", "Small", at, 1_000), datum("PayloadSize", "Small", at, 3_000), datum("PayloadSize", "Large", at, 200_000),
			datum("BilledChunks", "Counted", at, 3), datum("PayloadSize", "Counted", at, 1_000), datum("EventsPublished", "", at, 4))
	}
	if _, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Throughline"), MetricData: data}); err != nil {
		t.Fatal(err)
	}
	p := project1(t, "", "--cloudwatch", "--region", "us-east-1", "--endpoint-url", url, "--over", "73h")
	got := map[string]typeCost{}
	for _, c := range p.Types {
		got[c.EventType] = c
	}
	if small := got["Small"]; len(got) != 3 || !near(small.Events, 200) || !near(small.Bytes, 400_000) || !near(small.Chunks, 200) {
		t.Errorf("small %+v of %v", small, got)
	}
	if got["Large"].Chunks != 400 || got["Counted"].Chunks != 300 || !p.Estimated {
		t.Errorf("large %+v, counted %+v, estimated %v", got["Large"], got["Counted"], p.Estimated)
	}
	if p.Metrics.Metrics != 5 || p.Metrics.Logs != 0 {
		t.Errorf("metrics %+v", p.Metrics)
	}
	if _, err := run(t, "", "--cloudwatch", "--region", "us-east-1", "--endpoint-url", url, "--namespace", "Other"); err == nil || !strings.Contains(err.Error(), "namespace Other has no sizes") {
		t.Errorf("another namespace: %v", err)
	}
}

// FuzzFromFile: whatever stands in a file, what it costs is a number.
func FuzzFromFile(f *testing.F) {
	for _, seed := range []string{
		`{"EventType":"T","PayloadSize":[5,1e300],"_aws":{"Timestamp":5,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["EventType"],[]],"Metrics":[{"Name":"PayloadSize"}]}]}}`,
		`{"events":[{"message":"{\"EventType\":\"T\",\"PayloadSize\":-1,\"_aws\":{\"Timestamp\":-9223372036854775808}}"}]}`, "{\n}\n[", "",
	} {
		f.Add([]byte(seed))
	}
	p, err := readPrices(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := fromFile(bytes.NewReader(data), "fuzz", time.Hour)
		if err != nil {
			return // a broken gzip
		}
		out := project(u, p, 30)
		for _, c := range append(out.Types, out.Total) {
			if !(c.monthly() >= 0) || math.IsInf(c.monthly(), 0) || c.Events < 0 || c.Bytes < 0 {
				t.Errorf("%+v", c)
			}
		}
	})
}

// FuzzPrices: prices that are taken are none below zero, and cost no less for more.
func FuzzPrices(f *testing.F) {
	f.Add([]byte(`{"as_of":"2027-01-01","metric_months":[{"up_to":5,"each":1},{"up_to":0,"each":0.5}]}`), 7)
	f.Add([]byte(`{"metric_months":[]}`), 1<<40)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		p, err := readPrices(bytes.NewReader(data))
		if err != nil {
			return
		}
		if cost := p.metrics(n); !(cost >= 0) || n < math.MaxInt && p.metrics(n+1) < cost {
			t.Errorf("%d metrics cost %v by %s", n, cost, data)
		}
	})
}
