package cloudwatch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
	"github.com/throughline/throughline/alarms/queries"
	"github.com/throughline/throughline/alarms/render"
	"github.com/throughline/throughline/internal/peertest"
)

// account is a moto account of the test's own.
func account(t *testing.T, number string) (aws.Config, string) {
	t.Helper()
	url := peertest.Moto(t)
	return aws.Config{Region: "eu-west-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider(number, "secret", "")}, url
}

func quick() *Pace {
	return &Pace{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// TestMoto: apply, plan, a hand edit, destroy, against a CloudWatch that is not ours.
func TestMoto(t *testing.T) {
	cfg, _ := account(t, "111111111111")
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
	found, err := Drift(t.Context(), api, api, sns.NewFromConfig(cfg), s, quick())
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

// TestShellScriptAgainstMoto: the rendered script, run by a shell with the AWS
// CLI, makes the alarms that apply would: the next plan has nothing to do.
func TestShellScriptAgainstMoto(t *testing.T) {
	cli := peertest.Command(t, "aws")
	cfg, url := account(t, "222222222222")
	s := set(t)
	// One alarm of each shape, for the CLI takes about a second a call.
	shapes := []string{"dlq-depth", "nightly-latency", "fn-1-errors", "account-put-failed", "created-silent"}
	s.Name, s.Composites = "script", nil
	s.Alarms = slices.DeleteFunc(s.Alarms, func(a alarms.Alarm) bool {
		return !slices.ContainsFunc(shapes, func(shape string) bool { return strings.HasSuffix(a.Name, shape) })
	})
	if len(s.Alarms) != len(shapes) {
		t.Fatalf("%d alarms", len(s.Alarms))
	}
	s.Alarms[0].Tags = []alarms.Tag{{Key: "team", Value: "it's $HOME"}}
	s.Alarms[1].Description = "it's \"quoted\" \\ $HOME `id` ${literal}"
	files, err := render.Shell(s.Map(alarms.Literal))
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), files[0].Name)
	if err := os.WriteFile(script, files[0].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", script)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID=222222222222", "AWS_SECRET_ACCESS_KEY=secret", "AWS_DEFAULT_REGION=eu-west-1", "AWS_PAGER=", "PATH="+filepath.Dir(cli)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p, err := Make(t.Context(), NewClient(cfg), s, nil, alarms.DefaultPrices(), quick())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range p.Steps {
		t.Errorf("%s %s: %+v", step.Action, step.Name, step.Changes)
	}
}

// TestBacktestFromMoto: metrics that were put, read back by GetMetricData, give
// the transitions of the same history from memory.
func TestBacktestFromMoto(t *testing.T) {
	cfg, _ := account(t, "333333333333")
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

// definitions keeps saved queries, which moto does not, as PutQueryDefinition is
// documented: an ID is to be given to change one, or another of the name is made.
type definitions struct {
	*logs.Client
	saved []logstypes.QueryDefinition
}

func (d *definitions) DescribeQueryDefinitions(_ context.Context, in *logs.DescribeQueryDefinitionsInput, _ ...func(*logs.Options)) (*logs.DescribeQueryDefinitionsOutput, error) {
	out := &logs.DescribeQueryDefinitionsOutput{}
	for _, q := range d.saved {
		if strings.HasPrefix(*q.Name, *in.QueryDefinitionNamePrefix) {
			out.QueryDefinitions = append(out.QueryDefinitions, q)
		}
	}
	return out, nil
}

func (d *definitions) PutQueryDefinition(_ context.Context, in *logs.PutQueryDefinitionInput, _ ...func(*logs.Options)) (*logs.PutQueryDefinitionOutput, error) {
	q := logstypes.QueryDefinition{Name: in.Name, QueryString: in.QueryString, LogGroupNames: in.LogGroupNames, QueryDefinitionId: in.QueryDefinitionId}
	for i := range d.saved {
		if in.QueryDefinitionId != nil && *d.saved[i].QueryDefinitionId == *in.QueryDefinitionId {
			d.saved[i] = q
			return &logs.PutQueryDefinitionOutput{QueryDefinitionId: q.QueryDefinitionId}, nil
		}
	}
	q.QueryDefinitionId = aws.String(fmt.Sprint("id-", len(d.saved)))
	d.saved = append(d.saved, q)
	return &logs.PutQueryDefinitionOutput{QueryDefinitionId: q.QueryDefinitionId}, nil
}

func TestSavedQueriesInMoto(t *testing.T) {
	cfg, _ := account(t, "444444444444")
	client := logs.NewFromConfig(cfg)
	api := &definitions{Client: client}
	if _, err := client.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("/aws/lambda/orders")}); err != nil {
		t.Fatal(err)
	}
	q, _ := queries.Find("repeats")
	for i, want := range []bool{true, false} {
		made, err := SaveQuery(t.Context(), api, q, []string{"/aws/lambda/orders"})
		if err != nil || made != want {
			t.Errorf("time %d: made %v, %v", i+1, made, err)
		}
	}
	if len(api.saved) != 1 || *api.saved[0].QueryString != q.Text || *api.saved[0].Name != "Throughline/repeats" {
		t.Errorf("%+v", api.saved)
	}
	if _, err := RunQuery(t.Context(), api, q.Text, []string{"/aws/lambda/orders"}, time.Now().Add(-time.Hour), time.Now(), quick()); err != nil {
		t.Error(err)
	}
	if _, err := RunQuery(t.Context(), api, q.Text, []string{"/aws/lambda/none"}, time.Now().Add(-time.Hour), time.Now(), quick()); err == nil || !strings.Contains(err.Error(), "start the query") {
		t.Error(err)
	}
}
