"""A stand-in for Weir's Go side: starts the interpreter, speaks the channel, answers requests from a function."""

import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
BOOT = os.path.join(os.path.dirname(HERE), "boot.py")
HEAD = struct.Struct("<IcI")


class Request:
    """One R frame, taken apart."""

    def __init__(self, payload):
        self.user, self.session, self.flags, self.waited, self.connect, self.read = struct.unpack_from(
            "<IIHdII", payload
        )
        at = struct.calcsize("<IIHdII")

        def text(form):
            nonlocal at
            (length,) = struct.unpack_from(form, payload, at)
            at += struct.calcsize(form)
            piece = payload[at : at + length]
            at += length
            return piece

        self.method = text("<B").decode()
        self.name = text("<H").decode()
        self.url = text("<I").decode()
        self.headers = text("<I").decode("latin-1")
        self.body = text("<I")


def answer(status=200, body=b"{}", reason="OK", headers="Content-Type: application/json\r\n", failure=0, tail=b""):
    """The payload of an A frame."""
    flags = 1 | (2 if tail else 0)
    reason, headers = reason.encode(), headers.encode("latin-1")
    return b"".join(
        [
            struct.pack("<HBBdddI", status, failure, flags, 0.005, 5.0, time.time(), len(body)),
            struct.pack("<H", len(reason)) + reason,
            struct.pack("<I", len(headers)) + headers,
            struct.pack("<I", len(tail)) + tail,
            struct.pack("<I", len(body)) + body,
        ]
    )


class Peer:
    """One interpreter. The frames it sends are kept by kind; requests are answered by respond(request)."""

    def __init__(self, python=sys.executable, respond=None, cwd=None, env=None):
        ours, theirs = socket.socketpair()
        os.set_inheritable(theirs.fileno(), True)
        environment = {**os.environ, "WEIR_CHANNEL": f"fd:{theirs.fileno()}", "PYTHONUNBUFFERED": "1", **(env or {})}
        self.out = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [python, BOOT],
            pass_fds=[theirs.fileno()],
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self.out,
            stderr=subprocess.STDOUT,
        )
        theirs.close()
        self.socket = ours
        self.buffer = bytearray()
        self.respond = respond or (lambda request: answer())
        self.frames = defaultdict(list)
        self.requests = []
        self.answers = {}
        self.ended = {}
        self.number = 0
        self.stats = {"entries": [], "total": {}, "errors": []}

    def send(self, kind, number=0, payload=b""):
        """Sends one frame."""
        if isinstance(payload, (dict, list)):
            payload = json.dumps(payload).encode()
        self.socket.sendall(HEAD.pack(len(payload) + 5, kind, number) + payload)

    def turn(self, seconds=0.1):
        """Reads what has come and reacts. False at the end of the channel."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return True
        data = self.socket.recv(1 << 20)
        if not data:
            return False
        self.buffer += data
        while len(self.buffer) >= 9:
            length, kind, number = HEAD.unpack_from(self.buffer)
            if len(self.buffer) < length + 4:
                break
            payload = bytes(self.buffer[9 : 4 + length])
            del self.buffer[: length + 4]
            self.take(kind, number, payload)
        return True

    def take(self, kind, number, payload):
        """One frame from the interpreter."""
        if kind == b"R":
            request = Request(payload)
            self.requests.append(request)
            reply = self.respond(request)
            if reply is not None:
                self.send(b"A", number, reply)
        elif kind == b"j":
            self.answers[number] = json.loads(payload)
        elif kind == b"E":
            user, why, length = struct.unpack_from("<IBI", payload)
            self.ended[user] = (why, payload[9 : 9 + length].decode())
        elif kind in (b"J", b"S", b"P", b"H"):
            told = json.loads(payload)
            self.frames[kind].append(told)
            if kind == b"J" and number:
                self.send(b"j", number, self.stats if told["op"] == "stats" else {})
        elif kind == b"C":
            self.frames[kind].append(json.loads(payload))
            self.send(b"c", number, {"cookies": []})
        else:
            self.frames[kind].append(payload)

    def ask(self, kind, question, seconds=120):
        """Sends a question and waits for its answer."""
        self.number += 1
        number = self.number
        self.send(kind, number, question)
        self.until(lambda: number in self.answers, seconds)
        return self.answers.pop(number)

    def event(self, name, **arguments):
        """Fires an event and waits for its answer."""
        return self.ask(b"N", {"event": name, **arguments})

    def until(self, condition, seconds=120):
        """Turns until condition is true; fails with the interpreter's output when that takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or not self.turn(0.05):
                raise AssertionError("the interpreter did not do it in time; it has printed:\n" + self.printed())

    def printed(self):
        """What the interpreter has printed so far."""
        # pread: the interpreter writes at the file's position, which seek would move.
        return os.pread(self.out.fileno(), 1 << 24, 0).decode(errors="replace")

    def load(self, *files, argv=None, **options):
        """Frame L."""
        question = {"files": list(files) or None, "argv": argv, "options": options, "use_config": argv is not None}
        return self.ask(b"L", question)

    def start(self, *users):
        """Frame U: (number, class index) of each."""
        self.send(b"U", 0, b"".join(struct.pack("<IH", *user) for user in users))

    def stop(self, *users):
        """Frame X."""
        self.send(b"X", 0, b"".join(struct.pack("<I", user) for user in users))

    def bye(self):
        """Ends the interpreter in order; gives its exit code."""
        if self.process.poll() is None:
            try:
                self.event("bye")
            except (AssertionError, OSError):
                pass
        return self.close()

    def close(self):
        """Ends the interpreter one way or another."""
        self.socket.close()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.out.close()
        return code


def write(folder, name, text):
    """Writes a locustfile, indentation taken away."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(textwrap.dedent(text))
    return path
