"""HTTP calls of urllib3, and so of requests: lineage headers and a span for each attempt.

urlopen calls HTTPConnectionPool._make_request once for each attempt, including
retries and redirects, with the headers of that attempt. A descriptor replaces
this method. For a host that the settings do not name, it binds the original
method.
"""

import json
import sys
from os import urandom
from time import time_ns
from types import MethodType
from weakref import WeakSet

from . import settings
from .faults import own
from .files import current
from .frameless import frameless
from .loopback import about, client

_RESPONSE_HEADERS = ("x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
_LONGEST = 256  # characters of a header's value that are reported, and a 16th of those of a path

_hosts = [host.strip().lower() for host in settings["hosts"].split(",") if host.strip()]
_patched = WeakSet()


def patch(module):
    pool = module.HTTPConnectionPool
    if client is None or pool in _patched or "_make_request" not in vars(pool):
        return
    _patched.add(pool)
    pool._make_request = _MakeRequest(vars(pool)["_make_request"])


def _named(host):
    host = str(host or "").lower()
    return any(host == name or name.startswith("*.") and host.endswith(name[1:]) for name in _hosts)


class _MakeRequest:
    """Replaces the _make_request of a class of connection pools. Whoever takes it from
    the class's __dict__, as unittest.mock does, finds the original function in it."""

    def __init__(self, hidden):
        self._hidden = hidden
        self._seen = frameless(self._attempt)

    @property
    def __class__(self):
        return type(self._hidden)

    def __getattr__(self, name):
        if name == "_hidden":  # of an instance that __init__ has not made
            raise AttributeError(name)
        return getattr(self._hidden, name)

    def __call__(self, *args, **kwargs):
        return self._hidden(*args, **kwargs)

    def __get__(self, pool, owner=None):
        hidden = self._hidden.__get__(pool, owner)
        try:
            if pool is None or not (_named(pool.host) or getattr(pool, "proxy", None) is not None):
                return hidden
        except Exception:
            return hidden
        return MethodType(self._seen, pool)

    def _attempt(self, pool, *args, **kwargs):
        make_request = self._hidden.__get__(pool, type(pool))
        attempt = _begin(pool, args, kwargs, sys._getframe(1))
        if attempt is None:
            return make_request(*args, **kwargs)
        kwargs["headers"] = attempt.headers(kwargs["headers"])
        try:
            response = make_request(*args, **kwargs)
        except BaseException as error:
            # An exception that "except Exception" does not catch means that the caller aborted: gevent's Timeout, a cancelled task.
            attempt.end(error=type(error).__name__ if isinstance(error, Exception) else "aborted")
            raise
        attempt.end(response)
        return response


def _begin(pool, args, kwargs, frame):
    """The attempt, or None if it is not observed."""
    try:
        attempt = _Attempt(pool, args[1], args[2], kwargs, frame)
        if kwargs["headers"] is None or not _named(attempt.host):
            return None
        handled = current()
        if handled is None:
            # A function may delete the files in its temporary folder.
            answer = client.ask("GET", about("current"))
            if answer.status not in (200, 204):
                return None
            handled = json.loads(answer.body) if answer.status == 200 else {}
        attempt.within(handled)
        return attempt
    except Exception as error:
        if not own(error):
            raise
        return None


def _resends(kwargs, frame):
    """How often this call was sent before. In urllib3 1, only a local variable of urlopen has the retries."""
    retries = kwargs.get("retries")
    for _ in range(16):
        if retries is not None or frame is None:
            break
        if frame.f_code.co_name == "urlopen":
            retries = frame.f_locals.get("retries")
        frame = frame.f_back
    return len(getattr(retries, "history", None) or ())


class _Attempt:
    def __init__(self, pool, method, url, kwargs, frame):
        self.scheme = pool.scheme
        self.host = pool.host
        self.port = pool.port
        self.path = url
        self.method = str(method)
        scheme, found, rest = url.partition("://")
        if found and scheme in ("http", "https"):  # an absolute URL, as sent to a proxy
            authority, slash, rest = rest.partition("/")
            host, _, port = authority.rpartition("@")[2].partition(":")
            self.scheme, self.host, self.port, self.path = scheme, host, int(port or 0) or {"http": 80, "https": 443}[scheme], slash + rest
        self.resends = _resends(kwargs, frame)
        self.start = time_ns()

    def within(self, current):
        """Sets the attempt's IDs from the invocation that the extension reported."""
        parts = str(current.get("traceparent") or "").split("-")
        known = len(parts) == 4 and len(parts[1]) == 32 and len(parts[2]) == 16
        self.trace, self.parent, self.flags = parts[1:] if known else (urandom(16).hex(), "", "00")
        self.span = urandom(8).hex()
        self.request = str(current.get("request_id") or "")
        self.correlation = str(current.get("correlation_id") or "")
        self.causation = str(current.get("causation_id") or "")
        self.start = time_ns()

    def headers(self, given):
        """A copy of the caller's headers with the lineage headers added. The caller's values are never replaced."""
        ours = {"traceparent": "00-%s-%s-%s" % (self.trace, self.span, self.flags), "X-Correlation-ID": self.correlation, "X-Causation-ID": self.causation}
        try:
            copied = given.copy() if hasattr(given, "copy") else dict(given)
            names = {(name.decode("latin-1") if isinstance(name, bytes) else name).lower() for name in copied}
            for name, value in ours.items():
                if value and name.lower() not in names:
                    copied[name] = value
            return copied
        except Exception:  # the caller's mapping may raise anything
            return given

    def end(self, response=None, error=""):
        """Reports the attempt. The extension creates its span and its metrics."""
        try:
            seen = {}
            for name in _RESPONSE_HEADERS if response is not None else ():
                value = response.headers.get(name)
                if value:
                    seen[name] = str(value)[:_LONGEST]
            report = json.dumps({
                "trace_id": self.trace, "span_id": self.span, "parent_id": self.parent, "flags": self.flags,
                "request_id": self.request, "correlation_id": self.correlation,
                "start_unix_nano": self.start, "end_unix_nano": max(time_ns(), self.start),
                "method": self.method, "scheme": self.scheme, "host": self.host, "port": self.port or 0,
                "path": self.path.split("?", 1)[0].split("#", 1)[0][:16 * _LONGEST], "resend_count": self.resends,
                "status": response.status if response is not None else 0, "error": error, "headers": seen,
            }).encode()
        except Exception as fault:
            if not own(fault):
                raise
            return
        client.report("outbound", report)
