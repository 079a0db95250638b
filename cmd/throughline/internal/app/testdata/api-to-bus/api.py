import json

import boto3

events = boto3.client("events")


def accept(event, context):
    if event.get("version") == "1.0":
        return {"statusCode": 410, "body": event["pathParameters"]["rest"]}
    order = {"order_id": event["pathParameters"]["id"], **json.loads(event["body"])}
    events.put_events(Entries=[{"Source": "shop.api", "DetailType": "OrderPlaced", "Detail": json.dumps(order)}])
    return {"statusCode": 202, "headers": {"Location": event["rawPath"]}, "body": json.dumps(order)}


def hook(event, context):
    return {"method": event["requestContext"]["http"]["method"], "path": event["rawPath"]}


def ship(event, context):
    print("shipped %s to %s" % (event["detail"]["order_id"], event["detail"]["to"]))
