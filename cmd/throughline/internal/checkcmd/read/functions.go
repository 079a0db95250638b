package read

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// function reads a function's configuration. If the function was named, it has to exist.
func (r *Account) function(ctx context.Context, name string, named bool) error {
	r.options.Progress.Show("reading function %s", arn.Function(name))
	answer, err := r.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	var absent *types.ResourceNotFoundException
	switch {
	case errors.As(err, &absent) && named:
		return fmt.Errorf("there is no function %s", name)
	case errors.As(err, &absent):
		r.System.Missing = append(r.System.Missing, name)
		return nil
	case err != nil:
		return r.skipPart(system.Functions, "read function "+arn.Function(name), err)
	}
	f := system.Function{
		Name: aws.ToString(answer.FunctionName), ARN: aws.ToString(answer.FunctionArn), Timeout: time.Duration(aws.ToInt32(answer.Timeout)) * time.Second,
		Environment: map[string]string{}, LogFormat: string(types.LogFormatText),
	}
	if e := answer.Environment; e != nil && e.Error != nil {
		r.Note("the environment of %s could not be read: %s", f.Name, aws.ToString(e.Error.Message))
	}
	if answer.Environment != nil {
		for variable, value := range answer.Environment.Variables {
			// No other variable is kept: it may be a secret.
			if _, bus := system.NamesBus(variable, value); bus || strings.HasPrefix(variable, "THROUGHLINE_") {
				f.Environment[variable] = value
			}
		}
	}
	f.Service, f.Namespace = cmp.Or(f.Environment["THROUGHLINE_SERVICE"], f.Name), cmp.Or(f.Environment["THROUGHLINE_NAMESPACE"], r.options.Namespace)
	if c := answer.LoggingConfig; c != nil {
		f.LogFormat, f.LogLevel, f.LogGroup = cmp.Or(string(c.LogFormat), f.LogFormat), string(c.ApplicationLogLevel), aws.ToString(c.LogGroup)
	}
	f.LogGroup = cmp.Or(f.LogGroup, "/aws/lambda/"+f.Name)
	policy, err := r.lambda.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: &name})
	switch {
	case errors.As(err, &absent): // none
	case err != nil:
		if err := r.skipPart(system.Policies, "read the policy of "+f.Name, err); err != nil {
			return err
		}
	default:
		f.Policy = aws.ToString(policy.Policy)
	}
	r.System.Functions = append(r.System.Functions, f)
	return nil
}

// groups reads the class of each function's log group.
func (r *Account) groups(ctx context.Context) error {
	for i := range r.System.Functions {
		f := &r.System.Functions[i]
		r.options.Progress.Show("reading log group %s", f.LogGroup)
		pages := logs.NewDescribeLogGroupsPaginator(r.logs, &logs.DescribeLogGroupsInput{LogGroupNamePrefix: &f.LogGroup})
		for pages.HasMorePages() && f.LogClass == "" {
			page, err := pages.NextPage(ctx)
			if err != nil {
				if err := r.skipPart(system.Groups, "read log group "+f.LogGroup, err); err != nil {
					return err
				}
				break
			}
			for _, g := range page.LogGroups {
				if aws.ToString(g.LogGroupName) == f.LogGroup {
					f.LogClass = cmp.Or(string(g.LogGroupClass), "STANDARD")
				}
			}
		}
	}
	return nil
}

// Stack adds the resources of a CloudFormation stack and of its nested stacks to the
// scope.
func (r *Account) Stack(ctx context.Context, name string) error { return r.stack(ctx, name, 0) }

func (r *Account) stack(ctx context.Context, name string, depth int) error {
	const deepest = 5
	if depth > deepest {
		return fmt.Errorf("stack %s: nested stacks are read to a depth of %d", name, deepest)
	}
	r.options.Progress.Show("reading stack %s", arn.Name(name))
	pages := cloudformation.NewListStackResourcesPaginator(r.stacks, &cloudformation.ListStackResourcesInput{StackName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list the resources of stack %s: %w", name, err)
		}
		for _, resource := range page.StackResourceSummaries {
			id := aws.ToString(resource.PhysicalResourceId)
			if id == "" {
				continue // not created yet
			}
			switch aws.ToString(resource.ResourceType) {
			case "AWS::Lambda::Function":
				r.Scope.AddFunction(id)
			case "AWS::Events::EventBus", "AWS::EventsV2::EventBus": // of the second an ARN
				r.Scope.AddBus(id)
			case "AWS::Events::Rule":
				r.Scope.rule(id)
			case "AWS::CloudFormation::Stack":
				if err := r.stack(ctx, id, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rule adds a rule's bus to the scope. The physical ID of a rule is BUS|RULE, or RULE on
// the default bus.
func (s *Scope) rule(id string) {
	if bus, _, custom := strings.Cut(id, "|"); custom {
		s.AddBus(arn.Name(bus))
		return
	}
	s.AddBus("default")
	s.OnDefault = add(s.OnDefault, id)
}
