"""The clock starts it in the morning: it sets the day's one-time schedule."""

import datetime
import json
import os
import uuid

import desk


def handle(event, context):
    now = datetime.datetime.now(datetime.timezone.utc)
    at = (now + datetime.timedelta(seconds=float(os.environ["LEAD_SECONDS"]) + 1)).replace(microsecond=0)
    correlation_id = "schedule-%s" % uuid.uuid4()
    name = "alchemiser-daily-%s" % now.strftime("%Y-%m-%d")
    answer = desk.client("scheduler").create_schedule(
        Name=name, ScheduleExpression="at(%s)" % at.strftime("%Y-%m-%dT%H:%M:%S"), FlexibleTimeWindow={"Mode": "OFF"}, ActionAfterCompletion="DELETE",
        Target={
            "Arn": os.environ["ORCHESTRATOR_ARN"], "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
            "Input": json.dumps({"source": "schedule-manager", "correlation_id": correlation_id, "scheduled_by": "schedule-manager"}),
        },
    )
    created = desk.publish("ScheduleCreated", "coordinator", correlation_id, "schedule-manager-%s" % now.date(), status="scheduled",
                           execution_time=at.isoformat(), schedule_name=name)
    return {"statusCode": 200, "sent": [["scheduler", answer["ScheduleArn"]], created]}
