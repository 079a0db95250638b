"""Plans the trades that follow from a signal."""

from bus import publish


def handle(event, context):
    signal = event["detail"]
    publish("alchemiser.portfolio", "RebalancePlanned", signal["correlation_id"], causation_id=signal["event_id"], symbols=sorted(signal["signals"]))
