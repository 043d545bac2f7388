"""The baton way: each fiber is a thread, and exactly one of them, the holder of the baton, runs.

It needs the standard library only. One thread is woken for each wait that ends, directly by the one that begins to wait,
so that the interpreter's lock is never fought for. Code between two waits is not interrupted by other users, as with
gevent: counters and lists that users share stay whole.

Subtle: the list `token` holds the fiber that may run. Who removes it owns the baton: the holder itself when it begins to
wait, or the watchdog when the holder is stuck in foreign code. Both may try at once, and list.remove, which no other thread
interrupts, decides. A fiber that is not in the list any more has lost the baton: it parks without handing over, and is woken
like any other.
"""

import threading

from .fibers import NOBODY, Fiber, Hub, new_lock, start_thread, thread_id

STACK = 1 << 20  # of address space, not of memory: what a thread does not use is not there


def room():
    """How many more threads the container's limit leaves to this process; None where there is no such limit."""
    try:
        with open("/proc/self/cgroup", encoding="ascii") as file:
            place = next(line.strip()[3:] for line in file if line.startswith("0::"))
    except (OSError, StopIteration, UnicodeDecodeError):
        return None
    for folder in ("/sys/fs/cgroup" + place, "/sys/fs/cgroup"):
        try:
            with open(folder.rstrip("/") + "/pids.max", encoding="ascii") as most:
                with open(folder.rstrip("/") + "/pids.current", encoding="ascii") as now:
                    return max(0, int(most.read()) - int(now.read()))
        except (OSError, ValueError):  # no such file, or max
            continue
    return None


class Runner(Fiber):
    """A fiber that is a thread. It waits for its lock, which whoever hands it the baton releases."""

    def __init__(self, hub, target, args, kwargs, user):
        super().__init__(target, args, kwargs, user)
        self.hub = hub
        self.ident = 0
        self.native = None
        self.lock = new_lock()
        self.lock.acquire()


class BatonHub(Hub):
    """Passes the baton between threads."""

    name = "baton"

    def __init__(self, channel, deliver):
        super().__init__(channel, deliver)
        self.token = []
        self.holder = None
        self.fibers = {}

    def room(self):
        return room()

    def current(self):
        holder = self.holder
        me = thread_id()
        if holder is not None and holder.ident == me:
            return holder
        return self.fibers.get(me)

    def spawn(self, target, *args, user=None, **kwargs):
        fiber = Runner(self, target, args, kwargs, self.inherited() if user is None else user)
        before = threading.stack_size(STACK)
        try:
            # Not threading.Thread: its start waits for the new thread, which costs two switches for each user.
            start_thread(self._thread, (fiber,))
        finally:
            threading.stack_size(before)
        self.ready.append(fiber)
        if self.polling:
            self.channel.poke()
        return fiber

    def _thread(self, fiber):
        fiber.ident = thread_id()
        fiber.native = threading.get_native_id()
        self.fibers[fiber.ident] = fiber
        fiber.lock.acquire()
        fiber.run()
        self.fibers.pop(fiber.ident, None)
        try:
            self.token.remove(fiber)
        except ValueError:
            return  # the watchdog took the baton: somebody else runs already
        self.holder = None
        self.pass_on()

    def pass_on(self):
        """Gives the baton, which the caller owns, to the next runnable fiber."""
        following = self.next()
        self.switches += 1
        self.holder = following
        self.token.append(following)
        following.lock.release()

    def hand_over(self, me):
        try:
            self.token.remove(me)
        except ValueError:
            self.channel.poke()  # what this fiber has queued must leave
            me.lock.acquire()
            return
        following = self.next()
        self.switches += 1
        self.holder = following
        self.token.append(following)
        if following is not me:
            following.lock.release()
            me.lock.acquire()

    def steal(self, victim):
        """Takes the baton from a holder that is stuck in foreign code, and runs others. False when it came back in time."""
        try:
            self.token.remove(victim)
        except ValueError:
            return False
        self.holder = None
        self.pass_on()
        return True

    def main(self, target):
        first = Runner(self, target, (), {}, NOBODY)
        first.ident = thread_id()
        first.native = threading.get_native_id()
        self.fibers[first.ident] = first
        self.holder = first
        self.token.append(first)
        first.run()
        if first.error is not None:
            raise first.error
