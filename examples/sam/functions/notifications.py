"""Would mail what happened."""


def handle(event, context):
    print("%s: %s" % (event["detail-type"], event["detail"].get("symbol")))
