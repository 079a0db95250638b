"""Requests and reports to the extension over loopback. docs/loopback.md is the protocol.

The sockets are those of _socket: tracers, mocks and gevent patch the modules
above it. One deadline covers connecting, sending and receiving. After a failure
the shim sends no requests for a while; the pause is short if the response arrived
late. All of it is safe for concurrent use, without a lock that a fork could leave
locked.
"""

import os
from _socket import AF_INET, IPPROTO_TCP, MSG_NOSIGNAL, MSG_PEEK, SOCK_STREAM, TCP_NODELAY
from _socket import socket as _Socket
from _socket import timeout as _Timeout
from os import getpid
from time import monotonic
from urllib.parse import quote

from . import settings
from .faults import own
from .files import Pipe

_DEADLINE = 0.04  # seconds for one exchange: with the wake-up after it, a call is delayed by less than 50 ms
# The first and the longest pause after failures, in seconds; each further failure doubles the pause.
_GONE = (30.0, 600.0)
_SLOW = (1.0, 30.0)  # if the response arrived late
_IDLE = 8  # idle connections that are kept
_HEAD, _BODY = 64 << 10, 4 << 20  # bytes of a response that are read at most

_JSON = "application/json"


class Answer:
    """A response of the extension. If there is none, status is 0 and reason is the cause."""

    __slots__ = ("status", "reason", "kind", "body")

    def __init__(self, status, reason="", kind="", body=b""):
        self.status = status
        self.reason = reason
        self.kind = kind
        self.body = body


class _Unusable(Exception):
    """A response that violates the protocol."""


