"""Calls Invoke and Scheduler by boto3."""

import base64
import datetime
import json
import os
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

keys = dict(region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", config=Config(retries={"max_attempts": 0}))
functions = boto3.client("lambda", endpoint_url=os.environ["ENDPOINT"], **keys)
scheduler = boto3.client("scheduler", endpoint_url=os.environ["SCHEDULER"], **keys)
ARN = "arn:aws:lambda:us-east-1:123456789012:function:echo"


def call(what, **parameters):
    try:
        answer = functions.invoke(**parameters)
    except ClientError as error:
        print(json.dumps([what, "error", error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]))
        return
    payload = answer["Payload"].read().decode()
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    told = {k: answer.get(k) for k in ("StatusCode", "FunctionError", "ExecutedVersion")}
    if payload:
        payload = json.loads(payload)
        if "request_id" in payload:
            told["own ID"] = payload.pop("request_id") == headers["x-amzn-requestid"]
        payload.pop("stackTrace", None)
    print(json.dumps([what, told, payload], sort_keys=True))


call("sync", FunctionName="echo", Payload=json.dumps({"a": "ü"}))
call("by ARN", FunctionName=ARN, Payload=b"{}")
call("by partial ARN", FunctionName="123456789012:function:echo:$LATEST")
call("client context", FunctionName="echo", ClientContext=base64.b64encode(b'{"custom":{"x":"y"}}').decode())
call("raises", FunctionName="echo", Payload=b'{"raise":true}')
call("dry run", FunctionName="echo", InvocationType="DryRun")
call("async", FunctionName="echo", InvocationType="Event", Payload=b'{"n":1}')
call("async, raises", FunctionName="echo", InvocationType="Event", Payload=b'{"raise":true}')
call("no such function", FunctionName="none")
call("no such version", FunctionName="echo", Qualifier="17")
call("no JSON", FunctionName="echo", Payload=b"{")
call("too large", FunctionName="echo", InvocationType="Event", Payload=b'"' + b"x" * 1024 * 1024 + b'"')

when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
target = {"Arn": ARN, "RoleArn": "arn:aws:iam::123456789012:role/r", "Input": json.dumps({"scheduled": True, "by": "<aws.scheduler.schedule-arn>"})}
made = scheduler.create_schedule(Name="once", ScheduleExpression="at(%s)" % when.strftime("%Y-%m-%dT%H:%M:%S"), FlexibleTimeWindow={"Mode": "OFF"}, Target=target, ActionAfterCompletion="DELETE")
print(json.dumps(["schedule", made["ScheduleArn"]]))
got = scheduler.get_schedule(Name="once")
print(json.dumps(["get", {k: got[k] for k in ("Arn", "Name", "GroupName", "State")}, got["Target"] == target], sort_keys=True))


def fails(what, f, **parameters):
    try:
        f(**parameters)
        print(json.dumps([what, "taken"]))
    except ClientError as error:
        print(json.dumps([what, "error", error.response["Error"]["Code"]]))


same = dict(ScheduleExpression="at(2099-01-01T00:00:00)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target)
fails("the same name", scheduler.create_schedule, Name="once", **same)
fails("an odd expression", scheduler.create_schedule, Name="odd", **dict(same, ScheduleExpression="at(noon)"))
fails("none", scheduler.get_schedule, Name="none")
scheduler.create_schedule(Name="never", **same)
scheduler.create_schedule(Name="bus", **dict(same, ScheduleExpression="at(%s)" % when.strftime("%Y-%m-%dT%H:%M:%S"), Target={
    "Arn": "arn:aws:events:us-east-1:123456789012:event-bus/default", "RoleArn": target["RoleArn"], "Input": '{"x":1}', "EventBridgeParameters": {"DetailType": "Due", "Source": "test.scheduler"}}))
scheduler.delete_schedule(Name="never")
print(json.dumps(["list", [s["Name"] for s in scheduler.list_schedules()["Schedules"]]]))
