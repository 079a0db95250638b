"""Runs once when an interpreter of the function starts, before any of its code.

The wrapper puts this folder in front of PYTHONPATH. This file starts the shim,
takes the folder out again, and hands over to the sitecustomize that it hides.
The function then sees the PYTHONPATH, the sys.path and the sitecustomize that
it would have seen. A subinterpreter runs this file again, with the same result.
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
    # The wrapper sets this variable where PYTHONPATH was set to nothing.
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
    __file__ = _by  # its module is executed a second time, with this code
else:
    # The import system hands out what stands in sys.modules after this file has run.
    # Where there is no other sitecustomize, the ImportError tells site.py just that.
    _this = sys.modules.pop(__name__)
    import sitecustomize  # noqa: F401
