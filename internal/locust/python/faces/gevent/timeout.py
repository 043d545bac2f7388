"""Timeouts: an exception in the code that began them, when it takes too long."""

from locust._weir.engine import engine
from locust._weir.fibers import Stop


class Timeout(BaseException):
    """Raised in the block it guards, or given exception in its place; silently ends the block when exception is False."""

    def __init__(self, seconds=None, exception=None, ref=True, priority=-1, close=False):
        super().__init__()
        self.seconds = seconds
        self.exception = exception
        self._timer = None

    def start(self):
        """Begins to count."""
        if self.seconds is None:
            return
        target = engine.hub.current()

        def strike():
            engine.sleep(self.seconds)
            self._timer = None
            error = self.exception
            if error is None or error is False or isinstance(error, str):
                error = self
            target.throw(error() if isinstance(error, type) else error)

        self._timer = engine.hub.spawn(strike)

    @classmethod
    def start_new(cls, timeout=None, exception=None, ref=True):
        """Makes one and starts it."""
        if isinstance(timeout, Timeout):
            if not timeout.pending:
                timeout.start()
            return timeout
        made = cls(timeout, exception)
        made.start()
        return made

    @property
    def pending(self):
        """Whether it counts."""
        return self._timer is not None

    def cancel(self):
        """Ends the count."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.throw(Stop())

    close = cancel

    def __enter__(self):
        if not self.pending:
            self.start()
        return self

    def __exit__(self, kind, value, tb):
        self.cancel()
        return value is self and self.exception is False

    def __str__(self):
        if self.seconds is None:
            return ""
        plural = "" if self.seconds == 1 else "s"
        if self.exception is None:
            return f"{self.seconds} second{plural}"
        if self.exception is False:
            return f"{self.seconds} second{plural} (silent)"
        return f"{self.seconds} second{plural}: {self.exception}"


def with_timeout(seconds, function, *args, **kwargs):
    """Calls function; gives timeout_value, or raises Timeout, when it takes too long."""
    missing = object()
    otherwise = kwargs.pop("timeout_value", missing)
    timeout = Timeout.start_new(seconds)
    try:
        return function(*args, **kwargs)
    except Timeout as late:
        if late is timeout and otherwise is not missing:
            return otherwise
        raise
    finally:
        timeout.cancel()
