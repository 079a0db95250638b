"""What the functions of the day share: clients, the event envelope, counters."""

import datetime
import json
import os
import uuid

import boto3

_clients = {}


def client(service):
    """A client is made at its first use and kept, as in most functions."""
    if service not in _clients:
        _clients[service] = boto3.client(service)
    return _clients[service]


def plan():
    """The strategies of the day and their trades."""
    with open(os.environ["DAY_PLAN"]) as f:
        return json.load(f)


def publish(detail_type, source, correlation_id, causation_id, **fields):
    """Puts one event on the bus and returns what the ledger keeps of it."""
    detail = {
        "event_id": "%s-%s" % (detail_type.lower(), uuid.uuid4()), "event_type": detail_type, "correlation_id": correlation_id,
        "causation_id": causation_id, "timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat(), "source_module": source,
        "schema_version": "1.0.0", **fields,
    }
    answer = client("events").put_events(Entries=[{
        "Source": "alchemiser." + source, "DetailType": detail_type, "Detail": json.dumps(detail), "EventBusName": os.environ["EVENT_BUS_NAME"],
    }])
    if answer["FailedEntryCount"]:
        raise RuntimeError("the bus refused %s: %s" % (detail_type, answer["Entries"]))
    return ["bus", answer["Entries"][0]["EventId"]]


def enqueue(trade):
    """Sends one trade to the queue and returns what the ledger keeps of it."""
    answer = client("sqs").send_message(
        QueueUrl=os.environ["TRADES_QUEUE_URL"], MessageBody=json.dumps(trade), MessageGroupId=trade["symbol"], MessageDeduplicationId=trade["trade_id"],
        MessageAttributes={
            "RunId": {"DataType": "String", "StringValue": trade["run_id"]}, "TradeId": {"DataType": "String", "StringValue": trade["trade_id"]},
            "Phase": {"DataType": "String", "StringValue": trade["phase"]},
        },
    )
    return ["sqs", answer["MessageId"]]


def count(key, name, by=1):
    """Adds to a counter and returns what it is then."""
    answer = client("dynamodb").update_item(
        TableName=os.environ["TABLE"], Key={"pk": {"S": key}}, UpdateExpression="ADD #n :by", ExpressionAttributeNames={"#n": name},
        ExpressionAttributeValues={":by": {"N": str(by)}}, ReturnValues="UPDATED_NEW",
    )
    return int(answer["Attributes"][name]["N"])


def put(key, value):
    client("dynamodb").put_item(TableName=os.environ["TABLE"], Item={"pk": {"S": key}, "value": {"S": json.dumps(value)}})


def get(key):
    item = client("dynamodb").get_item(TableName=os.environ["TABLE"], Key={"pk": {"S": key}}).get("Item")
    return json.loads(item["value"]["S"]) if item else None


def strategy_done(correlation_id, causation_id):
    """Counts a strategy as done. Whoever counts the last one says so on the bus."""
    if count("session#" + correlation_id, "done") < len(plan()["strategies"]):
        return []
    return [publish("AllStrategiesCompleted", "coordinator", correlation_id, causation_id, total_strategies=len(plan()["strategies"]))]
