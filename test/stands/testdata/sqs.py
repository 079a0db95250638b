"""Calls SQS by boto3 and prints what came of each call, a line of JSON each,
with IDs and times replaced by names. It reads the endpoint from the environment."""

import hashlib
import json
import os
import re
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["ENDPOINT"]
sqs = boto3.client("sqs", region_name="us-east-1", endpoint_url=ENDPOINT, aws_access_key_id="a", aws_secret_access_key="b", config=Config(retries={"max_attempts": 0}))
ids = {}


def name(value):
    """IDs are named in the order in which they are seen."""
    return ids.setdefault(value, "id-%d" % (len(ids) + 1))


def plain(value):
    if isinstance(value, dict):
        value = {k: v for k, v in value.items() if (k, v) != ("Failed", []) and k not in ("ResponseMetadata", "ReceiptHandle", "SenderId", "SequenceNumber", "TaskHandle", "StartedTimestamp")}
        return {k: name(v) if k == "MessageId" or re.fullmatch("[0-9a-f-]{36}", str(v)) else "a time" if "Timestamp" in k else plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return re.sub(r"http://[^/]+/\d+/", "URL/", re.sub(r":\d{12}:", ":ACCOUNT:", value))
    return value


def call(what, operation, **parameters):
    try:
        answer = getattr(sqs, operation)(**parameters)
        print(json.dumps([what, plain(answer)], sort_keys=True))
        return answer
    except ClientError as error:
        print(json.dumps([what, "error " + error.response["Error"]["Code"]]))
        return {}


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def receive(what, url, n=10, **more):
    answer = call(what, "receive_message", QueueUrl=url, MaxNumberOfMessages=n, AttributeNames=["All"], MessageAttributeNames=["All"], **more)
    return answer.get("Messages", [])


url = call("create", "create_queue", QueueName="plain", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
call("create again", "create_queue", QueueName="plain", Attributes={"VisibilityTimeout": "1"})
call("create with another attribute", "create_queue", QueueName="plain", Attributes={"VisibilityTimeout": "2"})
call("URL", "get_queue_url", QueueName="plain")
call("no such queue", "get_queue_url", QueueName="none")
call("send to no such queue", "send_message", QueueUrl=url + "-none", MessageBody="x")
body = 'é "ünï" <&> \u20ac\n'
attributes = {
    "RunId": {"DataType": "String", "StringValue": "run-1 ünï"}, "Sequence": {"DataType": "Number", "StringValue": "17"},
    "Blob": {"DataType": "Binary", "BinaryValue": b"\x00\x01\xff"}, "Own": {"DataType": "String.label", "StringValue": "x"},
}
sent = call("send", "send_message", QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
assert sent["MD5OfMessageBody"] == md5(body), sent
received = receive("receive", url)
assert received and received[0]["Body"] == body and received[0]["MessageId"] == sent["MessageId"], received
assert received[0]["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"], received
call("change visibility", "change_message_visibility", QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"], VisibilityTimeout=0)
received = receive("receive again", url)
call("delete", "delete_message", QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"])
receive("receive nothing", url)
start = time.time()
receive("wait", url, WaitTimeSeconds=1)
assert time.time() - start > 0.9

if os.environ.get("STRICT"):  # moto takes the first two, and seconds for the others
    call("empty body", "send_message", QueueUrl=url, MessageBody="")
    call("a control character", "send_message", QueueUrl=url, MessageBody="a\x00b")
    call("too long", "send_message", QueueUrl=url, MessageBody="x" * (1024 * 1024 + 1))
    call("as long as can be", "send_message", QueueUrl=url, MessageBody="x" * 1024 * 1024)
call("purge", "purge_queue", QueueUrl=url)
entries = [{"Id": "e%d" % i, "MessageBody": "body %d" % i, "MessageAttributes": {"A": {"DataType": "String", "StringValue": str(i)}}} for i in range(10)]
call("batch", "send_message_batch", QueueUrl=url, Entries=entries)
call("batch of none", "send_message_batch", QueueUrl=url, Entries=[])
call("batch of eleven", "send_message_batch", QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": "x"} for i in range(11)])
call("the same ID twice", "send_message_batch", QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "x"}] * 2)
call("batch too long", "send_message_batch", QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": "x" * 600000} for i in range(2)])
received = receive("receive the batch", url)
assert len(received) == 10, received
call("change visibility of a batch", "change_message_visibility_batch", QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": received[0]["ReceiptHandle"], "VisibilityTimeout": 30}])
call("delete a batch", "delete_message_batch", QueueUrl=url, Entries=[{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(received)])
call("count", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn", "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "VisibilityTimeout"])

dead = call("create a dead-letter queue", "create_queue", QueueName="dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
fifo = call("create FIFO", "create_queue", QueueName="trades.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "0"})["QueueUrl"]
call("set the redrive policy", "set_queue_attributes", QueueUrl=fifo, Attributes={"RedrivePolicy": policy})
call("no group", "send_message", QueueUrl=fifo, MessageBody="x")
call("FIFO", "send_message", QueueUrl=fifo, MessageBody="one", MessageGroupId="AAPL", MessageDeduplicationId="t-1")
call("FIFO, a duplicate", "send_message", QueueUrl=fifo, MessageBody="one", MessageGroupId="AAPL", MessageDeduplicationId="t-1")
receive("receive FIFO", fifo, 1)
receive("receive FIFO again", fifo, 1)
receive("receive FIFO a third time", fifo, 1)
buried = receive("receive from the dead-letter queue", dead, 1, VisibilityTimeout=0)
call("sources", "list_dead_letter_source_queues", QueueUrl=dead)
if os.environ.get("MOVE"):
    task = call("redrive", "start_message_move_task", SourceArn=arn)
    deadline = time.time() + 20
    again = []
    while not again and time.time() < deadline:
        again = sqs.receive_message(QueueUrl=fifo, WaitTimeSeconds=1, AttributeNames=["All"]).get("Messages", [])
    print(json.dumps(["redriven", {"new ID": again[0]["MessageId"] != buried[0]["MessageId"], "count": again[0]["Attributes"]["ApproximateReceiveCount"]}]))
call("delete the queue", "delete_queue", QueueUrl=url)
if os.environ.get("STRICT"):  # what moto does not do
    call("eleven attributes", "send_message", QueueUrl=fifo, MessageBody="x", MessageGroupId="g", MessageAttributes={str(i): {"DataType": "String", "StringValue": "x"} for i in range(11)})
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"
    sqs.meta.events.register("before-send.sqs", lambda request, **_: request.headers.__setitem__("X-Amzn-Trace-Id", trace))
    call("with a header", "send_message_batch", QueueUrl=fifo, Entries=[{"Id": "a", "MessageBody": "traced", "MessageGroupId": "g2"}])
    while True:
        for m in sqs.receive_message(QueueUrl=fifo, AttributeNames=["All"], MaxNumberOfMessages=10).get("Messages", []):
            if m["Body"] == "traced":
                print(json.dumps(["header", m["Attributes"].get("AWSTraceHeader")]))
                sys.exit()
