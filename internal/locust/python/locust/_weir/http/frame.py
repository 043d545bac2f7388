"""The pieces of a frame, packed once and kept: URLs, header blocks, and the call that is made of them."""

from __future__ import annotations

import re
from struct import Struct, pack

from .headers import CaseInsensitiveDict
from .request import PreparedRequest, from_url
from .url import path_of

# user, session, flags, seconds waited, connect ms, read ms
FRAME = Struct("<IIHdII")
VERDICT, NO_REDIRECTS, NO_VERIFY, UNCOUNTED, CHUNKED, STREAM, NONE_ALLOWED, FAST = 1, 2, 4, 8, 16, 32, 64, 128
NO_USER = 0xFFFFFFFF
NO_BODY = b"\0\0\0\0"

not_in_token = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]").search

METHODS = {name: bytes((len(name),)) + name.encode() for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")}


class Target:
    """A URL as it is sent, and as statistics name it, both also packed. login is the name and password in it, or None."""

    __slots__ = ("url", "path", "packed_url", "packed_path", "login")

    def __init__(self, url, wire=None, path=None):
        self.url = url
        self.login = from_url(url) if "@" in url else None
        self.path = path or path_of(url)
        raw = (wire or wire_url(url)).encode("utf-8")
        self.packed_url = pack("<I", len(raw)) + raw
        self.packed_path = pack_name(self.path)

    def asking(self, query):
        """The target with more in its query; None when that is not a matter of putting it behind."""
        url = self.url
        if "#" in url:
            return None
        more = ("&" if "?" in url else "?") + query
        raw = self.packed_url[4:] + more.encode("ascii")
        target = Target.__new__(Target)
        target.url = url + more
        target.login = self.login
        target.path = self.path + more
        target.packed_url = pack("<I", len(raw)) + raw
        target.packed_path = pack_name(target.path)
        return target


def wire_url(url):
    """The URL without fragment and credentials."""
    url = url.partition("#")[0]
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if "@" not in host:
        return url
    return scheme + "://" + host.rpartition("@")[2] + slash + path


def pack_name(name):
    raw = name.encode("utf-8", "surrogatepass")[:65535]
    return pack("<H", len(raw)) + raw


class Cache(dict):
    """Entries that can be made again, as many as fit."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def keep(self, key, value):
        if len(self) >= self.most:
            self.clear()
        self[key] = value
        return value


targets = Cache(8192)
blocks = Cache(2048)


class Block:
    """Encoded headers. `head` are the lines up to where Cookie stands, `auth` is the line that comes last."""

    __slots__ = ("store", "head", "cookie", "auth", "proof", "typed", "plain", "key")

    def __init__(self, store, auth, key):
        self.key = key
        self.proof = auth
        self.store = store
        self.typed = "content-type" in store
        self.cookie = "cookie" not in store
        if auth and "authorization" in store:
            store = dict(store)
            store["authorization"] = (store["authorization"][0], auth)
            auth = None
        out = []
        if "accept-encoding" not in store:
            out.append(b"Accept-Encoding: identity\r\n")
        if "user-agent" not in store:
            out.append(b"User-Agent: python-urllib3/2.8.0\r\n")
        for name, value in store.values():
            out.append(line(name, value))
        self.head = b"".join(out)
        self.auth = line("Authorization", auth) if auth else b""
        whole = self.finish(b"", b"")
        self.plain = pack("<I", len(whole)) + whole

    def finish(self, cookies, about_body):
        """The block with what this one request adds."""
        if self.cookie:
            return self.head + b":cookies: " + cookies + b"\r\n" + about_body + self.auth
        return self.head + about_body + self.auth


def line(name, value):
    name = name if isinstance(name, bytes) else name.encode("ascii")
    value = value if isinstance(value, bytes) else value.encode("latin-1")
    return name + b": " + value + b"\r\n"


class Call:
    """One request, encoded; what `response.request` is made from."""

    __slots__ = ("session", "method", "target", "block", "body", "shown", "flags", "connect", "read", "hooks", "prepared", "name", "context", "adapter", "legs",
                 "held")  # fmt: skip

    @property
    def url(self):
        return self.target.url

    def prepared_request(self, response):
        """The request as an object. After redirects it is the last one that was sent."""
        p = self.prepared
        if p is None:
            p = PreparedRequest()
            p.method = self.method.upper()
            p.url = self.target.url
            p.headers = CaseInsensitiveDict()
            for name, value in (text.split(": ", 1) for text in self.block[4:].decode("latin-1").split("\r\n") if text):
                if name[0] != ":":
                    p.headers[name] = value
                elif name == ":cookies" and value:
                    p.headers["Cookie"] = value
            p.body = self.shown
        if response is not None and response.history and p.url != response.url:
            p = p.copy()
            p.url = response.url
        return p


class Unsent(Exception):
    """A request that could not be made; error is what requests raises."""

    def __init__(self, error, final=False):
        self.error = error
        self.final = final  # raised to the script, not recorded
