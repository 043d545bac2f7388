"""The socket to Weir: frames out in batches, frames in as they come.

A frame is a u32 length of what follows, a u8 kind, a u32 id and the payload, little-endian.
"""

import os
import select
import socket
import struct
from collections import deque

from .fibers import new_lock

HEAD = struct.Struct("<IcI")
HEAD_LENGTH = 9
LARGEST = 1 << 20  # what one recv may bring


def connect():
    """Opens what WEIR_CHANNEL names: fd:3, or tcp:HOST:PORT:TOKEN where descriptors cannot be handed on."""
    place = os.environ.pop("WEIR_CHANNEL", "")
    kind, _, rest = place.partition(":")
    if kind == "fd":
        return socket.socket(fileno=int(rest))
    if kind == "tcp":
        host, port, token = rest.split(":", 2)
        connection = socket.create_connection((host, int(port)))
        connection.sendall(token.encode() + b"\n")
        return connection
    raise SystemExit("This package is part of Weir and runs inside of it: weir run locustfile.py")


class Channel:
    """One end of the socket. post may be called from any thread; flush and receive belong to whoever runs the loop.

    closed is called, in whatever thread notices it, when Weir is gone: it must not return, there is nobody to work for.
    """

    def __init__(self, connection, closed):
        self.closed = closed
        connection.setblocking(False)
        os.set_inheritable(connection.fileno(), False)
        self.connection = connection
        self.queue = deque()
        self.unsent = b""
        self._arrived = bytearray()
        self._sending = new_lock()
        self._select = select.select  # as it was before anybody patched it
        # A thread outside the loop wakes it through this pair.
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)

    def post(self, kind, number, payload):
        """Queues a frame. It leaves with the next flush."""
        self.queue.append(HEAD.pack(len(payload) + 5, kind, number) + payload)

    def poke(self):
        """Makes a wait in progress return. For threads that the loop does not know."""
        try:
            self._rope.send(b"!")
        except OSError:
            pass  # the pair is full: the loop is about to wake anyway

    def flush(self):
        """Sends what is queued, as far as the socket takes it now."""
        with self._sending:
            queue = self.queue
            if queue:
                parts = [self.unsent] if self.unsent else []
                try:
                    while True:
                        parts.append(queue.popleft())
                except IndexError:
                    pass
                self.unsent = memoryview(b"".join(parts))  # what is left of a large body is not copied again and again
            while self.unsent:
                try:
                    sent = self.connection.send(self.unsent)
                except (BlockingIOError, InterruptedError):
                    return
                except OSError:
                    self.closed()
                self.unsent = self.unsent[sent:]

    def wait(self, seconds):
        """Waits for something to read (or to send on) at most so long; None is for ever."""
        # select, not poll: its clock is finer than a millisecond, and the three descriptors are among the first.
        writers = [self.connection] if self.unsent else []
        readable, _, _ = self._select(
            [self.connection, self._bell], writers, [], seconds if seconds is None else max(0, seconds)
        )
        if self._bell in readable:
            try:
                self._bell.recv(4096)
            except OSError:
                pass
        return self.connection in readable

    def receive(self):
        """Gives the frames that have arrived whole: (kind, id, payload)."""
        arrived = self._arrived
        try:
            data = self.connection.recv(LARGEST)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            data = b""
        if not data:
            self.closed()
        if arrived:
            arrived += data
            data = arrived
        frames, at, end = [], 0, len(data)
        while end - at >= HEAD_LENGTH:
            length, kind, number = HEAD.unpack_from(data, at)
            if end - at < length + 4:
                break
            frames.append((kind, number, bytes(data[at + HEAD_LENGTH : at + 4 + length])))
            at += length + 4
        if data is arrived:
            del arrived[:at]
        elif at < end:
            arrived += data[at:]
        return frames
