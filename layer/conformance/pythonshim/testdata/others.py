# Other operations and services are not asked about.
import boto3
for call in (lambda: boto3.client("events").list_rules(), lambda: boto3.client("sqs").send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/1/q", MessageBody="b"), lambda: boto3.client("dynamodb").list_tables()):
    try: print(sorted(call()))
    except Exception as e: print(type(e).__name__, e)
