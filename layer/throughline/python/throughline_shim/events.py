"""Stamps and counts PutEvents calls of botocore, and so of boto3 and aiobotocore.

Calls to classic buses are JSON. PutEvents and PutRawEvents of the new custom
buses (EventBridgeV2) are CBOR, which the shim does not parse.

The handlers are appended to botocore's built-in handlers, which every new session
registers. before-call receives the serialised body before it is signed: botocore
then signs and sends the stamped body as it is configured. A call is reported
once, however often it was retried.
"""

import json
from os import urandom
from time import time_ns

from .calls import Call, raised, taken
from .faults import own
from .files import read
from .frameless import frameless
from .loopback import about, client

_JSON, _CBOR = "application/x-amz-json-1.1", "application/cbor"
_NEW_BUS = ("/service/AWSEventsV2/operation/PutEvents", "/service/AWSEventsV2/operation/PutRawEvents")
_MARK = "throughline"  # key of a call in botocore's request context
_BODY = 2 << 20  # bytes of the largest body that the extension accepts
_REPORT = 64 << 10  # bytes of the largest report that it accepts
_ENTRIES = 100  # entries of a request that are reported
_WORD = 64  # characters of an ID or a code that are reported


def _endpoint():
    """The URL of the events endpoint, or None. The extension stamps and counts requests to it."""
    try:
        for line in read("endpoints").decode().splitlines():
            name, _, address = line.partition("=")
            if name == "events" and address:
                return "http://" + address + "/"
    except (OSError, ValueError) as error:
        if not own(error):
            raise
    return None


_through = _endpoint()


def patch(module):
    if client is None or any(spec[1] is _HANDLERS[0][1] for spec in module.BUILTIN_HANDLERS):
        return
    sections = {"first": module.REGISTER_FIRST, "last": module.REGISTER_LAST}
    module.BUILTIN_HANDLERS.extend((name, handler, sections[section]) for name, handler, section in _HANDLERS)


def _kind(model, params):
    """The content type of a request that puts events, None for any other request."""
    if model.name not in ("PutEvents", "PutRawEvents"):
        return None
    headers = params["headers"]
    if headers.get("X-Amz-Target") == "AWSEvents.PutEvents":
        return _JSON
    return _CBOR if params.get("url_path") in _NEW_BUS and headers.get("smithy-protocol") == "rpc-v2-cbor" else None


def _whole(kind, body):
    """Whether body begins like a JSON object or a CBOR map, according to kind."""
    return body.startswith(b"{") if kind == _JSON else b"\xa0" <= body[:1] <= b"\xbf"


# A before-call handler returns None: botocore takes any other value as the service's response.
def _before_call(model=None, params=None, context=None, **_):
    try:
        kind = _kind(model, params)
        if kind is None or _through is not None and params.get("url", "").startswith(_through):
            return
        body = params["body"]
        sent = body.encode() if isinstance(body, str) else body
        reason = ""
        if any(name.lower() == "content-encoding" for name in params["headers"]):
            reason = "content-encoding"
        elif not isinstance(sent, bytes):
            reason = "body"
        elif len(sent) > _BODY:
            reason = "size"
        call = _Call()
        call.reason = reason
        context[_MARK] = call
    except Exception as error:
        if not own(error):
            raise
        return
    if reason:
        return
    answer = client.ask("POST", about("events"), kind, sent, call.id)
    try:
        if answer.status == 200 and answer.kind == kind and _whole(kind, answer.body):
            params["body"] = answer.body.decode() if isinstance(body, str) else answer.body
            call.stamped = True
        elif answer.status != 204:
            call.reason = answer.reason or ("busy" if answer.status == 503 else "answer")
            if answer.status == 0 and kind == _JSON and b"\n" not in sent:
                # The extension makes a span of it, which shows the events that were sent unstamped.
                name = about("events")
                client.report_now(name + ("&" if "?" in name else "?") + "call=" + call.id, sent)
    except Exception as error:
        if not own(error):
            raise
    call.start = time_ns()


def _after_call(http_response=None, parsed=None, context=None, **_):
    call = taken(context, _MARK)
    if call is None:
        return
    told = {"outcome": "answered"}
    try:
        metadata = parsed.get("ResponseMetadata") or {}
        told["status"] = http_response.status_code
        told["attempts"] = (metadata.get("RetryAttempts") or 0) + 1
        told["error"] = str((parsed.get("Error") or {}).get("Code") or "")[:_WORD]
        told["entries"] = [_result(entry) for entry in (parsed.get("Entries") or ())[:_ENTRIES]]
    except Exception as error:
        if not own(error):
            raise
    call.report(told, context)


def _result(entry):
    """The result of an entry. Only new custom buses return SuccessCode and SequenceNumber."""
    return {name: str(entry[name])[:_WORD] for name in ("EventId", "SuccessCode", "SequenceNumber", "ErrorCode") if entry.get(name)}


def _after_call_error(exception=None, context=None, **_):
    call = taken(context, _MARK)
    if call is not None:
        call.report(raised(exception), context)


# botocore calls the handlers of the most specific name first, and those of "*" before those
# of a name. So those of after-call.*.* run first: once a handler raises, no other one is called.
_HANDLERS = (
    ("before-call", frameless(_before_call), "last"),
    ("after-call.*.*", frameless(_after_call), "first"),
    ("after-call-error.*.*", frameless(_after_call_error), "first"),
)


class _Call(Call):
    def __init__(self):
        super().__init__()
        self.id = urandom(16).hex()
        self.stamped = False
        self.reason = ""

    def cancelled(self):
        client.report_now("events/" + self.id, self._told({"outcome": "cancelled"}))

    def report(self, told, context):
        self.open = False
        try:
            retries = context.get("retries") or {}
            told["invocation_id"] = str(retries.get("invocation-id") or "")
            told.setdefault("attempts", retries.get("attempt") or 0)
            body = self._told(told)
            if len(body) > _REPORT:
                body = self._told(dict(told, entries=[]))
        except Exception as error:
            if not own(error):
                raise
            return
        client.report("events/" + self.id, body)

    def _told(self, told):
        told.update(stamped=self.stamped, reason=self.reason, start_unix_nano=self.start, end_unix_nano=max(time_ns(), self.start))
        return json.dumps(told).encode()
