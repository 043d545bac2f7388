"""Events and results that greenlets wait for."""

import time

from .greenlet import spawn
from .timeout import Timeout
from .waiting import Queue


class _Linked:
    """callback(self) once it is ready."""

    def __init__(self):
        self._line = Queue()
        self._links = []

    def rawlink(self, callback):
        """Calls callback(self) once it is ready."""
        if self.ready():
            spawn(callback, self)
        else:
            self._links.append(callback)

    link = rawlink

    def unlink(self, callback):
        """Forgets a link."""
        if callback in self._links:
            self._links.remove(callback)

    def _announce(self):
        self._line.wake_all()
        links, self._links = self._links, []
        for callback in links:
            callback(self)

    def _await(self, timeout):
        deadline = None if timeout is None else time.perf_counter() + timeout
        while not self.ready():
            left = None if deadline is None else deadline - time.perf_counter()
            if left is not None and left <= 0 or not self._line.wait(left):
                return self.ready()
        return True


class Event(_Linked):
    """Set or not; those who wait go on when it is set."""

    def __init__(self):
        super().__init__()
        self._set = False

    def is_set(self):
        """Whether it is set."""
        return self._set

    isSet = ready = is_set

    def set(self):
        """Sets it."""
        self._set = True
        self._announce()

    def clear(self):
        """Unsets it."""
        self._set = False

    def wait(self, timeout=None):
        """Waits until it is set; gives whether it is."""
        return self._await(timeout)


class AsyncResult(_Linked):
    """A value, or an exception, that comes later."""

    def __init__(self):
        super().__init__()
        self._there = False
        self.value = None
        self.exception = None

    @property
    def exc_info(self):
        error = self.exception
        return (type(error), error, error.__traceback__) if error is not None else ()

    def ready(self):
        """Whether it has come."""
        return self._there

    def successful(self):
        """Whether it has come and is no exception."""
        return self._there and self.exception is None

    def set(self, value=None):
        """Brings the value."""
        self.value, self._there = value, True
        self._announce()

    def set_exception(self, exception, exc_info=None):
        """Brings an exception."""
        self.exception, self._there = exception, True
        self._announce()

    def get(self, block=True, timeout=None):
        """The value, waited for; raises the exception."""
        if not self._there and not (block and self._await(timeout)):
            raise Timeout(timeout)
        if self.exception is not None:
            raise self.exception
        return self.value

    def get_nowait(self):
        """The value, if it is there."""
        return self.get(block=False)

    def wait(self, timeout=None):
        """Waits; gives the value or None."""
        self._await(timeout)
        return self.value

    def __call__(self, source):
        # A result can be linked to a greenlet: it becomes what that one ends with.
        if source.successful():
            self.set(source.value)
        else:
            self.set_exception(source.exception)
