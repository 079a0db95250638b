"""Distinguishes the shim's own errors from exceptions that only pass through it.

A signal handler of the function can raise an exception while the shim runs, and
another thread can set one (PyThreadState_SetAsyncExc). These belong to the function.
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
