import json
import os

import boto3

events = boto3.client("events")


def publish(detail_type, detail, **more):
    events.put_events(Entries=[{"EventBusName": os.environ["EVENT_BUS_NAME"], "Source": "trips", "DetailType": detail_type, "Detail": json.dumps({**detail, **more})}])


def flight(event, context):
    publish("FlightBooked", event["detail"], flight="LH1")


def hotel(event, context):
    detail = event["detail"]
    publish("HotelRefused" if detail["nights"] > 5 else "HotelBooked", detail)


def cancel(event, context):
    print("cancelled %s of %s" % (event["detail"]["flight"], event["detail"]["correlation_id"]))
    publish("FlightCancelled", event["detail"])


def confirm(event, context):
    print("confirmed %s" % event["detail"]["correlation_id"])
