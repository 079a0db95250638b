"""What the shim shares with the extension through files: docs/loopback.md is the protocol.

They lie in a folder that is this user's alone. What somebody else can have made
counts as nothing.
"""

import json
import os
from binascii import crc32
from os import O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR
from stat import S_ISDIR, S_ISFIFO, S_ISREG

from . import settings
from .faults import own

_FOLDER = settings["folder"]
_LINE = 4096  # bytes: a longer line can mingle with another process's (PIPE_BUF)
_LARGEST = 1 << 20  # bytes of a file


def _private(status, kind):
    return kind(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def _open(name, kind, flags):
    """A descriptor of a file, and its status. Raises OSError where there is none."""
    if not _private(os.lstat(_FOLDER), S_ISDIR):
        raise PermissionError(_FOLDER)
    descriptor = os.open(_FOLDER + "/" + name, flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not _private(status, kind):
            raise PermissionError(name)
        return descriptor, status
    except BaseException:
        os.close(descriptor)
        raise


def read(name):
    """The bytes of a file. Raises OSError where there is none."""
    descriptor, _ = _open(name, S_ISREG, O_RDONLY)
    try:
        return os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)


class Pipe:
    """The pipe that the extension at a port reads reports from. Safe for concurrent use, and after a fork."""

    def __init__(self, port):
        self._descriptor = -1
        try:
            # For reading as well: a writer that is the only one to have it open gets no SIGPIPE.
            self._descriptor, status = _open("reports.%d" % port, S_ISFIFO, O_RDWR)
            self._is = status[:3]
        except OSError as error:
            if not own(error):
                raise

    def write(self, line):
        """Whether the pipe took a line. Waits for nothing."""
        if self._descriptor < 0 or len(line) > _LINE:
            return False
        try:
            # Whoever closes descriptors that are not his may have another file under the number.
            return os.fstat(self._descriptor)[:3] == self._is and os.write(self._descriptor, line) == len(line)
        except OSError as error:
            if not own(error):
                raise
            return False


_known = (b"", [])  # what was read last, and what it says: it changes from one invocation to the next


def _listed():
    """The invocations in flight. Raises OSError or ValueError where they cannot be read."""
    global _known
    known = _known
    for _ in range(100):  # the extension may write the file just now
        data = read("current")
        if data == known[0]:
            return known[1]
        end = data.find(b"\n", 9)
        if end > 0 and data[:8] == b"%08x" % crc32(data[9:end]):
            _known = known = (data, json.loads(data[9:end]))
            return known[1]
    raise ValueError("never whole")


def current():
    """The event that the function handles, as docs/loopback.md describes it; {} where it cannot be told which, None where it
    cannot be read."""
    try:
        listed = _listed()
        trace = os.environ.get("_X_AMZN_TRACE_ID")
        fitting = listed if len(listed) == 1 else [each for each in listed if trace and each.get("trace") == trace]
    except Exception as error:
        if not own(error):
            raise
        return None
    return fitting[0] if len(fitting) == 1 else {}
