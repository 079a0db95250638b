"""A call of botocore, from before-call to its outcome. botocore's request context holds it."""

from os import getpid
from time import time_ns

from .faults import own


class Call:
    """One call of the SDK, with all its retries."""

    def __init__(self):
        self.process = getpid()
        self.start = time_ns()
        self.open = True

    def __copy__(self):
        return self

    def __deepcopy__(self, _):
        return self

    # botocore emits no event for a call that ends with an exception that "except Exception" does
    # not catch: KeyboardInterrupt, gevent's Timeout, a cancelled task. Only the context is freed then.
    def __del__(self):
        if self.open and self.process == getpid():
            self.cancelled()

    def cancelled(self):
        """Reports a call that ended without an event of botocore."""


def taken(context, mark):
    """Removes and returns the call that botocore's context holds under mark, or None."""
    try:
        return context.pop(mark, None)
    except Exception as error:
        if not own(error):
            raise
        return None


def raised(exception):
    """The report of a call that raised. An exception of the SDK is a failure. After an exception
    from a handler of the user, the outcome of the call is unknown."""
    failed = type(exception).__module__.startswith(("botocore.", "aiobotocore.", "urllib3."))
    return {"outcome": "failed" if failed else "unknown", "error": type(exception).__name__}
