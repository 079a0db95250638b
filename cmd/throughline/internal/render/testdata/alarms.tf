# CloudWatch alarms of orders, rendered by throughline.

variable "orders_fn" {
  type        = string
  description = "the function"
}

variable "alert_topic" {
  type    = string
  default = "arn:aws:sns:eu-west-1:123456789012:alerts"
}

resource "aws_cloudwatch_metric_alarm" "ordersfn_duration" {
  alarm_name          = "orders/${var.orders_fn}-duration"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 27000
  evaluation_periods  = 1
  datapoints_to_alarm = 1
  treat_missing_data  = "notBreaching"
  alarm_description   = "warning: the longest invocation comes near the function's time-out. Runbook: https://wiki.example/lambda-duration"
  tags = {
    team = "trade"
  }
  namespace   = "AWS/Lambda"
  metric_name = "Duration"
  statistic   = "Maximum"
  period      = 60
  dimensions = {
    FunctionName = var.orders_fn
  }
}

resource "aws_cloudwatch_metric_alarm" "ordersfn_errors" {
  alarm_name          = "orders/${var.orders_fn}-errors"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 1
  evaluation_periods  = 3
  datapoints_to_alarm = 1
  treat_missing_data  = "notBreaching"
  alarm_description   = "critical: the share of invocations that end in an error. Runbook: https://wiki.example/lambda-errors"
  alarm_actions       = [var.alert_topic]
  tags = {
    team = "trade"
  }
  metric_query {
    id          = "n"
    return_data = false
    metric {
      namespace   = "AWS/Lambda"
      metric_name = "Invocations"
      stat        = "Sum"
      period      = 60
      dimensions = {
        FunctionName = var.orders_fn
      }
    }
  }
  metric_query {
    id          = "part"
    return_data = false
    metric {
      namespace   = "AWS/Lambda"
      metric_name = "Errors"
      stat        = "Sum"
      period      = 60
      dimensions = {
        FunctionName = var.orders_fn
      }
    }
  }
  metric_query {
    id          = "rate"
    return_data = true
    expression  = "IF(FILL(n,0) >= 1, 100*FILL(part,0)/n, 0)"
  }
}

resource "aws_cloudwatch_metric_alarm" "account_concurrency" {
  alarm_name          = "orders/account-concurrency"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 800
  evaluation_periods  = 1
  datapoints_to_alarm = 1
  treat_missing_data  = "notBreaching"
  alarm_description   = "warning: claimed concurrency comes near the account's limit. Runbook: https://wiki.example/account-concurrency"
  tags = {
    team = "trade"
  }
  namespace   = "AWS/Lambda"
  metric_name = "ClaimedAccountConcurrency"
  statistic   = "Maximum"
  period      = 60
}

resource "aws_cloudwatch_metric_alarm" "orders_order_created_latency" {
  alarm_name          = "orders/orders-order-created-latency"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 30000
  evaluation_periods  = 1
  datapoints_to_alarm = 1
  treat_missing_data  = "notBreaching"
  alarm_description   = "warning: the time from the bus to a successful call of the target. Runbook: https://wiki.example/event-rule-latency"
  tags = {
    team = "trade"
  }
  namespace          = "AWS/Events"
  metric_name        = "IngestionToInvocationSuccessLatency"
  extended_statistic = "p99"
  period             = 60
  dimensions = {
    EventBusName = "orders"
    RuleName     = "order-created"
  }
}

resource "aws_cloudwatch_composite_alarm" "broken" {
  alarm_name        = "orders/broken"
  alarm_rule        = "ALARM(\"orders/${var.orders_fn}-errors\") AND ALARM(\"orders/orders-order-created-latency\")"
  alarm_description = "critical: ${var.orders_fn}-errors and orders-order-created-latency. Runbook: https://wiki.example/composite-broken"
  alarm_actions     = [var.alert_topic]
  tags = {
    team = "trade"
  }
  depends_on = [aws_cloudwatch_metric_alarm.ordersfn_errors, aws_cloudwatch_metric_alarm.orders_order_created_latency]
}
