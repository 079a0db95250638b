import json


def audit(event, context):
    print("audited %s by %s" % (event["order"], event["rule"]))


def pack(event, context):
    for record in event["Records"]:
        print("packed %s" % json.loads(record["body"])["order_id"])


def mail(event, context):
    print("mailed %s" % json.loads(event["Records"][0]["Sns"]["Message"])["detail"]["order_id"])


def text(event, context):
    print("texted")
