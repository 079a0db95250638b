import json
import os

import boto3

sqs = boto3.client("sqs")


def submit(event, context):
    for n in range(event["jobs"]):
        for group in ("a", "b"):
            sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps({"group": group, "n": n}), MessageGroupId=group)
    sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps({"group": "bad", "n": -1}), MessageGroupId="bad")


def work(event, context):
    failed = []
    for record in event["Records"]:
        job = json.loads(record["body"])
        if job["n"] < 0:
            failed.append({"itemIdentifier": record["messageId"]})
        else:
            print("worked %s%d" % (job["group"], job["n"]))
    return {"batchItemFailures": failed}
