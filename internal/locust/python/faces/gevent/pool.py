"""Groups of greenlets, with or without a bound on how many run."""

from locust._weir.fibers import Stop as GreenletExit

from .greenlet import Greenlet, getcurrent, joinall
from .lock import Semaphore
from .waiting import Queue


class Group:
    """Greenlets that are waited for and ended together. Those that have ended leave it."""

    greenlet_class = Greenlet

    def __init__(self, *greenlets):
        self.greenlets = []
        self._empty = Queue()
        for each in greenlets and greenlets[0]:
            self.add(each)

    def __len__(self):
        return len(self.greenlets)

    def __contains__(self, greenlet):
        return greenlet in self.greenlets

    def __iter__(self):
        return iter(self.greenlets[:])

    def add(self, greenlet):
        """Takes a greenlet in."""
        if greenlet not in self.greenlets and not greenlet.dead:
            self.greenlets.append(greenlet)
            greenlet.rawlink(self.discard)

    def discard(self, greenlet):
        """Lets a greenlet go."""
        if greenlet in self.greenlets:
            self.greenlets.remove(greenlet)
            greenlet.unlink(self.discard)
            if not self.greenlets:
                self._empty.wake_all()

    def start(self, greenlet):
        """Starts a greenlet in this group."""
        self.add(greenlet)
        greenlet.start()

    def spawn(self, function, *args, **kwargs):
        """Runs function in a greenlet of this group."""
        made = self.greenlet_class(function, *args, **kwargs)
        self.start(made)
        return made

    def full(self):
        """Whether no more fit: never."""
        return False

    def join(self, timeout=None, raise_error=False):
        """Waits until it is empty."""
        if raise_error:
            joinall(list(self.greenlets), timeout=timeout, raise_error=True)
        while self.greenlets:
            if not self._empty.wait(timeout):
                return False
        return True

    def kill(self, exception=GreenletExit, block=True, timeout=None):
        """Ends all of them."""
        all_of_them = list(self.greenlets)
        for each in all_of_them:
            each.kill(exception, block=False)
        if block:
            current = getcurrent()
            joinall([each for each in all_of_them if each is not current], timeout=timeout)

    def killone(self, greenlet, exception=GreenletExit, block=True, timeout=None):
        """Ends one of them."""
        if greenlet in self.greenlets:
            greenlet.kill(exception, block=block and greenlet is not getcurrent(), timeout=timeout)

    # --- calls ------------------------------------------------------------------

    def apply(self, function, args=None, kwds=None):
        """Calls function in a greenlet and waits for its result."""
        return self.spawn(function, *(args or ()), **(kwds or {})).get()

    def apply_async(self, function, args=None, kwds=None, callback=None):
        """Calls function in a greenlet; callback gets the result."""
        made = self.spawn(function, *(args or ()), **(kwds or {}))
        if callback is not None:
            made.link_value(lambda ended: callback(ended.value))
        return made

    def map(self, function, iterable):
        """The results in the order of the items."""
        return [made.get() for made in [self.spawn(function, item) for item in iterable]]

    def imap(self, function, *iterables):
        """The results in the order of the items, one by one."""
        for made in [self.spawn(function, *items) for items in zip(*iterables)]:
            yield made.get()

    def imap_unordered(self, function, *iterables):
        """The results as they come."""
        from .greenlet import iwait

        for made in iwait([self.spawn(function, *items) for items in zip(*iterables)]):
            yield made.get()

    def map_async(self, function, iterable, callback=None):
        """map in a greenlet."""
        made = Greenlet.spawn(self.map, function, iterable)
        if callback is not None:
            made.link_value(lambda ended: callback(ended.value))
        return made


class Pool(Group):
    """A group in which at most so many run; spawn waits for a place."""

    def __init__(self, size=None, greenlet_class=None):
        super().__init__()
        self.size = size
        if greenlet_class is not None:
            self.greenlet_class = greenlet_class
        self._places = None if size is None else Semaphore(size)

    def start(self, greenlet):
        if self._places is not None:
            self._places.acquire()
        super().start(greenlet)

    def add(self, greenlet):
        super().add(greenlet)

    def discard(self, greenlet):
        inside = greenlet in self.greenlets
        super().discard(greenlet)
        if inside and self._places is not None:
            self._places.release()

    def full(self):
        """Whether all places are taken."""
        return self.free_count() <= 0

    def free_count(self):
        """How many places are free."""
        return 1 if self.size is None else max(0, self.size - len(self.greenlets))

    def wait_available(self, timeout=None):
        """Waits for a place."""
        return 1 if self._places is None else self._places.wait(timeout)
