package checkcmd

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

	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// function reads how a function is configured. One that was named has to exist.
func (r *reader) function(ctx context.Context, name string, named bool) error {
	r.bar.Show("reading function %s", functionName(name))
	answer, err := r.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	var absent *types.ResourceNotFoundException
	switch {
	case errors.As(err, &absent) && named:
		return fmt.Errorf("there is no function %s", name)
	case errors.As(err, &absent):
		r.system.Missing = append(r.system.Missing, name)
		return nil
	case err != nil:
		return r.partly(system.Functions, "read function "+functionName(name), err)
	}
	f := system.Function{
		Name: aws.ToString(answer.FunctionName), ARN: aws.ToString(answer.FunctionArn), Timeout: time.Duration(aws.ToInt32(answer.Timeout)) * time.Second,
		Environment: map[string]string{}, LogFormat: string(types.LogFormatText),
	}
	if e := answer.Environment; e != nil && e.Error != nil {
		r.note("the environment of %s could not be read: %s", f.Name, aws.ToString(e.Error.Message))
	}
	if answer.Environment != nil {
		for variable, value := range answer.Environment.Variables {
			// No other variable is kept: it may be a secret.
			if strings.HasPrefix(variable, "THROUGHLINE_") || namesBus.MatchString(variable) && isBus(value) {
				f.Environment[variable] = value
			}
		}
	}
	f.Service, f.Namespace = cmp.Or(f.Environment["THROUGHLINE_SERVICE"], f.Name), cmp.Or(f.Environment["THROUGHLINE_NAMESPACE"], r.namespace)
	if c := answer.LoggingConfig; c != nil {
		f.LogFormat, f.LogLevel, f.LogGroup = cmp.Or(string(c.LogFormat), f.LogFormat), string(c.ApplicationLogLevel), aws.ToString(c.LogGroup)
	}
	f.LogGroup = cmp.Or(f.LogGroup, "/aws/lambda/"+f.Name)
	policy, err := r.lambda.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: &name})
	switch {
	case errors.As(err, &absent): // none
	case err != nil:
		if err := r.partly(system.Policies, "read the policy of "+f.Name, err); err != nil {
			return err
		}
	default:
		f.Policy = aws.ToString(policy.Policy)
	}
	r.system.Functions = append(r.system.Functions, f)
	return nil
}

// groups reads the class of each function's log group.
func (r *reader) groups(ctx context.Context) error {
	for i := range r.system.Functions {
		f := &r.system.Functions[i]
		r.bar.Show("reading log group %s", f.LogGroup)
		pages := logs.NewDescribeLogGroupsPaginator(r.logs, &logs.DescribeLogGroupsInput{LogGroupNamePrefix: &f.LogGroup})
		for pages.HasMorePages() && f.LogClass == "" {
			page, err := pages.NextPage(ctx)
			if err != nil {
				if err := r.partly(system.Groups, "read log group "+f.LogGroup, err); err != nil {
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

// stack puts into scope what a CloudFormation stack made, those inside it
// included.
func (r *reader) stack(ctx context.Context, name string, depth int) error {
	const deepest = 5
	if depth > deepest {
		return fmt.Errorf("stack %s: stacks in stacks are followed %d deep", name, deepest)
	}
	r.bar.Show("reading stack %s", last(name))
	pages := cloudformation.NewListStackResourcesPaginator(r.stacks, &cloudformation.ListStackResourcesInput{StackName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list what stack %s made: %w", name, err)
		}
		for _, resource := range page.StackResourceSummaries {
			id := aws.ToString(resource.PhysicalResourceId)
			if id == "" {
				continue // it is not made yet
			}
			switch aws.ToString(resource.ResourceType) {
			case "AWS::Lambda::Function":
				r.scope.functions = add(r.scope.functions, id)
			case "AWS::Events::EventBus":
				r.scope.buses = add(r.scope.buses, id)
			case "AWS::Events::Rule":
				r.scope.rule(id)
			case "AWS::CloudFormation::Stack":
				if err := r.stack(ctx, id, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rule puts a rule's bus into scope: BUS|RULE, or RULE on the default bus, as
// CloudFormation calls them.
func (s *scope) rule(id string) {
	if bus, _, custom := strings.Cut(id, "|"); custom {
		s.buses = add(s.buses, last(bus))
		return
	}
	s.buses, s.onDefault = add(s.buses, "default"), add(s.onDefault, id)
}
