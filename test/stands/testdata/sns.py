"""Calls SNS and SQS by boto3, as sqs.py does."""

import json
import os
import re

import boto3
from botocore.exceptions import ClientError

keys = dict(region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
sns = boto3.client("sns", endpoint_url=os.environ["ENDPOINT"], **keys)
sqs = boto3.client("sqs", endpoint_url=os.environ.get("SQS") or os.environ["ENDPOINT"], **keys)
ids = {}


def plain(value):
    if isinstance(value, dict):
        hidden = ("ResponseMetadata", "Timestamp", "Signature", "SignatureVersion", "SigningCertURL", "UnsubscribeURL", "EffectiveDeliveryPolicy", "Policy", "DisplayName", "Owner", "ConfirmationWasAuthenticated", "SubscriptionsDeleted")
        return {k: plain(v) for k, v in value.items() if k not in hidden and (k, v) != ("Failed", [])}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        value = re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", lambda m: ids.setdefault(m[0], "id-%d" % (len(ids) + 1)), value)
        return re.sub(r":\d{12}:", ":ACCOUNT:", value)
    return value


def call(what, operation, **parameters):
    try:
        answer = getattr(sns, operation)(**parameters)
        print(json.dumps([what, plain(answer)], sort_keys=True))
        return answer
    except ClientError as error:
        print(json.dumps([what, "error " + error.response["Error"]["Code"]]))
        return {}


def queue(name):
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def show(what, url):
    while True:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["AWSTraceHeader"]).get("Messages", [])
        for m in messages:
            try:
                body = json.loads(m["Body"])
            except ValueError:
                body = m["Body"]
            print(json.dumps([what, plain(body), plain(m.get("MessageAttributes", {})), m.get("Attributes") or {}], sort_keys=True))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
        if not messages:
            return


topic = call("create", "create_topic", Name="trades")["TopicArn"]
call("create again", "create_topic", Name="trades")
call("no such topic", "publish", TopicArn=topic + "-none", Message="x")
wrapped, wrapped_arn = queue("wrapped")
raw, raw_arn = queue("raw")
filtered, filtered_arn = queue("filtered")
call("subscribe", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=wrapped_arn, ReturnSubscriptionArn=True)
call("subscribe raw", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=raw_arn, Attributes={"RawMessageDelivery": "true"}, ReturnSubscriptionArn=True)
subscription = call("subscribe filtered", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=filtered_arn, ReturnSubscriptionArn=True,
                    Attributes={"FilterPolicy": json.dumps({"kind": ["sell", {"prefix": "short"}], "size": [{"numeric": [">", 10]}]})}).get("SubscriptionArn")
call("attributes", "get_subscription_attributes", SubscriptionArn=subscription)
call("list", "list_subscriptions_by_topic", TopicArn=topic)


def text(value, kind="String"):
    return {"DataType": kind, "StringValue": value}


call("publish", "publish", TopicArn=topic, Message='é "x" <&>', Subject="A subject", MessageAttributes={"kind": text("sell"), "size": text("11", "Number")})
call("publish another", "publish", TopicArn=topic, Message="small", MessageAttributes={"kind": text("sell"), "size": text("9", "Number")})
call("batch", "publish_batch", TopicArn=topic, PublishBatchRequestEntries=[
    {"Id": "a", "Message": "one", "MessageAttributes": {"kind": text("short-sell"), "size": text("100", "Number")}}, {"Id": "b", "Message": "two"}])
call("the same ID twice", "publish_batch", TopicArn=topic, PublishBatchRequestEntries=[{"Id": "a", "Message": "x"}] * 2)
call("structure", "publish", TopicArn=topic, Message=json.dumps({"default": "for all", "sqs": "for queues"}), MessageStructure="json")
if os.environ.get("STRICT"):  # moto takes it
    call("structure without a default", "publish", TopicArn=topic, Message=json.dumps({"sqs": "for queues"}), MessageStructure="json")
call("too long", "publish", TopicArn=topic, Message="x" * (256 * 1024 + 1))
show("wrapped", wrapped)
show("raw", raw)
show("filtered", filtered)
call("filter by body", "set_subscription_attributes", SubscriptionArn=subscription, AttributeName="FilterPolicyScope", AttributeValue="MessageBody")
call("filter exists", "set_subscription_attributes", SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=json.dumps({"side": [{"exists": True}]}))
call("publish a body", "publish", TopicArn=topic, Message=json.dumps({"side": "BUY"}))
call("publish another body", "publish", TopicArn=topic, Message=json.dumps({"other": "BUY"}))
show("filtered by body", filtered)
call("unsubscribe", "unsubscribe", SubscriptionArn=subscription)
call("topics", "list_topics")
if os.environ.get("STRICT"):
    show("left", raw)
    sns.meta.events.register("before-send.sns", lambda request, **_: request.headers.__setitem__("X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"))
    call("with a header", "publish", TopicArn=topic, Message="traced")
    call("more attributes than a queue takes", "publish", TopicArn=topic, Message="lost", MessageAttributes={str(i): text("x") for i in range(11)})
    show("traced", raw)
