# Calls that leave the bus, by boto3. CALLS names them, CONFIG has the arguments of the clients' Config.
import json, os, traceback
import boto3, botocore.config
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo"
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:rebalance"
TEXT = "< \u00fcn\u00ef \U0001f600 "
config = botocore.config.Config(**dict({"retries": {"max_attempts": 3}}, **json.loads(os.environ.get("CONFIG", "{}"))))
def client(name):
    return boto3.client(name, config=config)
def attributes(n):
    return {"a%d" % i: {"DataType": "Binary", "BinaryValue": b"\x00\xff"} if i % 2 else {"DataType": "String", "StringValue": TEXT} for i in range(n)}
def batch(n, body, **more):
    return [dict({"Id": "e%d" % i, body: TEXT + "x" * i}, **more) for i in range(n)]
def fifo(i=0):
    return {"MessageGroupId": "g", "MessageDeduplicationId": "d%d" % i}
CALLS = {
    "send": lambda: client("sqs").send_message(QueueUrl=QUEUE, MessageBody=TEXT, MessageAttributes=attributes(10), **fifo()),
    "eleven": lambda: client("sqs").send_message(QueueUrl=QUEUE, MessageBody=TEXT, MessageAttributes=attributes(11)),
    "resource": lambda: boto3.resource("sqs", config=config).Queue(QUEUE).send_message(MessageBody="body"),
    "batch": lambda: client("sqs").send_message_batch(QueueUrl=QUEUE, Entries=batch(10, "MessageBody", MessageAttributes=attributes(2))),
    "large": lambda: client("sqs").send_message(QueueUrl=QUEUE, MessageBody="x" * ((1 << 20) - 1)),
    "publish": lambda: client("sns").publish(TopicArn=TOPIC, Message=TEXT, MessageAttributes=attributes(10)),
    "topic": lambda: boto3.resource("sns", config=config).Topic(TOPIC).publish(Message="body"),
    "sms": lambda: client("sns").publish(PhoneNumber="+4912345", Message="body"),
    "publishes": lambda: client("sns").publish_batch(TopicArn=TOPIC, PublishBatchRequestEntries=batch(10, "Message")),
    "sync": lambda: client("lambda").invoke(FunctionName="worker", Payload=json.dumps({"a": TEXT}).encode(), ClientContext="e30="),
    "async": lambda: client("lambda").invoke(FunctionName="arn:aws:lambda:us-east-1:123456789012:function:worker:live", InvocationType="Event", Payload="{}"),
    "file": lambda: client("lambda").invoke(FunctionName="worker", Payload=open(__file__, "rb")),
    "start": lambda: client("stepfunctions").start_execution(stateMachineArn=MACHINE, name="n", input='{"a":1}'),
    "startsync": lambda: client("stepfunctions").start_sync_execution(stateMachineArn=MACHINE, input="{}"),
    "success": lambda: client("stepfunctions").send_task_success(taskToken="token", output="{}"),
    "failure": lambda: client("stepfunctions").send_task_failure(taskToken="token", error="E", cause="why"),
    "heartbeat": lambda: client("stepfunctions").send_task_heartbeat(taskToken="token"),
    "schedule": lambda: client("scheduler").create_schedule(
        Name="open", GroupName="trading", ScheduleExpression="at(2026-11-30T09:35:00)", ScheduleExpressionTimezone="America/New_York", FlexibleTimeWindow={"Mode": "OFF"},
        ClientToken="t", Target={"Arn": "arn:aws:lambda:us-east-1:123456789012:function:f", "RoleArn": "arn:aws:iam::123456789012:role/role-of-it", "Input": '{"c":1}'}),
    "record": lambda: client("kinesis").put_record(StreamName="ticks", Data=b"\x00\xff", PartitionKey="p"),
    "records": lambda: client("kinesis").put_records(StreamName="ticks", Records=[{"Data": b"x" * i, "PartitionKey": "p"} for i in range(1, 11)]),
    "many": lambda: client("kinesis").put_records(StreamName="ticks", Records=[{"Data": b"x", "PartitionKey": "p"}] * 300),
    "invalid": lambda: client("sqs").send_message(QueueUrl=QUEUE, MessageBody=7, MessageAttributes=[object()]),
    "other": lambda: client("sqs").get_queue_url(QueueName="orders"),
}
for name in os.environ["CALLS"].split(","):
    try:
        r = CALLS[name]()
        r.pop("ResponseMetadata")
        if "Payload" in r:
            r["Payload"] = r["Payload"].read()
        print(name, r)
    except Exception as e:
        while e is not None:
            print(name, type(e).__name__, e, [(os.path.basename(f.filename), f.name) for f in traceback.extract_tb(e.__traceback__)]); e = e.__cause__
