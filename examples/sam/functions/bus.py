"""Publishes events as the functions of this application do, one a call."""

import json
import os
import uuid

import boto3

client = boto3.client("events")


def publish(source, detail_type, correlation_id, **fields):
    detail = {"event_id": "%s-%s" % (detail_type, uuid.uuid4()), "correlation_id": correlation_id, **fields}
    answer = client.put_events(Entries=[{
        "EventBusName": os.environ["EVENT_BUS_NAME"], "Source": source, "DetailType": detail_type, "Detail": json.dumps(detail),
    }])
    if answer["FailedEntryCount"]:
        raise RuntimeError("%s was not published: %s" % (detail_type, answer["Entries"][0]["ErrorCode"]))
