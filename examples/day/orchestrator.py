"""The day's schedule starts it: it invokes a worker for each strategy."""

import json

import desk


def handle(event, context):
    sent = []
    for strategy in desk.plan()["strategies"]:
        answer = desk.client("lambda").invoke(FunctionName="strategy-worker", InvocationType="Event", Payload=json.dumps({
            "correlation_id": event["correlation_id"], "dsl_file": strategy["id"] + ".clj", "allocation": "0.0625", "strategy_id": strategy["id"],
        }))
        sent.append(["lambda", answer["ResponseMetadata"]["RequestId"]])
    return {"statusCode": 200, "sent": sent}
