package checkcmd

import (
	"fmt"

	"github.com/spf13/cobra"
)

// readPolicy is what check needs.
const readPolicy = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "events:DescribeEventBus",
        "events:ListEventBuses",
        "events:ListRules",
        "events:ListTargetsByRule",
        "events:ListArchives",
        "lambda:GetFunctionConfiguration",
        "lambda:GetPolicy",
        "lambda:ListEventSourceMappings",
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sns:GetTopicAttributes",
        "logs:DescribeLogGroups",
        "logs:FilterLogEvents",
        "cloudwatch:ListMetrics",
        "cloudwatch:GetMetricData",
        "cloudwatch:DescribeAlarms",
        "cloudformation:ListStackResources"
      ],
      "Resource": "*"
    }
  ]
}
`

// writePolicy is what check --write needs besides readPolicy. iam:PassRole is
// not among it: the trial's target has no role.
const writePolicy = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "events:PutRule",
        "events:PutTargets",
        "events:RemoveTargets",
        "events:DeleteRule",
        "events:PutEvents",
        "events:StartReplay",
        "events:DescribeReplay",
        "events:CancelReplay"
      ],
      "Resource": "*"
    },
    {
      "Effect": "Allow",
      "Action": [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility"
      ],
      "Resource": "*"
    }
  ]
}
`

func newPolicy() *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Print the IAM policy that check needs, or with --write what --write needs besides",
		Example: `  throughline check policy > read.json
  throughline check policy --write > write.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := readPolicy
			if write {
				text = writePolicy
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "what check --write needs besides")
	return cmd
}
