"""A stand-in for gevent on Weir's own loop: what locustfiles use of it. Whatever is missing says so when it is imported."""

from locust._weir.engine import engine
from locust._weir.fibers import Stop as GreenletExit

from .greenlet import Greenlet, getcurrent, iwait, joinall, kill, killall, spawn, spawn_later, wait
from .timeout import Timeout, with_timeout

__version__ = "24.11.1"
version_info = (24, 11, 1, "final", 0)

spawn_raw = spawn


def sleep(seconds=0, ref=True):
    """Waits; others run meanwhile."""
    engine.sleep(seconds)


def idle(priority=0):
    """Lets others run."""
    engine.sleep(0)


def get_hub():
    """The loop, as far as scripts look at it."""
    from .hub import get_hub as find

    return find()


def signal_handler(signalnum, handler, *args, **kwargs):
    """Calls handler in a greenlet when the signal comes."""
    import signal

    signal.signal(signalnum, lambda _number, _frame: spawn(handler, *args, **kwargs))


def reinit(hub=None):
    """Nothing to do after a fork: the child has no loop."""


def __getattr__(name):
    raise AttributeError(
        f"gevent.{name} is not among the parts of gevent that Weir stands in for. Install gevent in this Python and say"
        " --users-as=gevent: then gevent itself holds the users."
    )


__all__ = [
    "Greenlet",
    "GreenletExit",
    "Timeout",
    "get_hub",
    "getcurrent",
    "idle",
    "iwait",
    "joinall",
    "kill",
    "killall",
    "reinit",
    "signal_handler",
    "sleep",
    "spawn",
    "spawn_later",
    "spawn_raw",
    "wait",
    "with_timeout",
]
