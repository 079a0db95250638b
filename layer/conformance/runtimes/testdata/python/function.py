"""A user's function on AWS's runtime client for Python: it does what its event says, and knows nothing of Throughline."""

import json
import os
import sys
import time
import urllib.request

import boto3
import botocore.config
import requests

events = boto3.client("events", config=botocore.config.Config(retries={"mode": os.environ.get("RETRIES", "legacy"), "max_attempts": 3}))


def publish(event, _):
    time.sleep(event.get("seconds", 0))
    answer = events.put_events(Entries=[{
        "Source": "s", "DetailType": "Planned", "Detail": json.dumps({"event_id": event["id"], "n": 12345678901234567890, "text": "< ünï"}, ensure_ascii=False),
    }])
    return {"failed": answer["FailedEntryCount"], "entries": len(answer["Entries"])}


def call(event, _):
    with urllib.request.urlopen(os.environ["API"] + "/v2/clock", timeout=20) as response:
        plain = response.status
    return {"plain": plain, "requests": requests.get(os.environ["API"] + "/v2/clock", timeout=20).status_code}


class Odd(Exception):
    pass


def fail(event, _):
    raise Odd("no: " + event["id"] + " ünï" + event.get("text", ""))


def leave(event, _):
    sys.exit(3)


def sleep(event, _):
    time.sleep(60)


def rest(event, _):
    time.sleep(event["seconds"])
    return {"rested": event["id"]}


def large(event, _):
    return {"text": "z" * (5 << 20), "read": len(event.get("text", ""))}


def unserializable(event, _):
    return object()


def look(event, context):
    return {
        "path": sys.path, "argv": sys.argv, "modules": sorted(name for name in sys.modules if "throughline" in name or name == "sitecustomize"),
        "environment": {name: value for name, value in os.environ.items() if not name.startswith(("_X_AMZN", "AWS_LAMBDA_LOG_STREAM"))},
        "arn": context.invoked_function_arn,
    }


def handle(event, context):
    print("handles", event.get("id"))
    return {"publish": publish, "call": call, "fail": fail, "exit": leave, "sleep": sleep, "rest": rest, "large": large, "object": unserializable, "look": look}[event["do"]](event, context)
