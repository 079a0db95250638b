"""Calls of botocore that leave the bus: to SQS, SNS, Kinesis, Lambda, Step Functions and Scheduler.

before-parameter-build provides the target and the sizes of the bodies, after-call the
IDs that the service returned. A call is reported once, however often it was retried.
The shim changes a call only with THROUGHLINE_HOPS=carry: then it sets the trace header
of messages to SQS and SNS, which botocore adds by itself and never signs.

The parameters are the caller's objects and not validated yet. They are read with the
methods of the built-in types, so that no code of the caller runs.
"""

import json
from hashlib import sha256
from os import urandom
from time import time_ns
from urllib.parse import quote, unquote

from . import settings
from .calls import Call, raised, taken
from .faults import own
from .files import current
from .frameless import frameless
from .loopback import about, client

_MARK = "throughline.hop"  # key of a call in botocore's request context
_HEADER = "X-Amzn-Trace-Id"
_CARRY = settings["hops"] == "carry"
_LONGEST = 2048  # characters of a name that are reported
_ENTRIES = 500  # entries of a batch that are read: the maximum of PutRecords
_REPORT = 64 << 10  # bytes of the largest report that the extension accepts


def patch(module):
    if client is None or settings["hops"] == "off" or any(spec[1] is _HANDLERS[0][1] for spec in module.BUILTIN_HANDLERS):
        return
    sections = {"first": module.REGISTER_FIRST, "last": module.REGISTER_LAST}
    module.BUILTIN_HANDLERS.extend((name, handler, sections[section]) for name, handler, section in _HANDLERS)


def _get(value, *names):
    for name in names:
        value = dict.get(value, name) if isinstance(value, dict) else None
    return value


def _text(value, longest=_LONGEST):
    return str.__getitem__(value, slice(0, longest)) if isinstance(value, str) else ""


def _length(value):
    """The size of a body in bytes."""
    if isinstance(value, str):
        return str.__len__(value) if str.isascii(value) else len(str.encode(value, "utf-8", "surrogatepass"))
    for kind in (bytes, bytearray):
        if isinstance(value, kind):
            return kind.__len__(value)
    return 0


def _list(value):
    for kind in (list, tuple):
        if isinstance(value, kind):
            return list(kind.__iter__(value))[:_ENTRIES]
    return []


def _one(target, body):
    return lambda params: {"target": _text(_get(params, target)), "size": _length(_get(params, body))}


def _batch(targets, entries, body):
    def read(params):
        all_of = _list(_get(params, entries))
        named = [_text(_get(params, target)) for target in targets]
        return {"target": next(filter(None, named), ""), "batch": len(all_of), "size": sum(_length(_get(entry, body)) for entry in all_of)}
    return read


def _publish(params):
    named = _text(_get(params, "TopicArn")) or _text(_get(params, "TargetArn"))
    return {"target": named, "size": _length(_get(params, "Message"))}


def _invoke(params):
    kind = _text(_get(params, "InvocationType")) or "RequestResponse"
    return {"target": _text(_get(params, "FunctionName")), "size": _length(_get(params, "Payload")), "invocation_type": kind}


def _task(body):
    def read(params):
        token = _text(_get(params, "taskToken"))  # a secret: its holder can end the task
        hashed = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:32] if token else ""
        return {"size": _length(_get(params, body)), "task_hash": hashed}
    return read


def _schedule(params):
    return {
        "target": (_text(_get(params, "GroupName")) or "default") + "/" + _text(_get(params, "Name")),
        "size": _length(_get(params, "Target", "Input")), "schedule_target": _text(_get(params, "Target", "Arn")),
        "schedule_expression": _text(_get(params, "ScheduleExpression"), 256), "schedule_timezone": _text(_get(params, "ScheduleExpressionTimezone"), 50),
    }


def _record(params):
    return {"target": _text(_get(params, "StreamName")) or _text(_get(params, "StreamARN")), "size": _length(_get(params, "Data"))}


def _ids(name):
    return lambda parsed: [_get(parsed, name)]


def _messages(parsed):
    return [_get(entry, "MessageId") for entry in _list(_get(parsed, "Successful"))]


def _request(parsed):
    return [_get(parsed, "ResponseMetadata", "RequestId")]


def _sequence(entry):
    shard, number = _text(_get(entry, "ShardId")), _text(_get(entry, "SequenceNumber"))
    return shard + ":" + number if shard and number else ""


def _sequences(parsed):
    return [_sequence(entry) for entry in _list(_get(parsed, "Records"))]


def _nothing(parsed):
    return []


