"""Bodies: forms, JSON, files, streams, encoded as `requests` encodes them."""

from __future__ import annotations

import json as _json
import os
from collections.abc import Mapping

from .url import encode_params, pairs_of

_dumps = _json.JSONEncoder(allow_nan=False).encode


class BadBody(ValueError):
    """Data that cannot be a body; kind is the name of the exception in requests, cause its argument."""

    def __init__(self, kind, cause):
        super().__init__(str(cause))
        self.kind = kind
        self.cause = cause


def encode(data, files, json):
    """What is sent for the three: (body bytes or None, Content-Type or None, chunked)."""
    content_type = None
    body = None
    if not data and json is not None:
        content_type = "application/json"
        try:
            body = _dumps(json).encode("utf-8")
        except ValueError as e:
            raise BadBody("InvalidJSONError", e) from None
    if hasattr(data, "__iter__") and not isinstance(data, (str, bytes, list, tuple, Mapping)):
        if files:
            raise NotImplementedError("Streamed bodies and files are mutually exclusive.")
        sized = length(data)
        return drain(data), None, not sized
    if files:
        body, content_type = multipart(files, data)
    elif data:
        if isinstance(data, (str, bytes)):
            body = data.encode("utf-8") if isinstance(data, str) else data
        elif hasattr(data, "read"):
            body = drain(data)
        else:
            body = encode_params(data).encode("ascii")
            content_type = "application/x-www-form-urlencoded"
    return body, content_type, False


def length(thing):
    """How many bytes a stream will give, 0 when that cannot be told beforehand."""
    for attr in ("__len__", "len"):
        if hasattr(thing, attr):
            size = len(thing) if attr == "__len__" else thing.len
            break
    else:
        try:
            size = os.fstat(thing.fileno()).st_size
        except (AttributeError, OSError, ValueError):
            size = None
    try:
        at = thing.tell()
        if size is None:
            thing.seek(0, 2)
            size = thing.tell()
            thing.seek(at)
        size -= at
    except (AttributeError, OSError, ValueError, TypeError):
        pass
    return max(size or 0, 0)


def drain(stream):
    """All that a file or an iterable yields, as bytes."""
    if hasattr(stream, "read"):
        data = stream.read()
        return data.encode("utf-8") if isinstance(data, str) else bytes(data)
    return b"".join(piece.encode("utf-8") if isinstance(piece, str) else bytes(piece) for piece in stream)


def multipart(files, data):
    """A form with files: (body, Content-Type)."""
    if isinstance(data, (str, bytes)):
        raise ValueError("Data must not be a string.")
    parts = []
    for name, values in pairs_of(data or {}):
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            values = (values,)
        for value in values:
            if value is not None:
                if isinstance(name, bytes):
                    name = name.decode("utf-8")
                value = value if isinstance(value, bytes) else str(value).encode("utf-8")
                parts.append((disposition(name, None), value))
    for name, entry in pairs_of(files):
        kind = extra = None
        if isinstance(entry, (tuple, list)):
            if len(entry) == 2:
                filename, content = entry
            elif len(entry) == 3:
                filename, content, kind = entry
            else:
                filename, content, kind, extra = entry
        else:
            filename, content = guess_name(entry) or name, entry
        if content is None:
            continue
        if hasattr(content, "read"):
            content = content.read()
        if isinstance(content, str):
            content = content.encode("utf-8")
        elif not isinstance(content, bytes):
            content = bytes(content)
        parts.append((part_head(name, filename, kind, extra), content))
    boundary = os.urandom(16).hex()
    mark = b"--" + boundary.encode("ascii")
    out = []
    for head, content in parts:
        out += (mark, b"\r\n", head.encode("utf-8"), b"\r\n\r\n", content, b"\r\n")
    out += (mark, b"--\r\n")
    return b"".join(out), "multipart/form-data; boundary=" + boundary


def part_head(name, filename, kind, extra):
    """The header lines of a file's part. The first three are never the caller's."""
    head = [disposition(name, filename)]
    if kind:
        head.append("Content-Type: %s" % kind)
    for key, value in dict(extra or {}).items():
        if value and key not in ("Content-Disposition", "Content-Type", "Content-Location"):
            head.append("%s: %s" % (key, value))
    return "\r\n".join(head)


_ESCAPES = {'"': "%22", "\n": "%0A", "\r": "%0D"}


def disposition(name, filename):
    """The Content-Disposition line of a part."""
    line = 'Content-Disposition: form-data; name="%s"' % escape(name)
    return line if filename is None else line + '; filename="%s"' % escape(filename)


def escape(text):
    """A parameter's value with what would end it escaped as browsers do."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return "".join(_ESCAPES.get(c, c) for c in str(text))


def guess_name(thing):
    """The file name of an open file, when it has one."""
    name = getattr(thing, "name", None)
    if not name or not isinstance(name, (str, bytes)) or name[:1] in ("<", b"<") or name[-1:] in (">", b">"):
        return None
    return os.path.basename(name)
