"""Calls that leave no frame of the shim in the user's tracebacks.

A Python function that an exception passes through always appears in the
traceback. A call of a class does not: type.__call__ is C code. It calls
__new__, which here runs the function and returns its result. If the function
raised, __new__ returns an instance of the class, and type.__call__ continues
with __init__. That is a property whose getter is C code too: it calls the
instance's _throw, which throws the exception into a finished generator. A
finished generator has no frame and adds none to the traceback.
"""

import functools
import operator
import os

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep

_over = (nothing for nothing in ())
for _ in _over:
    pass


class _Raised:
    __slots__ = ("_throw",)
    __init__ = property(operator.methodcaller("_throw"))


def frameless(run):
    """A callable that does what run does. It removes the shim's frames from the
    traceback of an exception that run raises. Safe for concurrent use.
    """

    class Call(_Raised):
        __slots__ = ()

        def __new__(cls, *args, **kwargs):
            try:
                return run(*args, **kwargs)
            except BaseException as error:
                failure = error
            traceback = failure.__traceback__
            while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_HERE):
                traceback = traceback.tb_next
            raised = object.__new__(cls)
            raised._throw = functools.partial(_over.throw, failure.with_traceback(traceback))
            return raised
    return Call
