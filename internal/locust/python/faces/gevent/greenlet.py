"""Greenlets: functions that run beside others."""

import sys
import time
import traceback

from locust._weir.engine import engine
from locust._weir.fibers import Stop as GreenletExit

from .timeout import Timeout
from .waiting import Queue


class Greenlet:
    """A function that runs beside others once it is started, for the same user as the code that made it."""

    value = None

    def __init__(self, run=None, *args, **kwargs):
        if run is not None:
            self._run = run
        self.args = args
        self.kwargs = kwargs
        self.name = f"Greenlet-{id(self) % 100000}"
        self.minimal_ident = id(self) % 100000
        self.weir_user = None  # the number of the user it belongs to, when not the maker's
        self._fiber = None
        self._ended = Queue()
        self._done = False
        self.exc_info = (None, None, None)
        self.exception = None
        self._links = []

    def _run(self, *args, **kwargs):
        pass

    # --- life -----------------------------------------------------------------

    @classmethod
    def spawn(cls, *args, **kwargs):
        """Makes one and starts it."""
        made = cls(*args, **kwargs)
        made.start()
        return made

    @classmethod
    def spawn_later(cls, seconds, *args, **kwargs):
        """Makes one that starts after so many seconds."""
        made = cls(*args, **kwargs)
        made.start_later(seconds)
        return made

    def start(self):
        """Makes it runnable."""
        if self._fiber is None and not self._done:
            self._fiber = engine.hub.spawn(self._live, user=self.weir_user)
            self._fiber.greenlet = self
            self._fiber.links.append(self._finish)

    def start_later(self, seconds):
        """Makes it runnable after so many seconds."""

        def later():
            engine.sleep(seconds)
            return self._live()

        if self._fiber is None:
            self._fiber = engine.hub.spawn(later, user=self.weir_user)
            self._fiber.greenlet = self
            self._fiber.links.append(self._finish)

    def _live(self):
        return self._run(*self.args, **self.kwargs)

    def run(self):
        """What the greenlet does; subclasses may override _run."""
        return self._live()

    def _finish(self, fiber):
        self._done = True
        error = fiber.error
        if error is None:
            self.value = fiber.value
        else:
            self.exception = error
            self.exc_info = (type(error), error, error.__traceback__)
            if isinstance(error, SystemExit):
                from locust._weir.crew import sys_exit

                sys_exit(error, fiber.user)
            elif not self._links:
                traceback.print_exception(*self.exc_info)
                print(f"{time.ctime()} {self!r} failed with {type(error).__name__}\n", file=sys.stderr)
        self._ended.wake_all()
        links, self._links = self._links, []
        for callback, wanted in links:
            if wanted is None or wanted == (error is None):
                callback(self)

    # --- what is known of it ----------------------------------------------------

    @property
    def started(self):
        return self._fiber is not None and not self._done

    @property
    def dead(self):
        return self._done

    @property
    def loop(self):
        return None

    def __bool__(self):
        return self.started

    def ready(self):
        """Whether it has ended."""
        return self._done

    def successful(self):
        """Whether it has ended without an exception."""
        return self._done and self.exception is None

    def __repr__(self):
        work = getattr(self._run, "__name__", "_run")
        return f"<{type(self).__name__} at {hex(id(self))}: {work}>"

    # --- waiting for it ---------------------------------------------------------

    def join(self, timeout=None):
        """Waits until it has ended."""
        while not self._done:
            if not self._ended.wait(timeout):
                return

    def get(self, block=True, timeout=None):
        """What it returned; raises what it raised."""
        if block:
            self.join(timeout)
        if not self._done:
            raise Timeout(timeout)
        if self.exception is not None:
            raise self.exception
        return self.value

    def link(self, callback):
        """callback(greenlet) once it has ended."""
        self._link(callback, None)

    def link_value(self, callback):
        """The same, only without an exception."""
        self._link(callback, True)

    def link_exception(self, callback):
        """The same, only with one."""
        self._link(callback, False)

    def rawlink(self, callback):
        """As link."""
        self._link(callback, None)

    def unlink(self, callback):
        """Forgets a link."""
        self._links = [entry for entry in self._links if entry[0] != callback]

    def _link(self, callback, wanted):
        if self._done:
            if wanted is None or wanted == (self.exception is None):
                engine.hub.spawn(callback, self)
        else:
            self._links.append((callback, wanted))

    # --- ending it --------------------------------------------------------------

    def throw(self, *error):
        """Makes it raise error where it waits."""
        self.kill(error[0] if error else GreenletExit, block=False)

    def kill(self, exception=GreenletExit, block=True, timeout=None):
        """Makes it raise exception where it waits, and waits for its end."""
        if self._done:
            return
        error = exception() if isinstance(exception, type) else exception
        if self._fiber is None:
            self._done = True
            self.value = error
            self._ended.wake_all()
            return
        self._fiber.throw(error)
        if block and self._fiber is not engine.hub.current():
            self.join(timeout)


class _Main:
    """What getcurrent gives outside of greenlets."""

    dead = False
    args = ()
    name = "MainGreenlet"


MAIN = _Main()


def getcurrent():
    """The greenlet that runs."""
    fiber = engine.hub.current() if engine.hub is not None else None
    return getattr(fiber, "greenlet", None) or MAIN


def spawn(function, *args, **kwargs):
    """Runs function beside others."""
    return Greenlet.spawn(function, *args, **kwargs)


def spawn_later(seconds, function, *args, **kwargs):
    """Runs function after so many seconds."""
    return Greenlet.spawn_later(seconds, function, *args, **kwargs)


def kill(greenlet, exception=GreenletExit):
    """Ends a greenlet without waiting for it."""
    greenlet.kill(exception, block=False)


def killall(greenlets, exception=GreenletExit, block=True, timeout=None):
    """Ends all of them."""
    greenlets = list(greenlets)
    for each in greenlets:
        each.kill(exception, block=False)
    if block:
        current = getcurrent()
        joinall([each for each in greenlets if each is not current], timeout)


def joinall(greenlets, timeout=None, raise_error=False, count=None):
    """Waits for all of them (or so many); gives those that have ended."""
    return list(iwait(greenlets, timeout=timeout, count=count, _raise=raise_error))


def wait(objects=None, timeout=None, count=None):
    """Waits for greenlets, events or results; gives those that are ready."""
    return list(iwait(objects or [], timeout=timeout, count=count))


def iwait(objects, timeout=None, count=None, _raise=False):
    """Gives each as it becomes ready."""
    rest = list(objects)
    left = len(rest) if count is None else min(count, len(rest))
    some = Queue()
    ready = []

    def tell(which):
        ready.append(which)
        some.wake_all()

    for each in rest:
        each.rawlink(tell)
    deadline = None if timeout is None else time.perf_counter() + timeout
    try:
        while left > 0:
            while ready and left > 0:
                left -= 1
                each = ready.pop(0)
                if _raise and getattr(each, "exception", None) is not None:
                    raise each.exception
                yield each
            if left > 0 and not ready:
                patience = None if deadline is None else deadline - time.perf_counter()
                if patience is not None and patience <= 0 or not some.wait(patience):
                    return
    finally:
        for each in rest:
            each.unlink(tell)
