"""Runs once when a Python interpreter of the function starts, before the function's code.

The wrapper puts this folder first in PYTHONPATH. This file starts the shim,
removes the folder again, and runs the sitecustomize that it shadows. The
function then sees the same PYTHONPATH, sys.path and sitecustomize as without
the layer. A subinterpreter runs this file again, with the same result.
"""

import sys


def _start():
    if sys.version_info >= (3, 8):
        import throughline_shim

        throughline_shim.install()


def _leave():
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.path_importer_cache.pop(here, None)
    found = os.environ.get("PYTHONPATH")
    if found is None:
        return
    entries = found.split(os.pathsep)
    kept = [entry for entry in entries if os.path.abspath(entry) != here]
    if len(kept) == len(entries):
        return
    # The wrapper sets this variable if PYTHONPATH was set but empty.
    empty = os.environ.pop("THROUGHLINE_PYTHONPATH", None) is not None
    if kept or empty:
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        del os.environ["PYTHONPATH"]


def _caller():
    """The file of a sitecustomize that runs this one, as New Relic's does, or None."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals is globals():
            return frame.f_code.co_filename
        frame = frame.f_back
    return None


try:
    _start()
except Exception:
    pass
try:
    _leave()
except Exception:
    pass
_by = _caller()
if _by is not None:
    __file__ = _by  # the caller executes this code a second time, in its own module
else:
    # The import system returns the module that sys.modules holds after this file has run.
    # If there is no other sitecustomize, site.py handles the ImportError as a missing module.
    _this = sys.modules.pop(__name__)
    import sitecustomize  # noqa: F401
