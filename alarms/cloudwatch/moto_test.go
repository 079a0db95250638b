package cloudwatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
	"github.com/throughline/throughline/peertest"
)

// account is a moto account of the test's own.
func account(t *testing.T, number string) aws.Config {
	t.Helper()
	url := peertest.Moto(t)
	return aws.Config{Region: "eu-west-1", BaseEndpoint: &url, Credentials: peertest.Credentials(number, "secret", "")}
}

func quick() *Pace {
	return &Pace{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// TestMoto: apply, plan, a hand edit, destroy, against a CloudWatch that is not ours.
func TestMoto(t *testing.T) {
	cfg := account(t, "111111111111")
	api := NewClient(cfg)
	s := set(t)
	s.Name, s.Composites = "moto", nil // moto has no PutCompositeAlarm: the fake stands in for these
	begin := func(s alarms.Set) Plan {
		t.Helper()
		p, err := Make(t.Context(), api, s, nil, alarms.DefaultPrices(), quick())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if err := Apply(t.Context(), api, begin(s), quick(), nil); err != nil {
		t.Fatal(err)
	}
	if p := begin(s); !p.Empty() {
		for _, step := range p.Steps {
			t.Errorf("%s %s: %+v", step.Action, step.Name, step.Changes)
		}
	}
	edited := putMetricAlarm(s.Alarms[0])
	edited.Threshold = aws.Float64(77)
	if _, err := api.PutMetricAlarm(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	found, err := Drift(t.Context(), api, api, subscribed{}, s, quick())
	if err != nil || !strings.Contains(fmt.Sprint(found), "edited "+s.Alarms[0].Name) || !strings.Contains(fmt.Sprint(found), "undeliverable "+topic) {
		t.Errorf("%v, %v", found, err)
	}
	destroy, err := MakeDestroy(t.Context(), api, s, alarms.DefaultPrices(), quick())
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), api, destroy, quick(), nil); err != nil {
		t.Fatal(err)
	}
	if out, err := api.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{}); err != nil || len(out.MetricAlarms) != 0 {
		t.Errorf("%d alarms left, %v", len(out.MetricAlarms), err)
	}
}

// TestBacktestFromMoto: metrics that were put, read back by GetMetricData, give
// the transitions of the same history from memory.
func TestBacktestFromMoto(t *testing.T) {
	cfg := account(t, "333333333333")
	api := NewClient(cfg)
	to := time.Now().UTC().Truncate(time.Hour)
	from := to.Add(-2 * time.Hour)
	s := alarms.Set{Alarms: []alarms.Alarm{{Name: "depth", Comparison: alarms.GreaterOrEqual, Threshold: 1, EvaluationPeriods: 2, DatapointsToAlarm: 1, Missing: alarms.NotBreaching,
		Queries: []alarms.Query{{ID: "m1", Return: true, Stat: &alarms.Stat{Namespace: "Test/SQS", Metric: "Visible", Statistic: "Maximum", Period: 60, Dimensions: []alarms.Dimension{{Name: "QueueName", Value: "q"}}}}}}}}
	memory := eval.Series{}
	var data []types.MetricDatum
	for i := range 120 {
		if i%7 == 3 {
			continue
		}
		at, value := from.Add(time.Duration(i)*time.Minute), 0.0
		if i%31 > 25 {
			value = 2
		}
		memory[at.Unix()] = value
		data = append(data, types.MetricDatum{MetricName: aws.String("Visible"), Timestamp: &at, Value: &value, Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String("q")}}})
	}
	if _, err := api.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Test/SQS"), MetricData: data}); err != nil {
		t.Fatal(err)
	}
	table, err := Fetch(t.Context(), api, s, from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := eval.Backtest(s.Alarms[0], table, from, to, 0)
	if err != nil {
		t.Fatal(err)
	}
	want, err := eval.Backtest(s.Alarms[0], eval.Table{eval.Key(*s.Alarms[0].Queries[0].Stat): memory}, from, to, 0)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || got.Pages < 2 {
		t.Errorf("%+v\n%+v\n%v", got, want, err)
	}
	// And the metric is found, with its dimension and not without.
	found, err := Check(t.Context(), api, s, quick())
	if err != nil || found[0].Verdict != Found {
		t.Errorf("%+v, %v", found, err)
	}
}
