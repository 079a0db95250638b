import json
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
s3 = boto3.client("s3")


def save(event, context):
    table.put_item(Item={"id": "o-1", "amount": 5})
    table.update_item(Key={"id": "o-1"}, UpdateExpression="SET amount = :t", ExpressionAttributeValues={":t": 6})
    found = table.get_item(Key={"id": "o-1"})["Item"]
    table.delete_item(Key={"id": "o-1"})
    s3.put_object(Bucket=os.environ["BUCKET"], Key="in/a b.csv", Body=b"1,2,3")
    s3.put_object(Bucket=os.environ["BUCKET"], Key="out/c.csv", Body=b"x")
    body = s3.get_object(Bucket=os.environ["BUCKET"], Key="in/a b.csv")["Body"].read()
    s3.delete_objects(Bucket=os.environ["BUCKET"], Delete={"Objects": [{"Key": "in/a b.csv"}]})
    return {"total": int(found["amount"]), "body": body.decode()}


def changed(event, context):
    for record in event["Records"]:
        print("changed %s %s of %s" % (record["eventName"], record["dynamodb"]["Keys"]["id"]["S"], record["eventSourceARN"].split("/")[1]))


tried = {}


def picky(event, context):
    for record in event["Records"]:
        number = record["dynamodb"]["SequenceNumber"]
        tried[number] = tried.get(number, 0) + 1
        print("picky %s %d" % (record["eventName"], tried[number]))
        if record["eventName"] == "MODIFY" and tried[number] < 3:
            return {"batchItemFailures": [{"itemIdentifier": number}]}


def failing(event, context):
    raise ValueError("no")


def mourn(event, context):
    for record in event["Records"]:
        of = json.loads(record["body"])
        print("failure of stream %d %s %d" % (of["DDBStreamBatchInfo"]["batchSize"], of["requestContext"]["condition"], of["requestContext"]["approximateInvokeCount"]))


def uploaded(event, context):
    for record in event["Records"]:
        print("uploaded %s %s %s" % (record["eventName"], record["s3"]["object"]["key"], record["s3"]["object"].get("size")))


def told(event, context):
    print("told of %s, %d bytes" % (event["detail"]["object"]["key"], event["detail"]["object"]["size"]))
