import os
os.environ.pop("HTTPS_PROXY"); os.environ.pop("https_proxy")
import boto3, json
from moto import mock_aws
with mock_aws():
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    queue = sqs.create_queue(QueueName="orders")["QueueUrl"]
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
    sqs.send_message(QueueUrl=queue, MessageBody="body")
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "a"}, {"Id": "2", "MessageBody": "b"}])
    sns.publish(TopicArn=topic, Message="body")
    for m in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]:
        body = m["Body"] if len(m["Body"]) < 9 else json.loads(m["Body"])["Message"]
        print(body, m.get("MessageAttributes"))
