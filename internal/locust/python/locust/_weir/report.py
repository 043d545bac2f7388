"""What the package tells Weir about scripts: samples of their own clients, and problems."""

import json
import sys
import time
import traceback

from .engine import engine
from .fibers import NOBODY, is_users, place


def text_of(error):
    """How a failure is named in statistics: text as it is, exceptions by repr, addresses of objects blotted out."""
    text = error if isinstance(error, str) else repr(error)
    mark = "object at 0x"
    at = text.find(mark)
    if at < 0:
        return text
    start = at + len(mark) - 2
    end = text.find(">", start)
    return text if end < 0 else text.replace(text[start:end], "0x....")


def sample(arguments):
    """Sends one request of a script's own client to the statistics."""
    error = arguments.get("exception")
    engine.post(
        b"S",
        0,
        _json(
            {
                "type": str(arguments.get("request_type", "")),
                "name": str(arguments.get("name", "")),
                "ms": arguments.get("response_time"),
                "length": arguments.get("response_length") or 0,
                "error": text_of(error) if error else None,
                "start": arguments.get("start_time") or time.time(),
                "user": engine.current_user(),
            }
        ),
    )


def _json(value):
    return json.dumps(value, default=str).encode()


def problem(kind, error, user=NOBODY):
    """Tells Weir of an exception that user code did not catch. kind: task, listener, init or shape."""
    file, line = origin(error)
    engine.post(
        b"P",
        0,
        _json(
            {
                "kind": kind,
                "user": user,
                "type": type(error).__name__,
                "message": str(error),
                "traceback": "".join(traceback.format_tb(error.__traceback__)),
                "file": file,
                "line": line,
            }
        ),
    )


def origin(error):
    """The file and line of the user's own code that an exception passed last."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    entries = traceback.extract_tb(error.__traceback__)
    for entry in reversed(entries):
        if is_users(entry.filename):
            return entry.filename, entry.lineno
    return (entries[-1].filename, entries[-1].lineno) if entries else ("", 0)


def listener_failed(error):
    """A listener raised: Weir shows where, and the exit code says so."""
    if engine.hub is not None:
        problem("listener", error, engine.current_user())
        engine.tell(op="unhandled")


def caller(depth=2):
    """The user's file and line that led to the call: for notices."""
    file, line, _, _ = place(sys._getframe(depth))
    return file, line