# By service and operation: the service's name in the report, a reader of the parameters, a reader of the response's IDs.
_HOPS = {
    ("sqs", "SendMessage"): ("sqs", _one("QueueUrl", "MessageBody"), _ids("MessageId")),
    ("sqs", "SendMessageBatch"): ("sqs", _batch(("QueueUrl",), "Entries", "MessageBody"), _messages),
    ("sns", "Publish"): ("sns", _publish, _ids("MessageId")),
    ("sns", "PublishBatch"): ("sns", _batch(("TopicArn",), "PublishBatchRequestEntries", "Message"), _messages),
    ("lambda", "Invoke"): ("lambda", _invoke, _request),
    ("lambda", "InvokeWithResponseStream"): ("lambda", _invoke, _request),
    ("stepfunctions", "StartExecution"): ("states", _one("stateMachineArn", "input"), _ids("executionArn")),
    ("stepfunctions", "StartSyncExecution"): ("states", _one("stateMachineArn", "input"), _ids("executionArn")),
    ("stepfunctions", "SendTaskSuccess"): ("states", _task("output"), _nothing),
    ("stepfunctions", "SendTaskFailure"): ("states", _task("cause"), _nothing),
    ("stepfunctions", "SendTaskHeartbeat"): ("states", _task(""), _nothing),
    ("scheduler", "CreateSchedule"): ("scheduler", _schedule, _ids("ScheduleArn")),
    ("kinesis", "PutRecord"): ("kinesis", _record, lambda parsed: [_sequence(parsed)]),
    ("kinesis", "PutRecords"): ("kinesis", _batch(("StreamName", "StreamARN"), "Records", "Data"), _sequences),
}


def _before_parameter_build(params=None, model=None, context=None, **_):
    try:
        hop = _HOPS.get((model.service_model.service_name, model.name))
        if hop is not None:
            context[_MARK] = _Call(hop, model.name, params)
    except Exception as error:
        if not own(error):
            raise


# A before-call handler returns None: botocore takes any other value as the service's response.
def _before_call(params=None, context=None, **_):
    try:
        call = context.get(_MARK)
        if call is None:
            return
        call.told["region"] = _text(context.get("client_region"))
        call.name = about("hops")
        call.open = True
    except Exception as error:
        if not own(error):
            raise
        return
    if _CARRY and call.told["service"] in ("sqs", "sns"):
        _carry(call, params)
    call.start = time_ns()


def _carry(call, params):
    """Replaces the trace header that the SDK copied from the invocation with the one that the extension wrote to the file
    "current". If that file has no such header, the copied one stays."""
    try:
        told = current() or {}
        header = told.get("carry")
        if not header:
            return
        headers = params["headers"]
        names = [name for name in headers if name.lower() == _HEADER.lower()]
        present = headers[names[0]] if names else told["trace"]
        if len(names) > 1 or not isinstance(present, str) or told["trace"] not in (present, unquote(present)):
            return  # another tracer set the header
        if present != told["trace"]:  # botocore percent-encodes the header
            header = quote(header, safe="-=;:+&[]{}\"',")
        span = urandom(8).hex()
        headers[names[0] if names else _HEADER] = header.replace("{span}", span)
        call.told.update(trace_id=told["traceparent"][3:35], span_id=span, flags="01")
    except Exception as error:
        if not own(error):
            raise


def _after_call(http_response=None, parsed=None, context=None, **_):
    call = taken(context, _MARK)
    if call is None or not call.open:
        return
    told = {"outcome": "answered"}
    try:
        if http_response.status_code >= 300:
            told["error"] = _text(_get(parsed, "Error", "Code"), 64) or str(int(http_response.status_code))
        else:
            told["ids"] = [_text(name, 512) for name in call.ids(parsed) if name]
            failed = {}
            for name, code in (("Failed", "Code"), ("Records", "ErrorCode")):
                for entry in _list(_get(parsed, name)):
                    if _get(entry, code):
                        key = _text(_get(entry, code), 64)
                        failed[key] = failed.get(key, 0) + 1
            told["failed"] = failed
    except Exception as error:
        if not own(error):
            raise
    call.report(told)


def _after_call_error(exception=None, context=None, **_):
    call = taken(context, _MARK)
    if call is not None and call.open:
        call.report(raised(exception))


# events.py explains their order among the handlers of botocore and the user.
_HANDLERS = (
    ("before-parameter-build", frameless(_before_parameter_build), "last"),
    ("before-call", frameless(_before_call), "last"),
    ("after-call.*.*", frameless(_after_call), "first"),
    ("after-call-error.*.*", frameless(_after_call_error), "first"),
)


class _Call(Call):
    """One call, from before-parameter-build on. It is open from before-call until its report."""

    def __init__(self, hop, operation, params):
        super().__init__()
        self.open = False
        service, parameters, self.ids = hop
        self.told = dict(parameters(params), service=service, operation=operation)

    def cancelled(self):
        client.report_now(self.name, self._body({"outcome": "cancelled"}))

    def report(self, told):
        self.open = False
        try:
            body = self._body(told)
            if len(body) > _REPORT:
                body = self._body(dict(told, ids=[]))
        except Exception as error:
            if not own(error):
                raise
            return
        client.report(self.name, body)

    def _body(self, told):
        return json.dumps(dict(self.told, **told, start_unix_nano=self.start, end_unix_nano=max(time_ns(), self.start))).encode()
