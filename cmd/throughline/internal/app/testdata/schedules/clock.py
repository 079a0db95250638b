import datetime
import json
import os

import boto3


def sweep(event, context):
    print("swept %s" % event["sweep"])


def plain(event, context):
    print("%s from %s" % (event["detail-type"], event["source"]))


def plan(event, context):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    boto3.client("scheduler").create_schedule(
        Name="reminder", ScheduleExpression="at(%s)" % at.strftime("%Y-%m-%dT%H:%M:%S"), FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": os.environ["REMIND_ARN"], "RoleArn": "arn:aws:iam::123456789012:role/r", "Input": json.dumps({"of": event["of"]})})


def remind(event, context):
    print("reminded of %s" % event["of"])


def tick(event, context):
    print("ticked %s" % json.dumps(event["detail"]))
