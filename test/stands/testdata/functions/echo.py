"""A function that answers what it was invoked with."""


def handle(event, context):
    if event.get("raise"):
        raise ValueError("asked to")
    return {"event": event, "request_id": context.aws_request_id}
