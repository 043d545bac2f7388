"""What every thing to wait for is made of: a list of those who wait."""

from locust._weir.engine import engine
from locust._weir.fibers import LATE, clock


class Queue:
    """Those who wait, in their order."""

    def __init__(self):
        self.waiting = []

    def wait(self, timeout=None):
        """Waits to be woken. False when the time was up first."""
        me = engine.hub.waiting()
        self.waiting.append(me)
        since = clock()
        try:
            return engine.hub.wait(timeout, me) is not LATE
        except BaseException:
            # Woken and stopped at once: somebody else takes what it was woken for.
            if me not in self.waiting:
                self.wake_one()
            raise
        finally:
            me.waited += clock() - since  # no lag of the script: it waits because it wants to
            if me in self.waiting:
                self.waiting.remove(me)

    def wake_one(self):
        """Wakes who has waited longest."""
        if self.waiting:
            engine.hub.wake(self.waiting.pop(0), True)

    def wake_all(self):
        """Wakes everybody."""
        woken, self.waiting[:] = self.waiting[:], []
        for each in woken:
            engine.hub.wake(each, True)
