#!/bin/sh
# CloudWatch alarms of orders, rendered by throughline. Needs the AWS CLI.
set -eu

# Escapes a value for a JSON string.
_json() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; }
# OrdersFn: the function
OrdersFn=$(_json "${OrdersFn:?give it a value in the environment}")
[ -n "${AlertTopic:-}" ] || AlertTopic='arn:aws:sns:eu-west-1:123456789012:alerts'
AlertTopic=$(_json "$AlertTopic")

# put-metric-alarm sets tags only when it creates an alarm. ARNs
# differ only in the alarm's name, so one call finds their beginning.
_base=
_tag() {
  if [ -z "$_base" ]; then
    _base=$(aws cloudwatch describe-alarms --alarm-types MetricAlarm CompositeAlarm --alarm-names "$1" --query '[MetricAlarms,CompositeAlarms][][].AlarmArn' --output text)
    _base=${_base%"$1"}
  fi
  aws cloudwatch tag-resource --resource-arn "$_base$1" --tags "$2"
}

aws cloudwatch put-metric-alarm --cli-input-json '{"ActionsEnabled":true,"AlarmDescription":"warning: the longest invocation comes near the function'\''s time-out. Runbook: https://wiki.example/lambda-duration","AlarmName":"orders/'"${OrdersFn}"'-duration","ComparisonOperator":"GreaterThanThreshold","DatapointsToAlarm":1,"Dimensions":[{"Name":"FunctionName","Value":"'"${OrdersFn}"'"}],"EvaluationPeriods":1,"MetricName":"Duration","Namespace":"AWS/Lambda","Period":60,"Statistic":"Maximum","Tags":[{"Key":"team","Value":"trade"}],"Threshold":27000,"TreatMissingData":"notBreaching"}'
_tag 'orders/'"${OrdersFn}"'-duration' '[{"Key":"team","Value":"trade"}]'

aws cloudwatch put-metric-alarm --cli-input-json '{"ActionsEnabled":true,"AlarmActions":["'"${AlertTopic}"'"],"AlarmDescription":"critical: the share of invocations that end in an error. Runbook: https://wiki.example/lambda-errors","AlarmName":"orders/'"${OrdersFn}"'-errors","ComparisonOperator":"GreaterThanThreshold","DatapointsToAlarm":1,"EvaluationPeriods":3,"Metrics":[{"Id":"n","MetricStat":{"Metric":{"Dimensions":[{"Name":"FunctionName","Value":"'"${OrdersFn}"'"}],"MetricName":"Invocations","Namespace":"AWS/Lambda"},"Period":60,"Stat":"Sum"},"ReturnData":false},{"Id":"part","MetricStat":{"Metric":{"Dimensions":[{"Name":"FunctionName","Value":"'"${OrdersFn}"'"}],"MetricName":"Errors","Namespace":"AWS/Lambda"},"Period":60,"Stat":"Sum"},"ReturnData":false},{"Expression":"IF(FILL(n,0) >= 1, 100*FILL(part,0)/n, 0)","Id":"rate","ReturnData":true}],"Tags":[{"Key":"team","Value":"trade"}],"Threshold":1,"TreatMissingData":"notBreaching"}'
_tag 'orders/'"${OrdersFn}"'-errors' '[{"Key":"team","Value":"trade"}]'

aws cloudwatch put-metric-alarm --cli-input-json '{"ActionsEnabled":true,"AlarmDescription":"warning: claimed concurrency comes near the account'\''s limit. Runbook: https://wiki.example/account-concurrency","AlarmName":"orders/account-concurrency","ComparisonOperator":"GreaterThanThreshold","DatapointsToAlarm":1,"EvaluationPeriods":1,"MetricName":"ClaimedAccountConcurrency","Namespace":"AWS/Lambda","Period":60,"Statistic":"Maximum","Tags":[{"Key":"team","Value":"trade"}],"Threshold":800,"TreatMissingData":"notBreaching"}'
_tag 'orders/account-concurrency' '[{"Key":"team","Value":"trade"}]'

aws cloudwatch put-metric-alarm --cli-input-json '{"ActionsEnabled":true,"AlarmDescription":"warning: the time from the bus to a successful call of the target. Runbook: https://wiki.example/event-rule-latency","AlarmName":"orders/orders-order-created-latency","ComparisonOperator":"GreaterThanThreshold","DatapointsToAlarm":1,"Dimensions":[{"Name":"EventBusName","Value":"orders"},{"Name":"RuleName","Value":"order-created"}],"EvaluationPeriods":1,"ExtendedStatistic":"p99","MetricName":"IngestionToInvocationSuccessLatency","Namespace":"AWS/Events","Period":60,"Tags":[{"Key":"team","Value":"trade"}],"Threshold":30000,"TreatMissingData":"notBreaching"}'
_tag 'orders/orders-order-created-latency' '[{"Key":"team","Value":"trade"}]'

aws cloudwatch put-composite-alarm --cli-input-json '{"ActionsEnabled":true,"AlarmActions":["'"${AlertTopic}"'"],"AlarmDescription":"critical: '"${OrdersFn}"'-errors and orders-order-created-latency. Runbook: https://wiki.example/composite-broken","AlarmName":"orders/broken","AlarmRule":"ALARM(\"orders/'"${OrdersFn}"'-errors\") AND ALARM(\"orders/orders-order-created-latency\")","Tags":[{"Key":"team","Value":"trade"}]}'
_tag 'orders/broken' '[{"Key":"team","Value":"trade"}]'
