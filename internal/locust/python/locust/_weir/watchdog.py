"""A thread beside the fibers. It sees code that stops everybody: foreign calls that block, and loops without end.

With the baton it takes the baton away from a holder that sleeps in foreign code, so that the others go on. In every way it
tells Weir, from two seconds on, where the interpreter is stuck.
"""

import sys

from .fibers import clock, place, real_sleep, start_thread, thread_id

PERIOD = 0.003
IDLE_PERIOD = 0.02
FIRST_REPORT = 2.0


class Watchdog:
    """Watches one hub. steals may be set to False while nothing but Weir's own start runs."""

    def __init__(self, hub, engine):
        self.hub = hub
        self.engine = engine
        self.steals = False
        self.told = set()
        self.loop_thread = thread_id()

    def start(self):
        start_thread(self._watch, ())

    def _watch(self):
        hub = self.hub
        baton = hub.name == "baton"
        seen, since, report = -1, clock(), FIRST_REPORT
        spent = None
        while not hub.closed:
            real_sleep(PERIOD if baton and self.steals and not hub.polling else IDLE_PERIOD)
            now = clock()
            if hub.polling or hub.switches != seen:
                if report > FIRST_REPORT:
                    self._say(op="unstuck", seconds=now - since)
                seen, since, report, spent = hub.switches, now, FIRST_REPORT, None
                continue
            holder = hub.holder if baton else None
            if baton and holder is None:
                continue
            if baton and self.steals:
                before, spent = spent, cpu_of(holder.native)
                if spent == before and (spent is not None or now - since > 4 * PERIOD) and sleeps(holder.native):
                    self._take(holder, seen)
                    spent = None
                    continue
            if now - since >= report:
                report *= 2
                self._report(holder.ident if baton else self.loop_thread, now - since)

    def _take(self, holder, seen):
        frame = sys._current_frames().get(holder.ident)
        if frame is None or self.hub.switches != seen:
            return
        file, line, name, _ = place(frame)
        del frame
        if self.hub.steal(holder) and (file, line) not in self.told:
            self.told.add((file, line))
            self.engine.notice(
                f"{name}() blocks here without Weir knowing. Other users went on meanwhile, but each such call costs some"
                " milliseconds. With gevent installed in this Python, Weir uses it and they cost nothing.",
                file,
                line,
            )

    def _report(self, thread, seconds):
        frame = sys._current_frames().get(thread)
        if frame is None:
            return
        file, line, name, stack = place(frame)
        del frame
        self._say(op="stuck", seconds=seconds, file=file, line=line, function=name, traceback=stack)

    def _say(self, **news):
        # Nobody flushes while the interpreter is stuck.
        self.engine.tell(**news)
        self.hub.channel.flush()


def cpu_of(native):
    """The CPU time a thread has used, as the system writes it; None where the system does not tell.

    Read from a file: asking the thread library about a thread that has just ended would crash the interpreter.
    """
    try:
        with open(f"/proc/self/task/{native}/schedstat", "rb") as stat:
            return stat.read().split()[0]
    except (OSError, IndexError):
        return None


def sleeps(native):
    """Whether the system says that the thread waits (not: runs, or would like to)."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        with open(f"/proc/self/task/{native}/stat", "rb") as stat:
            return stat.read().rpartition(b") ")[2][:1] in b"SD"
    except OSError:
        return False
