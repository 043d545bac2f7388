"""The gevent way: gevent's own loop, everything patched, so that libraries which use sockets wait without stopping others.

Chosen when scripts import such libraries and gevent is installed. Importing this module patches the interpreter.
"""

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402  (the patch comes first)
from gevent.hub import Waiter, get_hub  # noqa: E402

from .fibers import LATE, NOBODY  # noqa: E402

real_thread_id = monkey.get_original("_thread", "get_ident")


class Owner:
    """What a tree of greenlets shares: whose user's code it is."""

    def __init__(self, user):
        self.user = user
        self.waited = 0.0


class Spot:
    """One wait: what wake is given."""

    def __init__(self):
        self.waiter = Waiter()
        self.parked = True


class GeventFiber(gevent.Greenlet):
    """A greenlet with the face of fibers.Fiber."""

    @property
    def done(self):
        return self.dead

    @property
    def error(self):
        return self.exception if not self.successful() else None

    def throw(self, error):
        """Makes the greenlet raise error where it waits."""
        gevent.kill(self, error)


class GeventHub:
    """gevent's loop with the face of fibers.Hub."""

    name = "gevent"

    def __init__(self, channel, deliver):
        self.channel = channel
        self.deliver = deliver
        self.hub = get_hub()
        self.thread = real_thread_id()
        self.switches = 0
        self.polling = False
        self.closed = False
        self.hub.SYSTEM_ERROR = (KeyboardInterrupt, SystemError)
        self._print_error, self.hub.handle_error = self.hub.handle_error, self._handle_error
        loop = self.hub.loop
        self._reader = loop.io(channel.connection.fileno(), 1)
        self._writer = loop.io(channel.connection.fileno(), 2)
        # After gevent's own, in which greenlets run: what they have queued leaves before the loop sleeps.
        self._before = loop.prepare(priority=loop.MINPRI)
        self._after = loop.check()
        self._bell = loop.io(channel._bell.fileno(), 1)

    def _handle_error(self, context, kind, value, tb):
        """sys.exit in a greenlet ends the run in order, not this process at once."""
        if kind is not None and issubclass(kind, SystemExit):
            from .crew import sys_exit

            owner = (getattr(context, "spawn_tree_locals", None) or {}).get("weir", NOBODYS)
            sys_exit(value if isinstance(value, BaseException) else kind(value), owner.user)
        else:
            self._print_error(context, kind, value, tb)

    def _read(self):
        self._after_wait()
        for kind, number, payload in self.channel.receive():
            self.deliver(kind, number, payload)

    def _flush(self):
        self.polling = True
        self.switches += 1
        channel = self.channel
        if channel.queue or channel.unsent:
            channel.flush()
            if channel.unsent and not self._writer.active:
                self._writer.start(self._flush)
            elif not channel.unsent and self._writer.active:
                self._writer.stop()

    def _after_wait(self):
        self.polling = False

    def _ring(self):
        self._after_wait()
        try:
            self.channel._bell.recv(4096)
        except OSError:
            pass

    def room(self):
        """How many users can be held at most: nothing bounds them."""
        return None

    def owner(self):
        """Whose code runs now."""
        tree = getattr(gevent.getcurrent(), "spawn_tree_locals", None)
        return tree.get("weir") if tree else None

    def current(self):
        if real_thread_id() != self.thread:
            return None
        return self.owner() or NOBODYS

    def spawn(self, target, *args, user=None, **kwargs):
        fiber = GeventFiber(target, *args, **kwargs)
        if user is not None:
            fiber.spawn_tree_locals = {"weir": Owner(user)}
        fiber.start()
        return fiber

    def inherited(self):
        owner = self.owner()
        return NOBODY if owner is None else owner.user

    def waiting(self):
        return Spot()

    def wait(self, seconds=None, me=None):
        spot = me or Spot()
        if seconds is None:
            return spot.waiter.get()
        timer = self.hub.loop.timer(max(seconds, 0))
        timer.start(self._late, spot)
        try:
            return spot.waiter.get()
        finally:
            spot.parked = False
            timer.stop()
            timer.close()

    def _late(self, spot):
        if spot.parked:
            spot.parked = False
            spot.waiter.switch(LATE)

    def wake(self, spot, answer):
        if spot.parked:
            spot.parked = False
            self.hub.loop.run_callback(spot.waiter.switch, answer)

    def sleep(self, seconds):
        owner = self.owner()
        if owner is not None and seconds > 0:
            owner.waited += seconds
        gevent.sleep(seconds)

    def main(self, target):
        self._reader.start(self._read)
        self._before.start(self._flush)
        self._after.start(self._after_wait)
        self._bell.start(self._ring)
        first = self.spawn(target, user=NOBODY)
        first.get()


NOBODYS = Owner(NOBODY)
