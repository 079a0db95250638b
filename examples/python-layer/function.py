"""A Python function that Throughline sees by its layer alone: nothing here
knows of it. It handles SignalGenerated, asks the exchange, and publishes what
it decided."""

import json
import os

import boto3
import urllib3

ALPACA = os.environ.get("ALPACA_URL", "https://paper-api.alpaca.markets")
events = boto3.client("events")
http = urllib3.PoolManager()


def handle(event, context):
    signal = event["detail"]
    clock = http.request("GET", ALPACA + "/v2/clock", headers={"APCA-API-KEY-ID": os.environ.get("ALPACA_KEY", "")}, timeout=10)
    answer = events.put_events(Entries=[{
        "EventBusName": os.environ.get("BUS", "trading"),
        "Source": "trading.portfolio",
        "DetailType": "RebalancePlanned",
        "Detail": json.dumps({
            "event_id": "plan-of-" + signal["event_id"],
            "correlation_id": signal["correlation_id"],
            "market_status": clock.status,
        }),
    }])
    if answer["FailedEntryCount"]:
        raise RuntimeError("not published: %s" % answer["Entries"][0]["ErrorCode"])
    return {"planned": True}
