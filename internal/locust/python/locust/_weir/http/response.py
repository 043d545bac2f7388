"""Answers, with the face of `requests.Response`. What a script does not look at is not unpacked."""

from __future__ import annotations

import json as _json
import re
from datetime import timedelta
from struct import Struct

from .. import engine as _engine
from . import errors
from .headers import CaseInsensitiveDict, received
from .poser import posing
from .coding import decoder, unpacked
from .text import decode_chunks, encoding_of, field, guess_encoding, parse_links, slices

# status, failure, flags, elapsed s, response time ms, sent (unix s), bytes of the body
HEAD = Struct("<HBBdddI")
WHOLE, TAIL, COOKIES, LIVE, CODED = 1, 2, 4, 8, 16
told = re.compile(rb"limit|retry-after|quota", re.IGNORECASE).search  # what tells a limit has one of these in it
_u16, _u32 = Struct("<H").unpack_from, Struct("<I").unpack_from

_loads = _json.loads
REDIRECTS = (301, 302, 303, 307, 308)
UNREAD = object()


class Held:
    """A body that waits at Weir, until it is fetched or nobody wants it any more. A live one is still coming.

    Subtle: to let go of an answer also says that no verdict on it will come. So
    while one is awaited (wait), letting go is put off until settle.
    """

    __slots__ = ("id", "done", "wait", "live")

    def __init__(self, id, wait=False, live=False):
        self.id = id
        self.done = False
        self.wait = wait
        self.live = live

    def read(self, size=None):
        """(bytes, whether that was the end); size None: all there is. A live one gives a chunk of the server with 0."""
        if self.done:
            return b"", True
        reply = _engine.engine.call(b"B", self.id, b"" if size is None else size.to_bytes(4, "little"))
        state, data = reply[0], reply[1:]
        if state == 2:
            self.release()
            raise errors.broken(bytes(data).decode("utf-8", "replace"))
        if state == 1:
            self.release()
        return bytes(data), state == 1

    def release(self):
        if not self.done:
            self.done = True
            if not self.wait:
                self._let_go()

    __del__ = release

    def _let_go(self):
        if not self.live:
            let_go(self.id)
            return
        try:
            _engine.engine.post(b"D", 0, self.id.to_bytes(4, "little"))  # at once: the server may send for ever
        except Exception:  # noqa: BLE001 - the interpreter is on its way out
            pass

    def settle(self):
        """The verdict has been given."""
        if self.wait:
            self.wait = False
            if self.done:
                self._let_go()


def let_go(id):
    try:
        _engine.engine.release(id)
    except Exception:  # noqa: BLE001 - the interpreter is on its way out
        pass


class Awaited:
    """An answer that the script is to judge. Lets Weir know when it never will, so that nobody waits."""

    __slots__ = ("id",)

    def __init__(self, id):
        self.id = id

    def __del__(self):
        if self.id is not None:
            let_go(self.id)


