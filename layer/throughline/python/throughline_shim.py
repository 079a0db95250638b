"""Outbound HTTP calls of unmodified Python code, seen: one span an attempt,
lineage headers on the configured hosts.

Standard library only, and patched on import: nothing is imported here that
the function does not import itself. Spans are posted to the extension on
loopback in the calling thread, so that threads and asyncio are covered alike.
A failure in here is silent and leaves the client as it was.
"""

import json
import os
import sys
import threading
import time

_HEADERS = ("x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
_TIMEOUT = 0.05  # seconds; what a call may wait for the extension
_PAUSE = 30.0  # seconds without a try after the extension did not answer

_local = threading.local()
_state = {"quiet_until": 0.0}


class _Settings:
    def __init__(self, environ):
        # The wrapper points the runtime at the extension, which answers us there too.
        self.runtime = environ.get("AWS_LAMBDA_RUNTIME_API", "")
        hosts = environ.get("THROUGHLINE_HTTP_HOSTS") or "*.alpaca.markets"
        self.hosts = [h.strip().lower() for h in hosts.split(",") if h.strip()]

    def matches(self, host):
        host = (host or "").lower()
        for pattern in self.hosts:
            if pattern == host or (pattern.startswith("*.") and host.endswith(pattern[1:])):
                return True
        return False


_settings = None


def _loopback(method, path, body=None):
    """One request to the extension; (status, body), or None."""
    import http.client

    if time.monotonic() < _state["quiet_until"]:
        return None
    host, _, port = _settings.runtime.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT)
    try:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        return response.status, response.read(65536)
    except Exception:
        _state["quiet_until"] = time.monotonic() + _PAUSE
        return None
    finally:
        connection.close()


def _current():
    """The event being handled, as the runtime endpoint knows it, or {}."""
    from urllib.parse import quote

    path = "/throughline/v1/current"
    header = os.environ.get("_X_AMZN_TRACE_ID")
    if header:
        path += "?trace=" + quote(header, safe="")
    answer = _loopback("GET", path)
    if answer is None or answer[0] != 200:
        return {}
    current = json.loads(answer[1])
    return current if isinstance(current, dict) else {}


class _Attempt:
    """One attempt of one call: headers before it, a span after it."""

    def __init__(self, pool, method, url, resend):
        self.start = time.time_ns()
        self.ended = False
        self.resend = resend
        self.method = str(method).upper()
        self.host = getattr(pool, "host", "") or ""
        self.port = getattr(pool, "port", None)
        self.scheme = getattr(pool, "scheme", "http")
        self.path = str(url or "/")
        self.current = _current()
        trace, parent, flags = self._parent()
        self.trace = trace or os.urandom(16).hex()
        self.parent = parent
        self.flags = flags
        self.span = os.urandom(8).hex()

    def _parent(self):
        parts = str(self.current.get("traceparent") or "").split("-")
        if len(parts) == 4 and len(parts[1]) == 32 and len(parts[2]) == 16:
            return parts[1], parts[2], parts[3]
        return None, None, "00"

    def headers(self, given):
        """The caller's headers with ours added; theirs are never replaced."""
        ours = {"traceparent": "00-%s-%s-%s" % (self.trace, self.span, self.flags)}
        if self.current.get("correlation_id"):
            ours["X-Correlation-ID"] = self.current["correlation_id"]
        if self.current.get("causation_id"):
            ours["X-Causation-ID"] = self.current["causation_id"]
        copied = given.copy() if hasattr(given, "copy") else dict(given or {})
        names = {(k.decode("latin-1") if isinstance(k, bytes) else str(k)).lower() for k in copied}
        for name, value in ours.items():
            if name.lower() not in names:
                copied[name] = value
        return copied

    def end(self, status=None, response_headers=None, error=None):
        """Tells the extension, which makes the span and the metrics of it."""
        if self.ended:
            return
        self.ended = True
        seen = {}
        for name in _HEADERS:
            value = response_headers.get(name) if response_headers is not None else None
            if value:
                seen[name] = str(value)
        report = {
            "trace_id": self.trace, "span_id": self.span, "parent_id": self.parent or "", "flags": self.flags,
            "request_id": self.current.get("request_id") or "", "correlation_id": self.current.get("correlation_id") or "",
            "start_unix_nano": self.start, "end_unix_nano": max(time.time_ns(), self.start),
            "method": self.method, "scheme": self.scheme, "host": self.host, "port": self.port or 0,
            "path": self.path.split("?", 1)[0].split("#", 1)[0], "resend_count": self.resend,
            "status": status or 0, "error": error or "", "headers": seen,
        }
        _loopback("POST", "/throughline/v1/outbound", json.dumps(report))


def _begin(pool, method, url):
    """An attempt for a call to one of our hosts, or None."""
    try:
        if _settings is None or not _settings.matches(getattr(pool, "host", None)):
            return None
        outer = getattr(_local, "attempts", None)
        if outer is None:
            outer = _local.attempts = []
        resend = 0
        # urllib3 retries by calling urlopen from within urlopen: the outer attempt is over.
        if outer and outer[-1] is not None:
            outer[-1].end(error="retry")
            resend = outer[-1].resend + 1
        attempt = _Attempt(pool, method, url, resend)
        outer.append(attempt)
        return attempt
    except Exception:
        return None


def _finish(attempt, **outcome):
    try:
        stack = getattr(_local, "attempts", [])
        if attempt in stack:
            stack.remove(attempt)
        attempt.end(**outcome)
    except Exception:
        pass


def _patch_urllib3(module):
    pool_class = module.HTTPConnectionPool
    urlopen = pool_class.urlopen

    def throughline_urlopen(self, method, url, body=None, headers=None, *args, **kwargs):
        attempt = _begin(self, method, url)
        if attempt is None:
            return urlopen(self, method, url, body, headers, *args, **kwargs)
        try:
            sent = attempt.headers(headers if headers is not None else self.headers)
        except Exception:
            sent = headers
        try:
            response = urlopen(self, method, url, body, sent, *args, **kwargs)
        except BaseException as error:
            _finish(attempt, error=type(error).__name__)
            raise
        _finish(attempt, status=getattr(response, "status", None), response_headers=getattr(response, "headers", None))
        return response

    throughline_urlopen.__wrapped__ = urlopen
    throughline_urlopen.__name__ = urlopen.__name__
    throughline_urlopen.__doc__ = urlopen.__doc__
    pool_class.urlopen = throughline_urlopen


_PATCHES = {"urllib3.connectionpool": _patch_urllib3}


class _Finder:
    """Lets the import system find a module as ever, then patches what it loaded."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        patch = _PATCHES.get(name)
        if patch is None:
            return None
        for finder in sys.meta_path:
            if finder is _Finder or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                _after(spec.loader, patch)
                return spec
        return None


def _after(loader, patch):
    execute = loader.exec_module

    def exec_module(module):
        execute(module)
        try:
            patch(module)
        except Exception:
            pass

    loader.exec_module = exec_module


def install():
    global _settings
    _settings = _Settings(os.environ)
    if not _settings.runtime:
        return
    sys.meta_path.insert(0, _Finder)
