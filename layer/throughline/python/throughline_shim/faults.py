"""Tells the shim's own faults from exceptions that only pass through it.

A signal handler of the function's can raise while the shim runs, and so can
another thread (PyThreadState_SetAsyncExc). Those exceptions are the function's.
"""

import json
import os

_FILES = tuple(os.path.dirname(os.path.abspath(file)) + os.sep for file in (__file__, json.__file__)) + ("<frozen ",)
_MODULES = ("builtins", "socket", "json.decoder", __package__ + ".loopback")


def own(error):
    """Whether the shim itself raised error, by its class and by the frame that raised it."""
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return isinstance(error, Exception) and type(error).__module__ in _MODULES and traceback.tb_frame.f_code.co_filename.startswith(_FILES)
