package checkcmd

import (
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// readPolicy is the IAM policy that check needs.
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
        "events:ListSubscribers",
        "events:DescribeSubscriber",
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

// writePolicy is the IAM policy that check --write needs in addition to readPolicy. It
// does not include iam:PassRole, because the trial's target has no role.
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
	return terminal.PolicyCommand("Print the IAM policy that check needs",
		`  throughline check policy > read.json
  throughline check policy --write > write.json`,
		"print what check --write needs in addition", readPolicy, writePolicy)
}
