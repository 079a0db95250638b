"""Runs once when the function's interpreter starts, before any of its code.

The wrapper put this folder, and nothing else, on PYTHONPATH. First that is
undone, so that the function and Lambda's bootstrap.py see the PYTHONPATH and
the sys.path they would have seen; then the sitecustomize that this one hides
runs; then the hooks are set. Whatever fails here fails silently.
"""


def _restore():
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    found = os.environ.pop("THROUGHLINE_PYTHONPATH", None)
    entries = []
    if found is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = found
        entries = [os.path.abspath(p) for p in found.split(os.pathsep)] if found else []
    at = sys.path.index(here) if here in sys.path else 0
    rest = [p for p in sys.path if p != here]
    kept = [p for i, p in enumerate(entries) if p not in entries[:i] and p != here]
    sys.path[:] = rest[:at] + kept + [p for p in rest[at:] if p not in kept]
    return here


def _hook(here):
    import importlib.util
    import os
    import sys

    path = os.path.join(here, "throughline_shim.py")
    spec = importlib.util.spec_from_file_location("throughline_shim", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["throughline_shim"] = module
    spec.loader.exec_module(module)
    module.install()


def _next():
    import importlib.machinery
    import importlib.util
    import sys

    spec = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    # The import system hands out whatever stands here once this file has run.
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    _here = _restore()
except Exception:
    _here = None
_next()
if _here is not None:
    try:
        _hook(_here)
    except Exception:
        pass
