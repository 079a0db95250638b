import os
os.environ.pop("HTTPS_PROXY"); os.environ.pop("https_proxy")
import boto3, json
from moto import mock_aws
with mock_aws():
    events, logs = boto3.client("events"), boto3.client("sqs")
    queue = logs.create_queue(QueueName="q")["QueueUrl"]
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["s"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": logs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]}])
    r = events.put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": '{"a": 1}', "Resources": ["x"]}])
    print(r["FailedEntryCount"], len(r["Entries"]))
    e = json.loads(logs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    print(e["detail"], e["source"], e["detail-type"], e["resources"])
