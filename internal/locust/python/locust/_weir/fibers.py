"""Fibers: many waiting pieces of user code, of which one runs at a time until it waits.

Hub is what the baton and the greenlet way have in common: who is runnable, who waits until when, and the event loop.
There is no thread or greenlet for the loop: a fiber that must wait hands over to the next runnable one, and when none is
runnable it does the loop's work itself. That saves a switch for each request.
"""

import _thread
import itertools
import os
import sysconfig
import time
import traceback
from collections import deque
from heapq import heappop, heappush

# The originals: scripts (and Weir itself) replace some of these names later.
clock = time.perf_counter
real_sleep = time.sleep
thread_id = _thread.get_ident
start_thread = _thread.start_new_thread
new_lock = _thread.allocate_lock

OWN = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
STANDARD = sysconfig.get_paths().get("stdlib", os.path.dirname(os.__file__)) + os.sep

NOBODY = 0xFFFFFFFF  # the user number of code that belongs to no user
PATIENCE = 0.0005  # how old a queued frame may get while fibers compute


class Stop(BaseException):
    """Ends a fiber. Like gevent's GreenletExit (which is this class here), code that catches Exception does not see it."""


class Abandon(BaseException):
    """Ends a user without its on_stop: Weir has waited long enough."""


class Fiber:
    """One thread of control. The ways differ in how it is switched to; all else is here.

    value holds what it returned, error what it ended with. links are called with the fiber once it has ended.
    """

    def __init__(self, target, args, kwargs, user):
        self.work = (target, args, kwargs)
        self.user = user
        self.waited = 0.0
        self.parked = False
        self.turn = 0
        self.answer = None
        self.exception = None
        self.started = False
        self.done = False
        self.value = None
        self.error = None
        self.links = []

    def run(self):
        """Does the work and tells those who wait for its end."""
        target, args, kwargs = self.work
        self.started = True
        try:
            if self.exception is not None:
                error, self.exception = self.exception, None
                raise error
            self.value = target(*args, **kwargs)
        except Stop as stop:
            self.value = stop
        except BaseException as error:  # sys.exit belongs to whoever waits for this fiber, or to unhandled
            self.error = error
        self.work = None
        self.done = True
        links, self.links = self.links, []
        if self.error is not None and not links:
            traceback.print_exception(type(self.error), self.error, self.error.__traceback__)
        for link in links:
            try:
                link(self)
            except Exception:
                traceback.print_exc()

    def throw(self, error):
        """Makes the fiber raise error where it waits, or at its next wait."""
        if not self.done:
            self.exception = error
            self.hub.wake(self, None)


class Foreign:
    """Stands for a thread that is no fiber (threads that scripts start) while it waits for an answer."""

    user = NOBODY
    waited = 0.0
    done = False
    exception = None

    def __init__(self):
        self.lock = new_lock()
        self.lock.acquire()
        self.answer = None
        self.parked = True
        self.turn = 0


