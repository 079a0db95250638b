import json
import os

import boto3

events = boto3.client("events")
seen = set()


def ship(event, context):
    order = event["detail"]["order_id"]
    print("shipped", order)
    detail = {"order_id": order, "event_id": "shipped-" + order, "correlation_id": event["detail"]["correlation_id"]}
    events.put_events(Entries=[{"Source": "ship", "DetailType": "OrderShipped", "Detail": json.dumps(detail), "EventBusName": os.environ["EVENT_BUS_NAME"]}])


def count(batch, context):
    failed = []
    for event in batch:
        event_id, how = event["SystemMetadata"]["aws:EventId"], event["SystemMetadata"]["aws:DeliveryType"]
        order = event["Data"]["detail"]["order_id"]
        if event_id in seen:
            print("counted", order, how)
        else:
            seen.add(event_id)
            print("not yet", order, how)
            failed.append({"itemIdentifier": event_id})
    return {"batchItemFailures": failed}


def pack(event, context):
    for record in event["Records"]:
        print("packed", json.loads(record["body"])["order"], record["messageAttributes"]["group"]["stringValue"])


def fail(event, context):
    raise RuntimeError("out of stock")


def tell(event, context):
    print("told of", event["detail"]["order_id"])