class Response:
    """The answer to a request.

    Attributes are made when they are first looked at, in `__getattr__`, and then
    are plain attributes, which a script may also set.
    """

    __slots__ = (
        "status_code", "reason", "url", "headers", "encoding", "history", "cookies", "elapsed", "request", "error", "_content", "weir",
        "_answer", "_held", "_call", "_meta", "_manual_result", "_entered", "_catch_response", "_id", "_streamed", "_cause", "_slices", "_awaited", "__dict__",
        "__weakref__",
    )  # fmt: skip

    __class__ = posing("Response")

    def __init__(self):
        self._answer = self._held = self._call = None
        self._content = None
        self.status_code = None
        self.headers = CaseInsensitiveDict()
        self.url = self.reason = self.encoding = self.request = None
        self.history = []
        self.elapsed = timedelta(0)

    # What is unpacked on demand.

    def __getattr__(self, name):
        maker = _MAKERS.get(name)
        if maker is None:
            raise AttributeError("'%s' object has no attribute '%s'" % (type(self).__name__, name))
        value = maker(self)
        setattr(self, name, value)
        return value

    def _parts(self):
        """Where the pieces of the answer begin: (reason, headers, tail, body) as (start, end)."""
        answer = self._answer
        one = HEAD.size + 2
        one_end = one + _u16(answer, one - 2)[0]
        two = one_end + 4
        two_end = two + _u32(answer, one_end)[0]
        three = two_end + 4
        three_end = three + _u32(answer, two_end)[0]
        four = three_end + 4
        parts = self._slices = ((one, one_end), (two, two_end), (three, three_end), (four, four + _u32(answer, three_end)[0]))
        return parts

    def _piece(self, number):
        start, end = self._slices[number]
        return bytes(self._answer[start:end])

    def _tail(self):
        if self._answer is None or not self._answer[3] & TAIL:
            return {}
        return _json.loads(self._piece(2) or b"{}")

    @property
    def content(self):
        content = self._content
        if content is UNREAD:
            held = self._held
            if held is None:
                content = self._piece(3)
            else:
                pieces = []
                end = False
                while not end:
                    piece, end = held.read()
                    pieces.append(piece)
                content = b"".join(pieces)
                if held.live:
                    content = self._inflated(content)
            content = self._content = self._decoded(content)
        elif content is _SPENT:
            raise RuntimeError("The content for this response was already consumed")
        return content

    def _decoded(self, content):
        """What Weir does not decompress: of the codings that it knows, only the script may have the packages for others."""
        if content and self._answer[3] & CODED:
            return unpacked(self.headers.get("content-encoding") or "", content)
        return content

    def _inflated(self, content):
        """A body that came compressed, as live ones do."""
        inflate = decoder(self.headers.get("content-encoding"))
        if inflate is None:
            return content
        return inflate(content) + inflate(None)

    @property
    def text(self):
        content = self.content
        if not content:
            return ""
        encoding = self.encoding
        if encoding is None:
            encoding = self.apparent_encoding
        try:
            return str(content, encoding or "utf-8", errors="replace")
        except (LookupError, TypeError):
            return str(content, errors="replace")

    def json(self, **kwargs):
        content = self.content
        try:
            if content and not kwargs and self.encoding == "utf-8":
                return _loads(content.decode("utf-8", "replace"))
            if content and self.encoding is None and len(content) > 3:
                encoding = _json.detect_encoding(content)
                try:
                    return _json.loads(content.decode(encoding), **kwargs)
                except UnicodeDecodeError:
                    pass
            return _json.loads(self.text, **kwargs)
        except _json.JSONDecodeError as e:
            raise errors.json_error(e) from None

    @property
    def apparent_encoding(self):
        return guess_encoding(self.content or b"")

    @property
    def ok(self):
        status = self.status_code
        if not status:  # requests, too, raises here what went wrong
            self.raise_for_status()
        return status < 400 or status >= 600

    def __bool__(self):
        return self.ok

    def raise_for_status(self):
        self._refuse()

    def _refuse(self):
        text = self._status_text(self.url)
        if text:
            raise errors.exceptions().HTTPError(text, response=self)

    def _status_text(self, url):
        status = self.status_code
        if status < 400 or status >= 600:
            return ""
        reason = self.reason
        if isinstance(reason, bytes):
            try:
                reason = reason.decode("utf-8")
            except UnicodeDecodeError:
                reason = reason.decode("iso-8859-1")
        return "%s %s Error: %s for url: %s" % (status, "Client" if status < 500 else "Server", reason, url)

    @property
    def is_redirect(self):
        return self.status_code in REDIRECTS and "location" in self.headers

    @property
    def is_permanent_redirect(self):
        return self.status_code in (301, 308) and "location" in self.headers

    @property
    def next(self):
        return None

    @property
    def links(self):
        found = {}
        for link in parse_links(self.headers.get("link") or ""):
            found[link.get("rel") or link.get("url")] = link
        return found

    @property
    def raw(self):
        return Raw(self) if self._answer is not None else None

    @property
    def connection(self):
        call = self._call
        return call.session if call is not None else None

    def iter_content(self, chunk_size=1, decode_unicode=False):
        if chunk_size is not None and not isinstance(chunk_size, int):
            raise TypeError("chunk_size must be an int, it is instead a %s." % type(chunk_size))
        if self._content is _SPENT:
            raise errors.raiser("StreamConsumedError", "The content for this response was already consumed")
        chunks = self._stream(chunk_size) if self._content is UNREAD and self._held is not None else slices(self.content or b"", chunk_size)
        return decode_chunks(chunks, self.encoding) if decode_unicode else chunks

    def _stream(self, size):
        self._content = _SPENT
        held = self._held
        if held.live:
            yield from self._flow(held, size)
            return
        kept, end = b"", False
        while not end:
            piece, end = held.read(size or 0)
            if not size:
                if piece:
                    yield piece
                continue
            kept = kept + piece if kept else piece
            while len(kept) >= size:
                yield kept[:size]
                kept = kept[size:]
        if kept:
            yield kept

    def _flow(self, held, size):
        """The pieces of a body as they come: the chunks of the server, or so many bytes."""
        inflate = decoder(self.headers.get("content-encoding"))
        end = False
        while not end:
            piece, end = held.read(size or 0)
            if inflate is not None:
                piece = inflate(None if end else piece)
            if piece:
                yield piece

    def iter_lines(self, chunk_size=512, decode_unicode=False, delimiter=None):
        pending = None
        for chunk in self.iter_content(chunk_size=chunk_size, decode_unicode=decode_unicode):
            if pending is not None:
                chunk = pending + chunk
            found = chunk.split(delimiter) if delimiter else chunk.splitlines()
            pending = found.pop() if found and found[-1] and chunk and found[-1][-1] == chunk[-1] else None
            yield from found
        if pending is not None:
            yield pending

    def __iter__(self):
        return self.iter_content(128)

    def close(self):
        if self._content is UNREAD or self._content is _SPENT:
            if self._held is not None and getattr(self, "_streamed", False):
                self._held.release()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def __repr__(self):
        return "<Response [%s]>" % self.status_code

    def __reduce__(self):
        return _restored, (type(self), self.__getstate__())

    def __getstate__(self):
        names = ("status_code", "headers", "url", "history", "encoding", "reason", "elapsed", "error")
        state = {name: getattr(self, name) for name in names}
        state["_content"] = self.content
        return state

    def __setstate__(self, state):
        self._answer = self._held = self._call = None
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def response_time(self):
        """Milliseconds, as recorded."""
        return HEAD.unpack_from(self._answer)[4] if self._answer is not None else 0.0


