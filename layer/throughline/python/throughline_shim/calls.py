"""A call of botocore's, from before-call to its outcome, in botocore's context of it."""

from os import getpid
from time import time_ns

from .faults import own


class Call:
    """One call of the SDK, whatever is retried inside it."""

    def __init__(self):
        self.process = getpid()
        self.start = time_ns()
        self.open = True

    def __copy__(self):
        return self

    def __deepcopy__(self, _):
        return self

    # botocore has no event for a call that ends by what "except Exception" does not take:
    # KeyboardInterrupt, gevent's Timeout, a cancelled task. The context is all that ends then.
    def __del__(self):
        if self.open and self.process == getpid():
            self.cancelled()

    def cancelled(self):
        """The call ended and botocore said nothing."""


def taken(context, mark):
    """The call under mark in botocore's context, once."""
    try:
        return context.pop(mark, None)
    except Exception as error:
        if not own(error):
            raise
        return None


def raised(exception):
    """What is told of a call that raised. What the SDK raises is a failure. A handler of the user's
    that raises says nothing about the call."""
    failed = type(exception).__module__.startswith(("botocore.", "aiobotocore.", "urllib3."))
    return {"outcome": "failed" if failed else "unknown", "error": type(exception).__name__}
