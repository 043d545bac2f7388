"""Locks between greenlets."""

import time

from .greenlet import getcurrent
from .waiting import Queue


class Semaphore:
    """So many may hold it at once."""

    def __init__(self, value=1, hub=None):
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self.counter = value
        self._line = Queue()

    def locked(self):
        """Whether nobody more may hold it."""
        return self.counter <= 0

    def ready(self):
        """Whether somebody more may hold it."""
        return self.counter > 0

    def wait(self, timeout=None):
        """Waits until somebody more may hold it; gives how many may."""
        if self._stand(timeout):
            # Subtle: who only waits takes nothing, so one release is for all that stand here: the idiom
            # `all_spawned.wait()` of many locustfiles. Each lets the next one go.
            self._line.wake_one()
        return self.counter

    def _stand(self, timeout):
        """Stands in line while nobody more may hold it. Whether it stood, and somebody may now."""
        deadline = None if timeout is None else time.perf_counter() + timeout
        stood = False
        while self.counter <= 0:
            left = None if deadline is None else deadline - time.perf_counter()
            if left is not None and left <= 0 or not self._line.wait(left):
                break
            stood = True
        return stood and self.counter > 0

    def acquire(self, blocking=True, timeout=None):
        """Holds it, after a wait when it must be. False when that took too long."""
        if self.counter <= 0:
            if blocking:
                self._stand(timeout)
            if self.counter <= 0:
                return False
        self.counter -= 1
        return True

    def release(self):
        """Lets it go."""
        self.counter += 1
        self._line.wake_one()
        return self.counter

    def rawlink(self, callback):
        """callback(self) once somebody more may hold it."""
        from .greenlet import spawn

        def later():
            self.wait()
            callback(self)

        spawn(later)

    def unlink(self, callback):
        """Links are called once and forgotten."""

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


class BoundedSemaphore(Semaphore):
    """A semaphore that is not let go more often than it was held."""

    def __init__(self, value=1, hub=None):
        super().__init__(value)
        self._initial_value = value

    def release(self):
        if self.counter >= self._initial_value:
            raise ValueError("Semaphore released too many times")
        return super().release()


class DummySemaphore:
    """Held by anybody."""

    def __init__(self, value=None):
        self.counter = 1

    def locked(self):
        return False

    def acquire(self, blocking=True, timeout=None):
        return True

    def release(self):
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class RLock:
    """A lock its holder may take again."""

    def __init__(self, hub=None):
        self._block = Semaphore(1)
        self._owner = None
        self._count = 0

    def acquire(self, blocking=True, timeout=None):
        """Holds it, after a wait when it must be."""
        me = getcurrent()
        if self._owner is me:
            self._count += 1
            return True
        if not self._block.acquire(blocking, timeout):
            return False
        self._owner, self._count = me, 1
        return True

    def release(self):
        """Lets it go once."""
        if self._owner is not getcurrent():
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._block.release()

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()
