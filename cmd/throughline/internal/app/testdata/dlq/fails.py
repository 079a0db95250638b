import json


def always(event, context):
    raise RuntimeError("it always fails")


def never(event, context):
    return {"ok": True}


def told(event, context):
    print("told %s %s" % (event["requestContext"]["condition"], json.dumps(event["responsePayload"])))


def mourn(event, context):
    for record in event["Records"]:
        body = json.loads(record["body"])
        print("mourned after %d: %s" % (body["requestContext"]["approximateInvokeCount"], body["responsePayload"]["errorMessage"]))
