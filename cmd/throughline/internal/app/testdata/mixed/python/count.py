import json
import os

import boto3

sqs = boto3.client("sqs")


def handle(event, context):
    text = event["detail"]["text"]
    sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps({"text": text, "words": len(text.split())}))