class _Connection(_Socket):
    # _socket's finalizer would warn about a socket that is open when the interpreter exits.
    def __del__(self):
        self.close()

    def open(self, address, until):
        self.used = False
        self.within(until)
        self.connect(address)
        self.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    def within(self, until):
        # With a timeout of 0, a process that was frozen still reads the bytes that have arrived.
        self.settimeout(max(0.0, until - monotonic()))

    def peek(self):
        """The next byte: empty if the peer has closed the connection, None if nothing has arrived."""
        self.settimeout(0.0)
        try:
            return self.recv(1, MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError as error:
            if not own(error):
                raise
            return b""

    def answer(self, until):
        """Reads one response."""
        data = bytearray()
        end = -1
        while end < 0:
            if len(data) > _HEAD:
                raise _Unusable("head")
            data += self._some(_HEAD, until)
            end = data.find(b"\r\n\r\n")
        lines = data[:end].decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = data[end + 4:]
        length = int(headers.get("content-length", "0"))
        if length > _BODY:
            raise _Unusable("length")
        while len(body) < length:
            body += self._some(length - len(body), until)
        self.used = True
        if "close" in headers.get("connection", "").lower():
            self.close()
        return Answer(status, headers.get("throughline-reason", ""), headers.get("content-type", ""), bytes(body))

    def _some(self, size, until):
        self.within(until)
        data = self.recv(min(size, 1 << 20))
        if not data:
            raise ConnectionResetError
        return data


class Client:
    """The extension at address, the value of AWS_LAMBDA_RUNTIME_API."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        parts = host.split(".")
        # A host name would need DNS, and an address other than loopback is not the extension's.
        if len(parts) != 4 or parts[0] != "127" or not all(part.isdigit() for part in parts):
            raise ValueError("not a loopback address: " + address)
        self._address = (host, int(port))
        self._host = address
        self._pipe = Pipe(int(port))
        self._idle = {}  # connections by process ID: a fork shares sockets
        self._late = []  # the connection whose response missed the deadline
        self._failures = 0
        self._failed_at = 0.0
        self._quiet_until = 0.0

    def ask(self, method, name, kind="", body=b"", call=""):
        """Sends one request and returns the response. Its own errors are not raised."""
        now = monotonic()
        if now < self._quiet_until and not self._slow(now):
            return Answer(0, "unreachable")
        if self._failures:
            # One thread tries whether the extension is back; the others do not ask.
            self._quiet_until = now + self._pause(_GONE)
        held = []
        try:
            answer = self._exchange(self._request(method, name, kind, body, call), now + _DEADLINE, held)
            # Another server at this address would not know these paths.
            if answer.status not in (200, 204, 413, 415, 503) and not answer.reason:
                raise _Unusable("status")
        except BaseException as error:
            ours = own(error)
            late = ours and isinstance(error, (_Timeout, BlockingIOError))
            if late:
                self._late[:] = held[-1:]
            elif held:
                held[-1].close()
            if not ours:
                raise
            self._failures += 1
            self._failed_at = monotonic()
            self._quiet_until = self._failed_at + self._pause(_GONE)
            return Answer(0, "late" if late else "unreachable")
        self._failures = 0
        self._quiet_until = 0.0
        return answer

    def report(self, name, body):
        """Sends one report in JSON."""
        if not self.report_now(name, body):
            self.ask("POST", name, _JSON, body)

    def report_now(self, name, body):
        """Sends one report if this does not block. Returns whether it was sent."""
        return self._pipe.write(b"%s %s\n" % (name.encode("latin-1"), body))

    def _request(self, method, name, kind, body, call):
        head = "%s /throughline/v1/%s HTTP/1.1\r\nHost: %s\r\n" % (method, name, self._host)
        if kind:
            head += "Content-Type: %s\r\nContent-Length: %d\r\n" % (kind, len(body))
        if call:
            head += "Throughline-Call: %s\r\n" % call
        return head.encode("latin-1") + b"\r\n" + body

    def _pause(self, pauses):
        first, longest = pauses
        return min(first * 2 ** min(max(self._failures - 1, 0), 8), longest)

    def _slow(self, now):
        """Whether the late response has arrived and the pause for late responses is over."""
        if now < self._failed_at + self._pause(_SLOW):
            return False
        try:
            connection = self._late.pop()
        except IndexError:
            return False
        came = connection.peek()
        if came is None:
            self._late.append(connection)
        else:
            connection.close()
        return bool(came)

    def _exchange(self, request, until, held):
        while True:
            connection = self._take()
            if connection is None:
                connection = _Connection(AF_INET, SOCK_STREAM)
                held.append(connection)
                connection.open(self._address, until)
            else:
                held.append(connection)
            reused = connection.used
            try:
                connection.within(until)
                connection.sendall(request, MSG_NOSIGNAL)
                answer = connection.answer(until)
            except ConnectionError as error:
                # The extension closed the connection while it was idle.
                if reused and own(error):
                    connection.close()
                    continue
                raise
            self._keep(connection)
            return answer

    def _take(self):
        pid = getpid()
        if pid not in self._idle:
            for other in list(self._idle):
                for connection in self._idle.pop(other, ()):
                    connection.close()
            self._idle[pid] = []
        connections = self._idle[pid]
        while connections:
            try:
                connection = connections.pop()
            except IndexError:  # another thread took the last one
                return None
            if connection.fileno() >= 0 and connection.peek() is None:
                return connection
            connection.close()
        return None

    def _keep(self, connection):
        connections = self._idle.get(getpid())
        if connections is None or len(connections) >= _IDLE or connection.fileno() < 0:
            connection.close()
        else:
            connections.append(connection)


_query = ("", "")  # the value of _X_AMZN_TRACE_ID, and the query that contains it


def about(name):
    """The name of a request or report, with a query that identifies its invocation."""
    global _query
    trace = os.environ.get("_X_AMZN_TRACE_ID") or ""
    known, query = _query
    if trace != known:
        query = "?trace=" + quote(trace, safe="")
        _query = (trace, query)
    return name + query


def _client():
    try:
        return Client(settings["runtime"])
    except ValueError:
        return None


client = _client()  # the extension of this process, or None
