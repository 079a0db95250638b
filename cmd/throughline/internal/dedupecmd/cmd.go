// Package dedupecmd is the command "throughline dedupe", which creates the table in which
// package dedupe/dynamo records the events that were seen.
package dedupecmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/dedupe/dynamo"
)

// New returns the command.
func New(configure account.Configure) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dedupe",
		Short:   "Set up the shared table of events that were seen",
		Example: "  throughline dedupe create-table --table throughline-seen",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCreate(configure))
	return cmd
}

type create struct {
	table                  string
	on                     account.Flags
	cloudFormation, asJSON bool
	patience               time.Duration
}

func newCreate(configure account.Configure) *cobra.Command {
	var o create
	cmd := &cobra.Command{
		Use:   "create-table --table NAME",
		Short: "Create the table, or print it as a CloudFormation template",
		Long: `create-table creates the DynamoDB table for THROUGHLINE_DEDUPE=dynamodb:NAME. The table is
billed on demand. Its key is the string attribute pk, and its time-to-live attribute is
the number expiry. If the table exists, create-table only turns on its time to live.

It needs dynamodb:CreateTable, DescribeTable, DescribeTimeToLive and UpdateTimeToLive.
The functions need dynamodb:PutItem and dynamodb:UpdateItem.`,
		Example: `  throughline dedupe create-table --table throughline-seen
  throughline dedupe create-table --table throughline-seen --region eu-west-1 --json
  throughline dedupe create-table --table throughline-seen --print-cloudformation > seen.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return terminal.In("dedupe create-table", o.run(cmd, configure))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.table, "table", "", "the `NAME` of the table")
	o.on.Bind(flags)
	flags.BoolVar(&o.cloudFormation, "print-cloudformation", false, "print a template instead of creating the table")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON")
	flags.DurationVar(&o.patience, "wait", time.Minute, "wait this long until the table is active")
	_ = cmd.MarkFlagRequired("table") // fails only for an unknown flag
	cmd.MarkFlagsMutuallyExclusive("print-cloudformation", "json")
	return cmd
}

func (o create) run(cmd *cobra.Command, configure account.Configure) error {
	if o.cloudFormation {
		template, err := dynamo.Template(o.table)
		if err != nil {
			return terminal.As(terminal.Misused, err)
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), template)
		return err
	}
	if err := dynamo.CheckName(o.table); err != nil {
		return terminal.As(terminal.Misused, err)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.patience+30*time.Second)
	defer cancel()
	settings, err := o.on.Config(ctx, configure)
	if err != nil {
		return err
	}
	client := dynamodb.NewFromConfig(settings)
	made, err := o.make(ctx, client)
	if err != nil {
		return advise(err)
	}
	if o.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"table": o.table, "region": settings.Region, "created": made})
	}
	what := "exists"
	if made {
		what = "is created"
	}
	const hang = 2
	return terminal.Fit(cmd.OutOrStdout(), hang, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "table %s in %s %s: set THROUGHLINE_DEDUPE=dynamodb:%s, and allow the functions dynamodb:PutItem and dynamodb:UpdateItem on it\n", o.table, settings.Region, what, o.table)
		return err
	})
}

// make creates the table if it does not exist, and reports whether it did.
func (o create) make(ctx context.Context, client *dynamodb.Client) (made bool, err error) {
	_, err = client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &o.table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
	})
	var there *types.ResourceInUseException
	switch {
	case err == nil:
		made = true
	case !errors.As(err, &there):
		return false, fmt.Errorf("create the table: %w", err)
	}
	waiter := dynamodb.NewTableExistsWaiter(client, func(w *dynamodb.TableExistsWaiterOptions) { w.MinDelay = time.Second })
	found, err := waiter.WaitForOutput(ctx, &dynamodb.DescribeTableInput{TableName: &o.table}, o.patience)
	if err != nil {
		return made, fmt.Errorf("wait until the table is active: %w", err)
	}
	if err := fits(found.Table); err != nil {
		return made, err
	}
	return made, o.expire(ctx, client)
}

// fits returns an error if an existing table cannot be used.
func fits(t *types.TableDescription) error {
	if len(t.KeySchema) == 1 && aws.ToString(t.KeySchema[0].AttributeName) == "pk" {
		for _, a := range t.AttributeDefinitions {
			if aws.ToString(a.AttributeName) == "pk" && a.AttributeType == types.ScalarAttributeTypeS {
				return nil
			}
		}
	}
	return terminal.Finding("the table %s exists, and its key is not the single string pk: choose another name", aws.ToString(t.TableName))
}

// expire switches time to live on.
func (o create) expire(ctx context.Context, client *dynamodb.Client) error {
	found, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &o.table})
	if err != nil {
		return fmt.Errorf("look up the time to live: %w", err)
	}
	if d := found.TimeToLiveDescription; d != nil && (d.TimeToLiveStatus == types.TimeToLiveStatusEnabled || d.TimeToLiveStatus == types.TimeToLiveStatusEnabling) {
		if name := aws.ToString(d.AttributeName); name != "expiry" {
			return terminal.Finding("the table's time to live uses the attribute %s, not expiry: choose another table", name)
		}
		return nil
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               &o.table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("expiry"), Enabled: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("switch time to live on: %w", err)
	}
	return nil
}

// advise adds the next step to AWS's errors.
func advise(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "AccessDeniedException" {
		return fmt.Errorf("%w\nallow your role dynamodb:CreateTable, DescribeTable, DescribeTimeToLive and UpdateTimeToLive, or deploy the template that --print-cloudformation prints", err)
	}
	return err
}