_SPENT = object()


def _restored(kind, state):
    r = kind.__new__(kind)
    r.__setstate__(state)
    return r


class Raw:
    """As much of urllib3's answer as scripts use."""

    version = 11
    decode_content = True

    def __init__(self, response):
        self._response = response
        self._left = None
        self.status = response.status_code
        self.reason = response.reason
        self.headers = response.headers

    def read(self, amt=None, decode_content=None):
        """amt bytes, or all. Of a body that is still coming they are as the server sent them, unless decode_content is true."""
        response = self._response
        held = response._held
        if self._left is None and held is not None and held.live and response._content in (UNREAD, _SPENT):
            if amt is None or amt < 0:
                if response._content is UNREAD and decode_content:
                    return response.content
                amt = None
            response._content = _SPENT
            data, end = held.read(amt)
            while not end and (amt is None or len(data) < amt):
                piece, end = held.read(None if amt is None else amt - len(data))
                data += piece
            return data
        if self._left is None:
            self._left = self._response.content or b""
        data, self._left = (self._left, b"") if amt is None or amt < 0 else (self._left[:amt], self._left[amt:])
        return data

    def stream(self, amt=65536, decode_content=None):
        while True:
            data = self.read(amt)
            if not data:
                return
            yield data

    @property
    def data(self):
        return self._response.content

    def getheader(self, name, default=None):
        return self.headers.get(name, default)

    def getheaders(self):
        return self.headers

    def close(self):
        self._response.close()

    release_conn = close

    def isclosed(self):
        return self._left == b""


