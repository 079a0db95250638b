import datetime
import os

import boto3
from botocore.exceptions import ClientError

client = boto3.client("eventbridgev2", endpoint_url=os.environ["ENDPOINT"])
putting = boto3.client("eventbridgev2", endpoint_url=os.environ["PUTTING"])


def refused(call, **arguments):
    try:
        call(**arguments)
        return "taken"
    except ClientError as error:
        return error.response["Error"]["Code"] + " " + str(error.response["ResponseMetadata"]["HTTPStatusCode"])


bus = client.create_event_bus(Name="orders", StorageConfiguration={"RetentionPeriodInDays": 7})
arn = bus["EventBusArn"]
print(bus["State"], bus["StorageConfiguration"]["RetentionPeriodInDays"], type(bus["CreationTime"]).__name__)
print(client.describe_event_bus(EventBusArn=arn)["Name"], [b["Name"] for b in client.list_event_buses()["EventBuses"]])
print(refused(client.create_event_bus, Name="orders"), refused(client.describe_event_bus, EventBusArn=arn[:-1] + "x"))
role = "arn:aws:iam::123456789012:role/r"
made = client.create_subscriber(
    Name="all", EventBusArn=arn, InvokeConfiguration={"RoleArn": role, "TargetArn": os.environ["TARGET"], "LambdaParameters": {"InvocationType": "REQUEST_RESPONSE"}},
    FilterConfiguration={"Filters": [{"Pattern": '{"source":["shop"]}', "Scope": "DATA"}]}, Transformer={"Type": "WITH_METADATA"}, BatchConfiguration={"MaxBatchSize": 1},
    OnFailureConfiguration={"Arn": os.environ["DEAD"]},
)
sub = made["SubscriberArn"]
print(made["Type"], made["StartingPosition"], made["State"])
described = client.describe_subscriber(SubscriberArn=sub)
print(described["RetryPolicy"], described["BatchConfiguration"], described["Transformer"], described["FilterConfiguration"]["Filters"])
print([s["Name"] for s in client.list_subscribers(EventBusArn=arn)["Subscribers"]])
print(refused(client.create_subscriber, Name="bad", EventBusArn=arn, InvokeConfiguration={"RoleArn": role, "TargetArn": os.environ["TARGET"]}, FilterConfiguration={"Filters": [{"Pattern": '{"source":[{"wildcard":"s*"}]}', "Scope": "DATA"}]}))
print(client.update_subscriber(SubscriberArn=sub, State="STOPPED", RetryPolicy={"MaxRetryAttempts": 0})["State"])
now = datetime.datetime(2026, 11, 27, 10, 0, 0, tzinfo=datetime.timezone.utc)
answer = putting.put_events(EventBusArn=arn, Entries=[
    {"Source": "shop", "DetailType": "OrderPlaced", "Detail": '{"event_id":"o-1"}', "Time": now, "SystemMetadata": {"EventGroupId": "c-7"}},
    {"Source": "aws.shop", "DetailType": "OrderPlaced"},
])
print([e.get("SuccessCode") or e["ErrorCode"] for e in answer["Entries"]], answer["FailedEntryCount"])
answer = putting.put_raw_events(EventBusArn=arn, Entries=[{"Data": b'{"source":"shop"}', "Metadata": {"tenant": "t-1"}, "SystemMetadata": {"ContentType": "application/json"}}])
print([e["SuccessCode"] for e in answer["Entries"]], answer.get("FailedEntryCount"))
print(refused(putting.put_events, EventBusArn=arn[:-1] + "x", Entries=[{"Source": "s", "DetailType": "T"}]))
print(client.update_subscriber(SubscriberArn=sub, State="RUNNING")["State"])
again = client.create_subscriber(
    Name="again", EventBusArn=arn, InvokeConfiguration={"RoleArn": role, "TargetArn": os.environ["TARGET"]}, StartingPosition="POINT_IN_TIME", PointInTimeConfiguration={"PointType": "HORIZON"},
    Transformer={"Type": "JSONATA", "JsonataConfiguration": {"Expression": "{% $events.SystemMetadata.`aws:DeliveryType` %}"}},
)
print(again["StartingPosition"], again["State"])
print(refused(client.delete_event_bus, EventBusArn=arn))
