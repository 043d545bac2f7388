"""Answers that are counted, and those that the script judges itself."""

from __future__ import annotations

from struct import Struct

from ...exception import CatchResponseError, LocustError, ResponseError
from .. import engine as _engine
from .frame import pack_name

# verdict, name follows; then response time ms, response length, length of the text
_TIMES = Struct("<dqI")
NAN = float("nan")
SUCCESS, FAILURE, AS_STATUS, NOT_COUNTED = range(4)


def verdict(what, name="", ms=NAN, length=-1, text=""):
    """The payload of a `V` frame."""
    raw = text.encode("utf-8", "replace")
    return bytes((what,)) + pack_name(name) + _TIMES.pack(ms, length, len(raw)) + raw


class Judged:
    """What makes an answer one that the script judges: with catch_response=True and a with block."""

    __slots__ = ()

    def __enter__(self):
        self._entered = True
        if not self._catch_response:
            raise LocustError("In order to use a with-block for requests, you must also pass catch_response=True")
        return self

    def __exit__(self, exc, value, traceback):
        result = self._manual_result
        if result is not None:
            self._report(None if result is True else result)
            return exc is None
        if exc:
            if not isinstance(value, ResponseError):
                self._drop()
                return False
            self._report(value)
        else:
            self._report(self._verdict())
        return True

    def success(self):
        """Counts the request as successful, whatever its status."""
        self._judge("success()", True)

    def failure(self, exc):
        """Counts the request as failed, with that text or exception."""
        self._judge("failure(...)", exc if isinstance(exc, Exception) else CatchResponseError(exc))

    def _judge(self, call, result):
        if not self._entered:
            raise LocustError(
                "Tried to set status on a request that has not yet been made. Make sure you use a with-block, like this:\n\n"
                "with self.client.request(..., catch_response=True) as response:\n    response." + call
            )
        self._manual_result = result

    def raise_for_status(self):
        """Raises what the script said, or else what the answer says."""
        result = self._manual_result
        if not result:
            super().raise_for_status()
        elif isinstance(result, Exception):
            raise result

    def _drop(self):
        if self._id is not None and self._catch_response:
            _engine.engine.post(b"V", self._id, verdict(NOT_COUNTED))
            self._id = None
            if self._awaited is not None:
                self._awaited.id = None
            if self._call.held is not None:
                self._call.held.settle()


class Counted:
    """What every answer of a counting client has."""

    __slots__ = ()

    @property
    def request_meta(self):
        """What is told to listeners of the request event, and may be changed before the with block ends."""
        meta = self._meta
        if meta is None:
            meta = self._meta = self._call.session._meta_of(self)
        return meta

    def _name(self):
        call = self._call
        return call.name if call.name else call.target.path

    def _report(self, exception):
        """Says how the request is to be counted, once, and tells the listeners."""
        self._call.session._report(self, self._call, exception)
