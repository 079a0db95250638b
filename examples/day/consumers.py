"""The functions that only consume: hedging is off, mails are not sent here."""


def notifications(event, context):
    return {"statusCode": 200, "sent": []}


def hedge_evaluator(event, context):
    return {"statusCode": 200, "skipped": "hedging is off", "sent": []}


def dead_letters(event, context):
    """Looks at messages of a dead-letter queue and leaves them there."""
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"]], "sent": []}


def clock_run(event, context):
    return {"statusCode": 200, "sent": []}
