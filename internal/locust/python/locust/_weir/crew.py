"""The users of this process: made, run and stopped as Weir says."""

import logging
import struct
import sys
import traceback
from collections import deque

from gevent import Greenlet, GreenletExit

from locust import log
from locust.exception import StopTest, StopUser

from .engine import engine
from .fibers import NOBODY, Abandon
from .report import origin, problem

START = struct.Struct("<IH")
ONE = struct.Struct("<I")
ENDED = struct.Struct("<IBI")

AS_ASKED, BY_ITSELF, WITH_ERROR = 0, 1, 2

runner_log = logging.getLogger("locust.runners")


class Crew:
    """Users by the numbers Weir gives them. Users are made one after the other: a slow __init__ delays those behind it."""

    def __init__(self, environment):
        self.environment = environment
        self.users = {}
        self.asked = set()
        self.queue = deque()
        self.making = None
        self.full = False
        self.broken = self.over = False  # what is said once for each test

    def start(self, payload):
        """Frame U: users to start."""
        self.queue.extend(START.iter_unpack(payload))
        if self.making is None:
            self.making = engine.spawn(self._make_all, user=NOBODY)

    def _make_all(self):
        try:
            while self.queue:
                number, index = self.queue.popleft()
                self._make(number, self.environment.user_classes[index])
        finally:
            self.making = None

    def _make(self, number, user_class):
        user = None
        if number not in self.asked:
            engine.hub.current().user = number
            user = self._init(number, user_class)
            engine.hub.current().user = NOBODY
        if user is None or number in self.asked:
            self._ended(number, AS_ASKED if number in self.asked else WITH_ERROR)
            return
        greenlet = Greenlet(self._live, user)
        belong(greenlet, number)
        self.users[number] = user
        user._greenlet = greenlet
        user._group = self.environment.runner.user_greenlets
        user._group.add(greenlet)
        # A greenlet that is ended before it began runs nothing: its end is told by the link.
        greenlet.rawlink(lambda _: self._end(number, BY_ITSELF))
        try:
            greenlet.start()
        except RuntimeError as error:
            if not self.full:
                self.full = True
                engine.notice(
                    f"no more threads can be started in this process, so {len(self.users) - 1} users run. Allow more (ulimit -u,"
                    " the pids limit of the container), or install greenlet in this Python: then users need no threads",
                    sys.modules[user_class.__module__].__file__,
                )
            user._group.discard(greenlet)
            self._end(number, WITH_ERROR, str(error))

    def _init(self, number, user_class):
        user = user_class.__new__(user_class, self.environment)
        user._weir_id = number
        try:
            user.__init__(self.environment)
            if not hasattr(user, "environment"):
                raise AssertionError(
                    f"Attribute 'environment' is missing on user {user_class.__name__}. Perhaps you defined your own __init__"
                    " and forgot to call the base constructor? (super().__init__(*args, **kwargs))"
                )
            return user
        except StopTest as error:
            if not self.over:
                self.over = True
                runner_log.error(error)
                runner_log.warning("Stopping Locust...")
                engine.tell(op="quit", why=str(error))
        except Exception as error:
            if not self.broken:
                runner_log.critical("Unhandled exception in greenlet: %s", user_class.__name__, exc_info=True)
            self.broken = True
            log.unhandled_greenlet_exception = True
            problem("init", error, number)
            engine.tell(op="unhandled")
        return None

    def _live(self, user):
        number = user._weir_id
        why, text = BY_ITSELF, ""
        try:
            user.run()
        except (StopUser, StopTest, GreenletExit, Abandon):
            pass
        except SystemExit as error:
            sys_exit(error, number)
            why, text = WITH_ERROR, "sys.exit"
        except KeyboardInterrupt as error:
            file, line = origin(error)
            engine.tell(op="quit", why=f"KeyboardInterrupt in {file}:{line}")
            why, text = WITH_ERROR, "KeyboardInterrupt"
        except Exception as error:
            # Locust has logged it already when it came from on_start; what on_stop raises is shown by gevent alone.
            traceback.print_exc()
            why, text = WITH_ERROR, f"{type(error).__name__}: {error}"
        self._end(number, why, text)

    def _end(self, number, why, text=""):
        if self.users.pop(number, None) is not None:
            self._ended(number, AS_ASKED if number in self.asked else why, text)

    def _ended(self, number, why, text=""):
        self.asked.discard(number)
        said = text.encode()
        engine.post(b"E", 0, ENDED.pack(number, why, len(said)) + said)

    def stop(self, payload):
        """Frame X: users to stop, after their task under way when there is a stop timeout, else at once.

        The second time, the stop timeout is over: at once. on_stop is run in every case.
        """
        graceful = bool(self.environment.stop_timeout)
        for (number,) in ONE.iter_unpack(payload):
            user = self._ask(number)
            if user is None:
                continue
            if not graceful or user._state == "stopping":
                user._greenlet.kill(block=False)
            else:
                user.stop(force=False)

    def kill(self, payload):
        """Frame K: users to end now, without on_stop."""
        for (number,) in ONE.iter_unpack(payload):
            user = self._ask(number)
            if user is not None:
                user._greenlet.kill(Abandon, block=False)

    def _ask(self, number):
        """The user of that number, now among those asked to end. One that is not made yet will not be."""
        user = self.users.get(number)
        if user is not None or any(number == waiting for waiting, _ in self.queue) or self.making is not None:
            self.asked.add(number)
        return user


def belong(greenlet, number):
    """Makes a greenlet, and what it spawns, that user's."""
    if engine.hub.name == "gevent":
        from .gev import Owner

        greenlet.spawn_tree_locals = {"weir": Owner(number)}
    else:
        greenlet.weir_user = number


def sys_exit(error, number):
    """User code wants the process to end: Weir ends the run in order and leaves with that code."""
    file, line = origin(error)
    code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    runner_log.info(f"sys.exit({error.code}) called (use log level DEBUG for callstack)")
    runner_log.debug("sys.exit", exc_info=True)
    if error.code is not None and not isinstance(error.code, int):
        print(error.code)
    engine.tell(op="sys_exit", code=code, file=file, line=line, user=number)
