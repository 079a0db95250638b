"""Runs a case, and writes what it sees of its surroundings to the file that STATE names."""
import json
import os
import sys


def sockets():
    """The open sockets by what they are connected to. The shim's own, to the extension, do not count."""
    peers = {}
    for table in ("tcp", "tcp6"):
        with open("/proc/self/net/" + table) as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                peers[fields[9]] = int(fields[2].rpartition(":")[2], 16)
    ours = int(os.environ.get("AWS_LAMBDA_RUNTIME_API", ":0").rpartition(":")[2] or 0)
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            link = os.readlink("/proc/self/fd/" + descriptor)
        except OSError:
            continue
        if link.startswith("socket:["):
            peer = peers.get(link[8:-1], -1)
            if peer != ours:
                found.append(peer)
    return sorted(found)


def state():
    return {
        "path": sys.path, "environment": dict(os.environ), "sockets": sockets(), "sitecustomize": getattr(sys.modules.get("sitecustomize"), "__file__", None),
        "loaders": sorted((name, type(getattr(module, "__loader__", None)).__name__, type(getattr(getattr(module, "__spec__", None), "loader", None)).__name__)
                          for name, module in list(sys.modules.items()) if name in ("urllib3.connectionpool", "botocore.handlers")),
    }


if __name__ == "__main__":
    to, case = os.environ.pop("STATE"), sys.argv[1]
    del sys.argv[0]
    sys.path[0] = os.path.dirname(os.path.abspath(case))
    process = os.getpid()
    try:
        with open(case) as source:
            exec(compile(source.read(), case, "exec"), {"__name__": "__main__", "__file__": case})
    finally:
        if os.getpid() == process:
            with open(to, "w") as file:
                json.dump(state(), file)
