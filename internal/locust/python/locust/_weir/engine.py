"""The engine: how the rest of the package talks to Weir, whichever way users are held."""

import json
import struct
import sys

from .fibers import NOBODY, Stop, place

ID = struct.Struct("<I")


class Engine:
    """Requests out, answers in, matched by id. One for each process, made by boot; see engine at the end.

    hub is set once the way to hold users is chosen. control is called for frames that Weir sends by itself.
    """

    def __init__(self):
        self.hub = None
        self.channel = None
        self.control = None
        self.pending = {}
        self.released = []
        self._number = 0
        self.single = None  # the environment of run_single_user
        self.why = ""  # of the way to hold users

    def attach(self, hub, channel):
        self.hub, self.channel = hub, channel
        self.sleep, self.spawn = hub.sleep, hub.spawn

    def number(self):
        """A request id that no open request has."""
        while True:
            self._number = number = (self._number % 0xFFFFFFFE) + 1
            if number not in self.pending:
                return number

    def request(self, payload):
        """Sends a request and waits for its answer: (id, payload of the answer)."""
        number = self.number()
        return number, self._ask(b"R", number, payload)

    def call(self, kind, number, payload=b""):
        """Asks for something and waits for it. number None: a fresh id."""
        return self._ask(kind, self.number() if number is None else number, payload)

    def _ask(self, kind, number, payload):
        if isinstance(payload, (list, tuple)):
            payload = b"".join(payload)
        hub = self.hub
        me = hub.waiting()
        self.pending[number] = me
        self.channel.post(kind, number, payload)
        try:
            return hub.wait(None, me)
        except BaseException:
            self.pending.pop(number, None)
            if kind == b"R":
                self.release(number)  # its answer, when it comes, is nobody's
            raise

    def post(self, kind, number, payload=b""):
        """Sends something that has no answer."""
        if isinstance(payload, (list, tuple)):
            payload = b"".join(payload)
        self.channel.post(kind, number or 0, payload)
        if self.hub is not None and self.hub.polling:
            self.channel.poke()  # this is another thread than the one that waits

    def release(self, number):
        """Says that nobody will ask for the body of that request. Cheap, from finalizers of any thread."""
        self.released.append(number)
        if len(self.released) >= 64:
            self._let_go()

    def _let_go(self):
        numbers, self.released = self.released, []
        self.channel.post(b"D", 0, b"".join(map(ID.pack, numbers)))

    def deliver(self, kind, number, payload):
        """Takes a frame that has arrived. Called by the loop; wakes who waits for it."""
        if kind in b"Abcj":
            me = self.pending.pop(number, None)
            if me is not None:
                self.hub.wake(me, payload)
        else:
            self.control(kind, number, payload)

    # --- what scripts' code belongs to -----------------------------------------

    def current_user(self):
        """The number of the user whose code runs, 0xFFFFFFFF for none."""
        me = self.hub.current() if self.hub is not None else None
        return NOBODY if me is None else me.user

    def waited(self):
        """How long the user has asked to wait since this was called last, in seconds."""
        me = self.hub.current() if self.hub is not None else None
        if me is None:
            return 0.0
        seconds, me.waited = me.waited, 0.0
        return seconds

    # --- control calls ---------------------------------------------------------

    def ask(self, **question):
        """A control call with an answer."""
        return json.loads(self.call(b"J", None, json.dumps(question, default=str).encode()) or b"null")

    def tell(self, **news):
        """A control call without one."""
        self.post(b"J", 0, json.dumps(news, default=str).encode())

    def notice(self, text, file="", line=0):
        """Something the person should know, shown once by Weir. Without a file: about the user code that runs now."""
        if not file:
            file, line, _, _ = place(sys._getframe(1))
        self.tell(op="notice", text=text, file=file, line=line)


engine = Engine()

__all__ = ["Engine", "NOBODY", "Stop", "engine"]