def unpack(kind, call, id, answer, wait=False):
    """A Response of that kind from an answer. wait: a verdict on it will be given."""
    r = kind.__new__(kind)
    r._answer = answer
    r._call = call
    r._id = id
    r.status_code = answer[0] | answer[1] << 8
    r._content = UNREAD if r.status_code else None
    call.held = r._held = None if answer[3] & WHOLE or not r.status_code else Held(id, wait, bool(answer[3] & LIVE))
    return r


# How each attribute is made from the answer.


def _no_answer(r):
    return r._answer is None or r._answer[0:2] == b"\0\0"


def _make_headers(r):
    return CaseInsensitiveDict() if _no_answer(r) else received(r._piece(1))


def _make_reason(r):
    return None if _no_answer(r) else r._piece(0).decode("latin-1")


def _make_url(r):
    if _no_answer(r):
        return None
    return r._tail().get("url") or r._call.url


def _make_encoding(r):
    if _no_answer(r):
        return None
    return encoding_of(field(r._piece(1), b"content-type"))


def _make_content(r):
    return None if _no_answer(r) else UNREAD


def _make_elapsed(r):
    return timedelta(0) if _no_answer(r) else timedelta(seconds=HEAD.unpack_from(r._answer)[3])


def _make_cookies(r):
    from .cookies import of_answer

    return of_answer(b"" if _no_answer(r) else r._piece(1), r.url)


def _make_history(r):
    return [] if _no_answer(r) else [_earlier(r, hop) for hop in r._tail().get("history") or ()]


def _earlier(r, hop):
    old = type(r).__new__(type(r))
    old._answer = old._held = None
    old._call = r._call
    old._content = (hop.get("body") or "").encode("latin-1")
    old.status_code = hop["status"]
    old.url = hop["url"]
    old.reason = hop.get("reason") or ""
    block = (hop.get("headers") or "").encode("latin-1", "replace")
    old.headers = received(block)
    old.encoding = encoding_of(old.headers.get("content-type"))
    old.elapsed = timedelta(seconds=hop.get("elapsed") or 0)
    old.history = []
    old.error = None
    from .cookies import of_answer

    old.cookies = of_answer(block, old.url)
    return old


def _make_request(r):
    return r._call.prepared_request(r) if r._call is not None else None


def _make_error(r):
    return _failure(r)[0]


def _make_cause(r):
    return _failure(r)[1]


def _failure(r):
    if r._answer is None or r.status_code or not r._answer[2]:
        pair = (None, None)
    else:
        pair = r._call.session._exceptions(r)
    r.error, r._cause = pair
    return pair


def _make_weir(r):
    if _no_answer(r) or not told(r._piece(1)):
        return Limits()
    return Limits(_engine.engine.ask(op="limits", fields=r._piece(1).decode("latin-1")) or ())


_MAKERS = {
    "_slices": Response._parts,
    "headers": _make_headers, "reason": _make_reason, "url": _make_url, "encoding": _make_encoding, "_content": _make_content,
    "elapsed": _make_elapsed, "cookies": _make_cookies, "history": _make_history, "request": _make_request, "error": _make_error,
    "_cause": _make_cause, "weir": _make_weir, "_manual_result": lambda r: None, "_entered": lambda r: False,
    "_catch_response": lambda r: False, "_streamed": lambda r: False, "_meta": lambda r: None, "_held": lambda r: None, "_awaited": lambda r: None,
}  # fmt: skip


class Limits(list):
    """What the answer says about rate limits: a list of them as dicts, first the one nearest to its end, whose fields are at hand."""

    def _first(self, name):
        return self[0].get(name) if self else None

    @property
    def limit(self):
        return self._first("limit")

    @property
    def remaining(self):
        return self._first("remaining")

    @property
    def reset(self):
        return self._first("reset")

    @property
    def retry_after(self):
        return self._first("retry_after")
