"""Keeps the function's sockets on this machine: connections to hosts that
throughline dev does not allow are refused, and those to hosts that it plays go to
its gateway. What it cannot see: sockets that C libraries open by themselves."""

import json
import os
import socket
import sys

_given = json.loads(os.environ.pop("_DEV_GUARD", "{}"))
_gateway = tuple(_given.get("gateway", "127.0.0.1:9").rsplit(":", 1))
_known = set()  # addresses of allowed hosts


def _matches(host, patterns):
    host = host.rstrip(".").lower()
    return any(host == p or p.startswith("*.") and host.endswith(p[1:]) or p == "*" for p in patterns)


def _text(host):
    return host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host


def _loopback(host):
    return host in (None, "", "localhost", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1") or host.endswith(".localhost") or host.startswith("127.")


def _refuse(host):
    allow = "real AWS needs --aws real" if host.endswith(".amazonaws.com") else "allow it with --allow %s" % host
    message = "throughline dev refuses a connection to %s: %s" % (host, allow)
    print(message, file=sys.stderr, flush=True)
    raise ConnectionRefusedError(message)


def _resolved(host, port):
    """The host and port to ask for instead."""
    name = _text(host)
    if _loopback(name) or name in _known:
        return host, port
    web = str(port) in ("80", "443", "http", "https")
    if web and (_matches(name, _given.get("played", [])) or _matches(name, _given.get("allow", []))):
        return _gateway[0], int(_gateway[1])
    if _matches(name, _given.get("allow", [])):
        return host, port
    _refuse(name)


def _checked(address):
    """A socket's address, or an error where it leaves this machine."""
    if not isinstance(address, tuple) or len(address) < 2 or not isinstance(_text(address[0]), str):
        return address  # a path, or an error that the socket itself finds
    host, port = _resolved(address[0], address[1])
    return (host, port) + tuple(address[2:])


def _audit(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        if isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str) and not _loopback(address[0]) and address[0] not in _known and not _matches(address[0], _given.get("allow", [])):
            _refuse(address[0])


def on():
    if not _given:
        return
    real_info, real_name, real_names = socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex
    real_connect, real_connect_ex, real_sendto = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto

    def getaddrinfo(host, port, *args, **kwargs):
        asked, at = _resolved(host, port)
        found = real_info(asked, at, *args, **kwargs)
        if asked == host and not _loopback(_text(host)):
            _known.update(entry[4][0] for entry in found)
        return found

    def gethostbyname(host):
        found = real_name(_resolved(host, 443)[0])
        return found

    def gethostbyname_ex(host):
        return real_names(_resolved(host, 443)[0])

    def connect(self, address):
        return real_connect(self, _checked(address))

    def connect_ex(self, address):
        return real_connect_ex(self, _checked(address))

    def sendto(self, data, *args):
        return real_sendto(self, data, *args[:-1], _checked(args[-1]))

    socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex = getaddrinfo, gethostbyname, gethostbyname_ex
    socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto = connect, connect_ex, sendto
    sys.addaudithook(_audit)
