"""Answers with the face of Locust's fast client, and its exceptions."""

from __future__ import annotations

import json as _json

from ...exception import LocustError
from . import errors
from .headers import CaseInsensitiveDict, lines
from .judged import Counted, Judged
from .response import Response
from .text import guess_encoding

OK = frozenset((200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 301, 302, 303, 304, 307, 308))


class ConnectionError(Exception):
    """A request that failed, with the URL it was for."""

    def __init__(self, url, *args, **kw):
        super().__init__(url, *args)
        self.url = url
        self.__dict__.update(kw)
        self.kw_text = ", ".join("%s=%s" % pair for pair in kw.items())
        text = str(args[0]) if len(args) == 1 else "%s: %s" % (args[0], args[1:]) if args else ""
        self.text = ", ".join(part for part in (text, self.kw_text) if part)

    def __str__(self):
        return "URL %s: %s" % (self.url, self.text) if self.text else "URL %s" % self.url


class LocustBadStatusCode(ConnectionError):
    """An answer whose status is none of success or redirection."""

    def __repr__(self):
        return "%s(%s)" % (type(self).__name__, self.kw_text)


FAILURE_EXCEPTIONS = (ConnectionError, OSError, errors.Shown)

NEEDS_CATCH = (
    "If you want to change the state of the request, you must pass catch_response=True. "
    "See http://docs.locust.io/en/stable/writing-a-locustfile.html#validating-responses"
)


class Headers(CaseInsensitiveDict):
    """The headers of an answer; one that came several times is a list."""

    __slots__ = ()

    @classmethod
    def of(cls, block):
        headers = cls()
        store = headers._store
        for name, value in lines(block):
            low = name.lower()
            old = store.get(low)
            if old is not None:
                value = [*old[1], value] if isinstance(old[1], list) else [old[1], value]
                name = old[0]
            store[low] = (name, value)
        return headers

    def getlist(self, name):
        value = self.get(name, [])
        return value if isinstance(value, list) else [value]

    def __repr__(self):
        return "Headers(%r)" % {name: ", ".join(value) if isinstance(value, list) else value for name, value in self._store.values()}


class FastRequest:
    """The request of an answer."""

    def __init__(self, call):
        self.method = call.method.upper()
        self.url = call.target.url
        self.headers = Headers()
        for text in call.block[4:].decode("latin-1").split("\r\n"):
            name, colon, value = text.partition(": ")
            if colon and name[:1] != ":" and name not in ("Host", "Content-Length"):
                self.headers[name] = value
        self.payload = call.shown

    @property
    def body(self):
        return self.payload

    @property
    def data(self):
        return self.payload


class FastResponse(Counted, Response):
    """The answer to a request of FastHttpSession."""

    __slots__ = ()

    def __getattr__(self, name):
        maker = _MAKERS.get(name)
        if maker is None:
            return Response.__getattr__(self, name)
        value = maker(self)
        setattr(self, name, value)
        return value

    @property
    def text(self):
        content = self.content
        if content is None:
            return None
        if self.encoding is None:
            self.encoding = guess_encoding(content)
        if self.encoding is None:
            return None
        return str(content, str(self.encoding), errors="replace")

    def json(self, **kwargs):
        return _json.loads(self.text, **kwargs)

    @property
    def ok(self):
        return 0 < self.status_code < 400

    @property
    def status(self):
        return str(self.status_code)

    @property
    def data(self):
        return self.content

    @property
    def stream(self):
        return self.raw

    def read(self, n=None):
        return self.raw.read(n)

    def info(self):
        return self.headers

    def _refuse(self):
        error = self.error
        if error:
            raise error

    def _verdict(self):
        return None if self.status_code in OK else self.error

    def iter_content(self, chunk_size=1024, decode_content=True):
        for chunk in Response.iter_content(self, chunk_size):
            if decode_content:
                try:
                    chunk = chunk.decode("utf-8")
                except UnicodeDecodeError:
                    pass
            yield chunk

    def iter_lines(self, chunk_size=512, **_kwargs):
        kept = ""
        for chunk in Response.iter_content(self, chunk_size):
            kept += chunk.decode("utf-8", "replace")
            *whole, kept = kept.split("\n")
            yield from whole
        if kept:
            yield kept

    def success(self):
        raise LocustError(NEEDS_CATCH)

    def failure(self, *_args, **_kwargs):
        raise LocustError(NEEDS_CATCH)

    def __repr__(self):
        return "<%s [%s]>" % (type(self).__name__, self.status_code)


set_class = object.__dict__["__class__"].__set__  # past the property of Response


class ErrorResponse(FastResponse):
    """The answer to a request that got none."""

    __slots__ = ()


def insecure_ssl_context_factory():
    """A TLS context that verifies nothing. Weir does as `insecure` says, and takes no contexts."""
    import ssl

    return ssl._create_unverified_context()


def _make_error(r):
    if r.status_code:
        return None if r.status_code in OK else LocustBadStatusCode(r._call.target.url, code=r.status_code)
    if r._answer is None:
        return None
    return errors.cause_of(r._tail().get("error") or "ConnectionError('request failed')")


_MAKERS = {
    "error": _make_error,
    "headers": lambda r: Headers.of(r._piece(1)) if r.status_code else None,
    "url": lambda r: r._call.target.url,
    "request": lambda r: FastRequest(r._call),
}


class ResponseContextManager(Judged, FastResponse):
    """An answer that the script judges."""

    __slots__ = ()

    def _verdict(self):
        result = self._manual_result
        if result is not None:
            return None if result is True else result
        if self._meta is not None and self._meta["exception"] is not None:
            return self._meta["exception"]
        return None if self.status_code in OK else self.error


class RestResponseContextManager(ResponseContextManager):
    """What `rest` yields: `js` is the decoded JSON."""

    __slots__ = ()
