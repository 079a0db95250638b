package alarmscmd

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// deployed adds what CloudFormation has of a stack: the physical IDs of its resources,
// and the values of its parameters and pseudo parameters. Values that the caller set
// stay.
func deployed(ctx context.Context, api *cloudformation.Client, name string, o *template.Options) error {
	out, err := api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		return cloudwatch.Explain("read the stack "+name, "cloudformation:DescribeStacks", err)
	}
	if len(out.Stacks) == 0 {
		return fmt.Errorf("this account and Region have no stack %s: check --stack, --profile and --region", name)
	}
	values := map[string]string{"AWS::StackName": aws.ToString(out.Stacks[0].StackName)}
	// arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/ID
	if parts := strings.Split(aws.ToString(out.Stacks[0].StackId), ":"); len(parts) == 6 {
		values["AWS::Partition"], values["AWS::Region"], values["AWS::AccountId"] = parts[1], parts[3], parts[4]
	}
	for _, p := range out.Stacks[0].Parameters {
		value := aws.ToString(p.ParameterValue)
		if p.ResolvedValue != nil { // the value of a Systems Manager parameter
			value = *p.ResolvedValue
		}
		if value != "****" { // a NoEcho parameter
			values[aws.ToString(p.ParameterKey)] = value
		}
	}
	maps.Copy(values, o.Values)
	o.Values, o.Physical = values, map[string]string{}
	return physical(ctx, api, name, "", o.Physical)
}

// readStack reads the names and parameters of the stack that --stack names.
func (a app) readStack(cmd *cobra.Command, spec *specOptions, on account.Flags) error {
	if spec.stack == "" {
		return nil
	}
	if spec.file == "-" {
		return terminal.Misuse("--stack reads the spec twice: name a file with -f")
	}
	s, err := spec.compile(cmd)
	if err != nil {
		return err
	}
	cfg, err := on.Config(cmd.Context(), a.configure)
	if err != nil {
		return err
	}
	var o template.Options
	if err := deployed(cmd.Context(), cloudformation.NewFromConfig(cfg), spec.stack, &o); err != nil {
		return err
	}
	values := map[string]string{}
	for name, value := range o.Values {
		values[template.ParameterName(name)] = value
	}
	spec.live = map[string]string{}
	for _, p := range s.Parameters {
		if id, ok := o.Physical[strings.TrimSuffix(p.LogicalID, ".Arn")]; ok && strings.HasSuffix(p.LogicalID, ".Arn") {
			spec.live[p.Name] = id
		} else if id, ok := o.Physical[strings.TrimSuffix(p.LogicalID, ".Dimension")]; ok && strings.HasSuffix(p.LogicalID, ".Dimension") {
			spec.live[p.Name] = template.NewBusDimension(id)
		} else if id, ok := o.Physical[p.LogicalID]; ok && p.LogicalID != "" {
			spec.live[p.Name] = template.PhysicalName(id)
		} else if value, ok := values[p.Name]; ok && p.LogicalID == "" {
			spec.live[p.Name] = value
		}
	}
	return nil
}

const deepestStack = 5 // levels of nested stacks

// physical adds the physical IDs of a stack's resources, and those of the stacks in it.
func physical(ctx context.Context, api *cloudformation.Client, name, prefix string, ids map[string]string) error {
	pages := cloudformation.NewListStackResourcesPaginator(api, &cloudformation.ListStackResourcesInput{StackName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return cloudwatch.Explain("read the resources of "+name, "cloudformation:ListStackResources", err)
		}
		for _, r := range page.StackResourceSummaries {
			id, logical := aws.ToString(r.PhysicalResourceId), prefix+aws.ToString(r.LogicalResourceId)
			if id == "" {
				continue
			}
			ids[logical] = id
			if aws.ToString(r.ResourceType) == "AWS::CloudFormation::Stack" && strings.Count(prefix, "/") < deepestStack {
				if err := physical(ctx, api, id, logical+"/", ids); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// readTemplate reads the template of a nested stack.
func readTemplate(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	} else if !info.Mode().IsRegular() || info.Size() > maxSpec {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxSpec)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}
