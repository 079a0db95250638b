"""Sends in every way that the day does not: batches that fail in part, a FIFO
queue that drops a duplicate, topics, invocations with destinations."""

import json
import os

import boto3

sqs, sns, functions = boto3.client("sqs"), boto3.client("sns"), boto3.client("lambda")


def handle(event, context):
    correlation_id, sent = event["correlation_id"], []

    def body(n):
        return json.dumps({"correlation_id": correlation_id, "n": n}) + ("\0" if n > 7 else "")

    answer = sqs.send_message_batch(QueueUrl=os.environ["BATCH_URL"], Entries=[{"Id": str(n), "MessageBody": body(n)} for n in range(10)])
    assert len(answer["Failed"]) == 2, "SQS takes no zero bytes"
    sent += [["sqs", m["MessageId"]] for m in answer["Successful"]]
    sqs.send_message(QueueUrl=os.environ["FIFO_URL"], MessageBody=body(0), MessageGroupId="g", MessageDeduplicationId="both-senders-say-this")
    own = sqs.send_message(QueueUrl=os.environ["FIFO_URL"], MessageBody=body(1), MessageGroupId="g", MessageDeduplicationId=correlation_id)
    sent.append(["sqs", own["MessageId"]])
    sent.append(["sns", sns.publish(TopicArn=os.environ["TOPIC_ARN"], Message=body(2))["MessageId"]])
    answer = sns.publish_batch(TopicArn=os.environ["TOPIC_ARN"], PublishBatchRequestEntries=[{"Id": str(n), "Message": body(n)} for n in (3, 4)])
    sent += [["sns", m["MessageId"]] for m in answer["Successful"]]
    for payload in ({"correlation_id": correlation_id}, {"correlation_id": correlation_id, "raise": True}):
        answer = functions.invoke(FunctionName="called", InvocationType="Event", Payload=json.dumps(payload))
        sent.append(["lambda", answer["ResponseMetadata"]["RequestId"]])
    return {"sent": sent}


def called(event, context):
    if event.get("raise"):
        raise ValueError("asked to")
    return {"sent": []}


def consume(event, context):
    """Fails the records whose number is 3 when they come for the first time."""
    failures = []
    for record in event["Records"]:
        body = json.loads(record["body"]) if "body" in record else {}
        if body.get("n") == 3 and record["attributes"]["ApproximateReceiveCount"] == "1":
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures, "sent": []}
