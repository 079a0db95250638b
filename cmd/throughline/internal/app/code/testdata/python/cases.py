"""Handlers that ours and AWS's runtime client have to run alike."""

import decimal
import json
import logging
import os
import sys
import time


class Odd(Exception):
    pass


def echo(event, context):
    return event


def nothing(event, context):
    pass


def text(event, context):
    return "grüße"


def raw(event, context):
    return b"\x00bytes"


def decimals(event, context):
    return {"a": decimal.Decimal("1.10"), "b": [decimal.Decimal("3")], "c": decimal.Decimal("NaN")}


def unwritable(event, context):
    return {"when": object()}


def fails(event, context):
    raise Odd("it went wrong")


def deep(event, context):
    return fails(event, context)


def no_message(event, context):
    raise KeyError()


def exits(event, context):
    sys.exit(3)


def context(event, context):
    remaining = context.get_remaining_time_in_millis()
    client = context.client_context
    return {
        "name": context.function_name, "version": context.function_version, "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb,
        "group": context.log_group_name, "stream": bool(context.log_stream_name), "request": len(context.aws_request_id), "remaining": 0 < remaining <= 10000,
        "custom": client and client.custom, "env": client and client.env, "title": client and client.client and client.client.app_title,
        "absent": client and client.client and client.client.app_version_code,
        "identity": context.identity.cognito_identity_id, "pool": context.identity.cognito_identity_pool_id, "tenant": context.tenant_id,
        "w3c": context.w3c(), "trace": os.environ.get("_X_AMZN_TRACE_ID", "")[:5], "deadline": type(remaining).__name__,
    }


def logs(event, context):
    logging.getLogger().warning("a %s", "warning")
    logging.getLogger("mine").error({"a": 1})
    logging.getLogger().info("not told")
    print("printed")
    print("told to stderr", file=sys.stderr)
    try:
        raise Odd("caught")
    except Odd:
        logging.exception("with a trace")
    return sys.path.index(os.environ["LAMBDA_TASK_ROOT"]) == 0


def slow(event, context):
    time.sleep(30)


class Callable:
    def method(self, event, context):
        return json.dumps(event)


method = Callable().method