class Hub:
    """Who runs next. Subclasses say how one fiber hands over to another."""

    name = ""

    def __init__(self, channel, deliver):
        self.channel = channel
        self.deliver = deliver  # called with (kind, id, payload) of each frame, must not wait
        self.ready = deque()
        self.batch = deque()
        self.timers = []
        self.order = itertools.count()
        self.polling = False
        self.switches = 0
        self.queued_since = None
        self.closed = False

    # --- what everybody calls -------------------------------------------------

    def wait(self, seconds=None, me=None):
        """Parks the running fiber until wake gives it a value. After so many seconds it gets LATE.

        me is what waiting gave, where the caller had to tell somebody first whom to wake.
        """
        if me is None:
            me = self.waiting()
        if isinstance(me, Foreign):
            return self._wait_foreign(me, seconds)
        if me.exception is not None:
            error, me.exception = me.exception, None
            raise error
        if seconds is not None:
            heappush(self.timers, (clock() + seconds, next(self.order), me, me.turn))
        me.parked = True
        self.hand_over(me)
        me.turn += 1
        answer, me.answer = me.answer, None
        if me.exception is not None:
            error, me.exception = me.exception, None
            raise error
        return answer

    def wake(self, fiber, answer):
        """Makes a parked fiber runnable with what its wait returns. Does nothing for one that is not parked."""
        if not fiber.parked:
            return
        fiber.parked = False
        fiber.answer = answer
        if isinstance(fiber, Foreign):
            fiber.lock.release()
            return
        self.ready.append(fiber)
        if self.polling:
            self.channel.poke()

    def sleep(self, seconds):
        """time.sleep for fibers; other threads sleep as ever."""
        me = self.current()
        if me is None:
            real_sleep(seconds)
            return
        if seconds > 0:
            me.waited += seconds
        self.wait(max(seconds, 0), me)

    def waiting(self):
        """What a wait in this place is known by: a fiber, or a stand-in for a foreign thread, to be given to wake."""
        return self.current() or Foreign()

    def _wait_foreign(self, who, seconds):
        self.channel.poke()
        if who.lock.acquire(True, -1 if seconds is None else seconds):
            return who.answer
        who.parked = False
        return LATE

    # --- the loop -------------------------------------------------------------

    def next(self):
        """The next fiber to run. Does the loop's work while there is none."""
        while True:
            batch = self.batch
            if batch:
                if self.channel.queue:
                    now = clock()
                    if self.queued_since is None:
                        self.queued_since = now
                    elif now - self.queued_since > PATIENCE:
                        self.channel.flush()
                        self.queued_since = None
                return batch.popleft()
            self._turn()
            self.batch, self.ready = self.ready, batch

    def _turn(self):
        channel = self.channel
        if channel.queue or channel.unsent:
            channel.flush()
        self.queued_since = None
        timers = self.timers
        if self.ready:
            patience = 0
        elif timers:
            patience = timers[0][0] - clock()
        else:
            patience = None
        self.polling = True
        if self.ready:  # a foreign thread may have woken somebody before it could see polling
            patience = 0
        try:
            readable = channel.wait(patience)
        finally:
            self.polling = False
        if readable:
            for kind, number, payload in channel.receive():
                self.deliver(kind, number, payload)
        if timers:
            now = clock()
            while timers and timers[0][0] <= now:
                _, _, fiber, turn = heappop(timers)
                if fiber.turn == turn and fiber.parked:
                    fiber.parked = False
                    fiber.answer = LATE
                    self.ready.append(fiber)

    # --- what the ways add ----------------------------------------------------

    def current(self):
        """The running fiber, or None in a thread that is none."""
        raise NotImplementedError

    def room(self):
        """How many users can be held at most; None where nothing bounds them."""
        return None

    def spawn(self, target, *args, user=None, **kwargs):
        """A new fiber, runnable at once, for the same user as the one that makes it."""
        raise NotImplementedError

    def hand_over(self, me):
        """Lets the next fiber run; comes back when it is this one's turn again."""
        raise NotImplementedError

    def main(self, target):
        """Runs target as the first fiber, on the main thread, and the others beside it, until it returns."""
        raise NotImplementedError

    def inherited(self):
        me = self.current()
        return NOBODY if me is None else me.user


class Late:
    """What wait gives when its time was up."""

    def __repr__(self):
        return "<late>"

    def __bool__(self):
        return False


LATE = Late()


def is_users(path):
    """Whether a file is neither Weir's, nor Python's, nor an installed package's."""
    return not (
        path.startswith((OWN, STANDARD, "<")) or f"{os.sep}site-packages{os.sep}" in path or "dist-packages" in path
    )


def place(frame):
    """The innermost place in the user's own files, and the whole stack as text."""
    stack = traceback.extract_stack(frame)
    for entry in reversed(stack):
        if is_users(entry.filename):
            return entry.filename, entry.lineno, entry.name, "".join(traceback.format_list(stack))
    last = stack[-1]
    return last.filename, last.lineno, last.name, "".join(traceback.format_list(stack))
