package queries

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/peertest"
)

// account is a moto account of the test's own.
func account(t *testing.T, number string) (aws.Config, string) {
	t.Helper()
	url := peertest.MotoAccount(t)
	return aws.Config{Region: "eu-west-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider(number, "secret", "")}, url
}

func quick() *cloudwatch.Pace {
	return &cloudwatch.Pace{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
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
	q, _ := Find("repeats")
	for i, want := range []bool{true, false} {
		made, err := Save(t.Context(), api, q, []string{"/aws/lambda/orders"})
		if err != nil || made != want {
			t.Errorf("time %d: made %v, %v", i+1, made, err)
		}
	}
	if len(api.saved) != 1 || *api.saved[0].QueryString != q.Text || *api.saved[0].Name != "Throughline/repeats" {
		t.Errorf("%+v", api.saved)
	}
	if _, err := Run(t.Context(), api, q.Text, []string{"/aws/lambda/orders"}, time.Now().Add(-time.Hour), time.Now(), quick()); err != nil {
		t.Error(err)
	}
	if _, err := Run(t.Context(), api, q.Text, []string{"/aws/lambda/none"}, time.Now().Add(-time.Hour), time.Now(), quick()); err == nil || !strings.Contains(err.Error(), "start the query") {
		t.Error(err)
	}
}
