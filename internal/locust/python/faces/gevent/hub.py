"""The loop, as far as scripts look at it."""

from locust._weir.engine import engine
from locust._weir.fibers import Stop as GreenletExit

from .greenlet import getcurrent


class LoopExit(Exception):
    """Only for scripts that name it."""


class Hub:
    """NOT_ERROR can be set and added to; join ends at once."""

    NOT_ERROR = (GreenletExit, SystemExit)
    SYSTEM_ERROR = (KeyboardInterrupt, SystemExit, SystemError)

    def join(self, timeout=None):
        """Lets others run."""
        engine.sleep(0)
        return True


HUB = Hub()


def get_hub(*args, **kwargs):
    """The one loop."""
    return HUB


def sleep(seconds=0, ref=True):
    """Waits; others run meanwhile."""
    engine.sleep(seconds)


__all__ = ["GreenletExit", "Hub", "LoopExit", "get_hub", "getcurrent", "sleep"]
