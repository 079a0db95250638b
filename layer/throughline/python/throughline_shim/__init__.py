"""What the layer adds to a Python function: it sees the function's calls.

outbound sees HTTP calls of urllib3, events sees PutEvents calls of botocore, hops
sees its calls to queues, topics, functions, state machines, schedules and streams.
All speak with the extension, over loopback and through files (docs/loopback.md).
Nothing is imported that the function does not import itself, the standard
library apart.
"""

import os
import sys

from . import imports

# Name of a module of the function, names of the parts of the shim that patch it.
_PARTS = {"urllib3.connectionpool": ("outbound",), "botocore.handlers": ("events", "hops")}

settings = {}  # as the environment had them when the interpreter started


def install():
    """Starts the shim in this interpreter, once."""
    # The wrapper points the runtime at the extension, which answers the shim there too.
    runtime = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    if settings or not runtime:
        return
    settings["runtime"] = runtime
    settings["folder"] = os.path.join(os.environ.get("TMPDIR") or "/tmp", "throughline")
    settings["hosts"] = os.environ.get("THROUGHLINE_HTTP_HOSTS") or "*.alpaca.markets"
    settings["hops"] = (os.environ.get("THROUGHLINE_HOPS") or "").strip().lower()
    finder = imports.Finder(__name__, _PARTS)
    sys.meta_path.insert(0, finder)
    for name in _PARTS:
        module = sys.modules.get(name)
        if module is not None:
            finder.patch(module, name)
