"""The shim that the layer loads into a Python function: it observes the function's calls.

outbound observes HTTP calls of urllib3, events observes PutEvents calls of botocore,
hops observes botocore's calls to queues, topics, functions, state machines, schedules
and streams. All communicate with the extension, over loopback and through files
(docs/loopback.md). Besides the standard library, the shim imports only modules that
the function imports itself.
"""

import os
import sys

from . import imports

# The name of a module that the function imports, and the parts of the shim that patch it.
_PARTS = {"urllib3.connectionpool": ("outbound",), "botocore.handlers": ("events", "hops")}

settings = {}  # from the environment when the interpreter started


def install():
    """Starts the shim in this interpreter, once."""
    # The wrapper sets this address to the extension's, where the extension also serves the shim.
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
