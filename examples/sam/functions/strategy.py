"""Runs on a schedule and starts the day's workflow."""

import uuid

from bus import publish


def handle(event, context):
    publish("trading.strategy", "SignalGenerated", "workflow-%s" % uuid.uuid4(), signals={"AAPL": "0.6", "MSFT": "0.4"})
