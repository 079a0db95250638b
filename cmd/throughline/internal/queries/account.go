package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/throughline/throughline/alarms/cloudwatch"
)

// Logs are the operations of CloudWatch Logs that [Save] and [Run] call. The
// client of aws-sdk-go-v2 has them.
type Logs interface {
	DescribeQueryDefinitions(context.Context, *logs.DescribeQueryDefinitionsInput, ...func(*logs.Options)) (*logs.DescribeQueryDefinitionsOutput, error)
	PutQueryDefinition(context.Context, *logs.PutQueryDefinitionInput, ...func(*logs.Options)) (*logs.PutQueryDefinitionOutput, error)
	StartQuery(context.Context, *logs.StartQueryInput, ...func(*logs.Options)) (*logs.StartQueryOutput, error)
	GetQueryResults(context.Context, *logs.GetQueryResultsInput, ...func(*logs.Options)) (*logs.GetQueryResultsOutput, error)
}

// Folder is the folder of saved queries in the CloudWatch console.
const Folder = "Throughline/"

// Save saves a query for log groups under [Folder]. It replaces a saved query of
// the same name; made is true if there was none.
func Save(ctx context.Context, api Logs, q Query, groups []string) (made bool, err error) {
	name := Folder + q.Name
	in := &logs.PutQueryDefinitionInput{Name: &name, QueryString: aws.String(q.Text), LogGroupNames: groups}
	describe := &logs.DescribeQueryDefinitionsInput{QueryDefinitionNamePrefix: &name}
	for {
		out, err := api.DescribeQueryDefinitions(ctx, describe)
		if err != nil {
			return false, cloudwatch.Explain("read the saved queries", "logs:DescribeQueryDefinitions", err)
		}
		for _, d := range out.QueryDefinitions {
			if aws.ToString(d.Name) == name {
				in.QueryDefinitionId = d.QueryDefinitionId
			}
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		describe.NextToken = out.NextToken
	}
	if _, err := api.PutQueryDefinition(ctx, in); err != nil {
		return false, cloudwatch.Explain("save the query "+q.Name, "logs:PutQueryDefinition", err)
	}
	return in.QueryDefinitionId == nil, nil
}

// Row is one row of a query's results, its fields in the order of the query.
type Row []Field

// Field is one cell of a [Row].
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Run runs a query over log groups and waits for its results until ctx ends.
func Run(ctx context.Context, api Logs, text string, groups []string, from, to time.Time, pace *cloudwatch.Pace) ([]Row, error) {
	started, err := api.StartQuery(ctx, &logs.StartQueryInput{LogGroupNames: groups, QueryString: &text, StartTime: aws.Int64(from.Unix()), EndTime: aws.Int64(to.Unix()), Limit: aws.Int32(1000)})
	if err != nil {
		return nil, cloudwatch.Explain("start the query", "logs:StartQuery", err)
	}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		out, err := api.GetQueryResults(ctx, &logs.GetQueryResultsInput{QueryId: started.QueryId})
		if err != nil {
			return nil, cloudwatch.Explain("read the query's results", "logs:GetQueryResults", err)
		}
		switch out.Status {
		case types.QueryStatusComplete:
			return rows(out.Results), nil
		case types.QueryStatusFailed, types.QueryStatusCancelled, types.QueryStatusTimeout:
			return nil, fmt.Errorf("the query ended with the status %s: try a shorter --since", out.Status)
		}
		if err := pace.Pause(ctx, pause); err != nil {
			return nil, fmt.Errorf("the query is still running: %w", err)
		}
	}
}

func rows(results [][]types.ResultField) []Row {
	var out []Row
	for _, result := range results {
		var row Row
		for _, f := range result {
			if name := aws.ToString(f.Field); name != "@ptr" {
				row = append(row, Field{name, aws.ToString(f.Value)})
			}
		}
		out = append(out, row)
	}
	return out
}
