"""A user's function: it knows nothing of Throughline."""

import json
import os
import sys

import boto3
import requests

import layered  # lies in another layer alone

events = boto3.client("events")


def handle(event, context):
    if event.get("want") == "environment":
        names = [n for n in os.environ if not n.startswith("TEST_")]
        return {"path": sys.path, "environment": {n: os.environ[n] for n in names}, "layered": layered.NAME}
    if event.get("detail-type") == "TradeExecuted":
        response = requests.get(os.environ["ALPACA_URL"] + "/v2/positions/AAPL?secret=1", headers={"APCA-API-KEY-ID": "PKPYTHON"}, timeout=10)
        return {"status": response.status_code}
    answer = events.put_events(Entries=[{
        "Source": "alchemiser.strategy", "DetailType": "SignalGenerated", "EventBusName": "trading",
        "Detail": json.dumps({"event_id": "signal-1", "correlation_id": "workflow-1", "note": "5 < 6 & ünï"}),
    }])
    return {"failed": answer["FailedEntryCount"]}
