package cloudwatch

// ReadPolicy is the IAM policy that plan, drift, check, backtest and suggest need.
// DescribeAlarms of composites supports only the resource *.
const ReadPolicy = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DescribeAlarmHistory",
        "cloudwatch:ListTagsForResource",
        "cloudwatch:ListMetrics",
        "cloudwatch:GetMetricData",
        "sns:ListSubscriptionsByTopic",
        "sns:GetTopicAttributes",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "logs:DescribeQueryDefinitions",
        "logs:StartQuery",
        "logs:GetQueryResults"
      ],
      "Resource": "*"
    }
  ]
}
`

// WritePolicy is the IAM policy that apply, destroy, test and the saved queries need in
// addition to [ReadPolicy].
const WritePolicy = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DeleteAlarms",
        "cloudwatch:SetAlarmState",
        "cloudwatch:TagResource",
        "cloudwatch:UntagResource"
      ],
      "Resource": "arn:aws:cloudwatch:*:*:alarm:*"
    },
    {
      "Effect": "Allow",
      "Action": [
        "cloudwatch:PutCompositeAlarm",
        "cloudwatch:PutDashboard",
        "logs:PutQueryDefinition"
      ],
      "Resource": "*"
    }
  ]
}
`
