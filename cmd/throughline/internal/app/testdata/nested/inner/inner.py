import os


def handle(event, context):
    for record in event["Records"]:
        print("%s %s" % (os.environ["GREETING"], record["body"]))
