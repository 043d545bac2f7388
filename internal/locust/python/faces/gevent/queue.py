"""Queues between greenlets."""

import heapq
import time
from collections import deque
from queue import Empty, Full

from .event import Event
from .waiting import Queue as Line


class Queue:
    """First in, first out. maxsize None: no bound."""

    def __init__(self, maxsize=None, items=(), unfinished_tasks=None):
        self.maxsize = maxsize if maxsize is not None and maxsize > 0 else None
        self._readers, self._writers = Line(), Line()
        self._init(items)
        self.unfinished_tasks = self.qsize() if unfinished_tasks is None else unfinished_tasks
        self._finished = Event()
        if not self.unfinished_tasks:
            self._finished.set()

    def _init(self, items):
        self.queue = deque(items)

    def _put(self, item):
        self.queue.append(item)

    def _get(self):
        return self.queue.popleft()

    def _peek(self):
        return self.queue[0]

    def qsize(self):
        """How many items wait in it."""
        return len(self.queue)

    __len__ = qsize

    def __bool__(self):
        return True

    def empty(self):
        """Whether nothing is in it."""
        return not self.qsize()

    def full(self):
        """Whether nothing more fits."""
        return self.maxsize is not None and self.qsize() >= self.maxsize

    def put(self, item, block=True, timeout=None):
        """Puts item in, after a wait for a place when it must be."""
        self._wait(self.full, self._writers, block, timeout, Full)
        self._put(item)
        self.unfinished_tasks += 1
        self._finished.clear()
        self._readers.wake_one()

    def get(self, block=True, timeout=None):
        """Takes an item out, after a wait for one when it must be."""
        self._wait(self.empty, self._readers, block, timeout, Empty)
        item = self._get()
        self._writers.wake_one()
        return item

    def peek(self, block=True, timeout=None):
        """The item that get would take."""
        self._wait(self.empty, self._readers, block, timeout, Empty)
        return self._peek()

    def put_nowait(self, item):
        """put without a wait."""
        self.put(item, block=False)

    def get_nowait(self):
        """get without a wait."""
        return self.get(block=False)

    def task_done(self):
        """Says that an item taken out has been dealt with."""
        if self.unfinished_tasks <= 0:
            raise ValueError("task_done() called too many times")
        self.unfinished_tasks -= 1
        if not self.unfinished_tasks:
            self._finished.set()

    def join(self, timeout=None):
        """Waits until all items have been dealt with."""
        return self._finished.wait(timeout)

    @staticmethod
    def _wait(blocked, line, block, timeout, error):
        deadline = None if timeout is None else time.perf_counter() + timeout
        while blocked():
            left = None if deadline is None else deadline - time.perf_counter()
            if not block or left is not None and left <= 0 or not line.wait(left):
                if blocked():
                    raise error()

    def __iter__(self):
        return self

    def __next__(self):
        item = self.get()
        if item is StopIteration:
            raise item
        return item


class UnboundQueue(Queue):
    """A queue without a bound."""


class LifoQueue(Queue):
    """Last in, first out."""

    def _init(self, items):
        self.queue = list(items)

    def _get(self):
        return self.queue.pop()

    def _peek(self):
        return self.queue[-1]


class PriorityQueue(Queue):
    """The least item first."""

    def _init(self, items):
        self.queue = list(items)
        heapq.heapify(self.queue)

    def _put(self, item):
        heapq.heappush(self.queue, item)

    def _get(self):
        return heapq.heappop(self.queue)


class SimpleQueue(Queue):
    """A queue whose items need no task_done."""


JoinableQueue = Queue

__all__ = [
    "Empty",
    "Full",
    "JoinableQueue",
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "SimpleQueue",
    "UnboundQueue",
]
