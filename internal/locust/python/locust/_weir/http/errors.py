"""What went wrong with a request, as the exceptions that `requests` raises.

The classes are those of `requests.exceptions` when the script has imported
requests, so that `except requests.ConnectionError` catches them; else Weir's own
of the same names. requests itself is never imported for it: that takes a while,
and the load would stand still.
"""

from __future__ import annotations

import re
import socket
import sys
from urllib.parse import urlsplit

from . import tree

# Numbers of hit.Failure on the Go side.
(NONE, DNS, REFUSED, CONNECT_TIMEOUT, CONNECT_FAILED, TLS, SEND_FAILED, TIMEOUT, CLOSED, BAD_ANSWER, TOO_LARGE,
 REDIRECTS, PROXY, INTERRUPTED, CHECK, OTHER) = range(16)  # fmt: skip


def exceptions():
    """The module with the exceptions: requests' own, or tree."""
    return sys.modules.get("requests.exceptions") or tree


def raiser(kind, *args, **kwargs):
    """An exception of requests by the name of its class."""
    return getattr(exceptions(), kind)(*args, **kwargs)


class Shown(Exception):
    """Base of exceptions that show themselves with the text that was recorded, under any class name."""

    text = ""

    def __repr__(self):
        return self.text

    def __str__(self):
        return message(self.text)


_named = re.compile(r"([A-Za-z_]\w*)\((.*)\)\Z", re.DOTALL).match
_classes = {}


def shown(text):
    """An exception whose repr is text; its class has the name that the text begins with."""
    m = _named(text)
    name = m.group(1) if m else "RequestError"
    kind = _classes.get(name)
    if kind is None:
        kind = _classes[name] = type(name, (Shown,), {})
    error = kind(message(text))
    error.text = text
    return error


def message(text):
    """What str() gives of an exception with that repr: the only string argument, or all of them."""
    m = _named(text)
    inner = m.group(2) if m else text
    if len(inner) > 1 and inner[0] in "'\"" and inner[-1] == inner[0] and inner[0] not in inner[1:-1].replace("\\" + inner[0], ""):
        return inner[1:-1].replace("\\" + inner[0], inner[0])
    return inner


_errno = re.compile(r"(\w+)\((-?\d+), ('[^']*')\)\Z").match
_NATIVE = {
    "ConnectionRefusedError": ConnectionRefusedError, "ConnectionResetError": ConnectionResetError, "BrokenPipeError": BrokenPipeError,
    "OSError": OSError, "gaierror": socket.gaierror, "TimeoutError": TimeoutError, "ConnectionAbortedError": ConnectionAbortedError,
}  # fmt: skip


def cause_of(text):
    """The exception with that repr: the interpreter's own class where it has one."""
    m = _errno(text)
    if m and m.group(1) in _NATIVE:
        error = _NATIVE[m.group(1)](int(m.group(2)), m.group(3)[1:-1])
    elif text.startswith("RemoteDisconnected("):
        from http.client import RemoteDisconnected  # it takes a while, and few runs need it

        error = RemoteDisconnected(message(text))
    else:
        return shown(text)
    return error if repr(error) == text else shown(text)


def pair(failure, tail, call):
    """The exception a script sees, and the one that statistics show: they differ
    because Locust looks for the cause at the bottom of a connection error."""
    e = exceptions()
    text = tail.get("error") or "ConnectionError('request failed')"
    request = call.prepared_request(None)
    m = _named(text)
    name, inner = m.groups() if m else ("", text)
    wrapped = getattr(e, name, None)
    if isinstance(wrapped, type) and issubclass(wrapped, e.RequestException) and name not in ("ConnectionError", "SSLError"):
        # It is an exception of requests itself: ReadTimeout(ReadTimeoutError(…)), TooManyRedirects('…').
        only = message(text) if inner[:1] in "'\"" else shown(inner)
        outer = wrapped(only, request=request)
        if repr(outer) != text:
            return outer, shown(text)
        return outer, outer
    cause = cause_of(inner if name == "SSLError" and inner[:3] == "SSL" else text)
    kind = {CONNECT_TIMEOUT: e.ConnectTimeout, TLS: e.SSLError, PROXY: e.ProxyError}.get(failure, e.ConnectionError)
    outer = kind(shown(around(failure, cause, call)), request=request)
    outer.__context__ = cause
    return outer, shown(text) if repr(cause) != text else cause


def broken(text):
    """What a script sees when a body that it reads as it comes is not complete. text is as in statistics."""
    m = _named(text)
    name, inner = m.groups() if m else ("", text)
    if name == "ReadTimeout":
        return exceptions().ConnectionError(message(inner).partition(" (read timeout=")[0])
    if name == "ChunkedEncodingError":
        return exceptions().ChunkedEncodingError(message(text) if inner[:1] in "'\"" else shown(inner))
    return exceptions().ChunkedEncodingError(message(text))


def around(failure, cause, call):
    """The text that requests puts around the cause of a connection error."""
    if failure not in (DNS, REFUSED, CONNECT_TIMEOUT, CONNECT_FAILED, TLS):
        return "ProtocolError('Connection aborted.', %r)" % cause
    parts = urlsplit(call.target.url)
    kind = "HTTPS" if parts.scheme == "https" else "HTTP"
    port = parts.port or (443 if kind == "HTTPS" else 80)
    place = "(host=%r, port=%s)" % (parts.hostname, port)
    if failure == DNS:
        why = 'NameResolutionError("%sConnection%s: Failed to resolve %r (%s)")' % (kind, place, parts.hostname, cause)
    elif failure == CONNECT_TIMEOUT:
        why = repr(cause)
    elif failure == TLS:
        why = "SSLError(%r)" % cause
    else:
        why = 'NewConnectionError("%sConnection%s: Failed to establish a new connection: %s")' % (kind, place, cause)
    whole = "%sConnectionPool%s: Max retries exceeded with url: %s (Caused by %s)" % (kind, place, call.target.path, why)
    return "MaxRetryError(%r)" % whole


def json_error(e):
    """The exception of requests for a body that is not JSON."""
    return exceptions().JSONDecodeError(e.msg, e.doc, e.pos)
