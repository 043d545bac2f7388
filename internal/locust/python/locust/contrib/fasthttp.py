"""FastHttpUser and its client: the same engine as HttpUser's, with the headers, rules and answers of Locust's fast client."""

from __future__ import annotations

import json as _json
from collections.abc import Mapping
from struct import pack
from urllib.parse import urlencode, urlsplit

from .._weir.http import body as _body
from .._weir.http.auth import basic
from .._weir.http.fast import (
    FAILURE_EXCEPTIONS,
    ConnectionError,
    ErrorResponse,
    FastRequest,
    FastResponse,
    LocustBadStatusCode,
    ResponseContextManager,
    RestResponseContextManager,
    insecure_ssl_context_factory,
    set_class,
)
from .._weir.http.frame import CHUNKED, FAST, NO_BODY, NO_REDIRECTS, NO_VERIFY, STREAM, Cache, Call, Target, line, not_in_token, pack_name, targets
from .._weir.http.headers import CaseInsensitiveDict
from .._weir.http.rest import RestMixin
from .._weir.http.settings import ACCEPT_ENCODING, timeouts
from .._weir.http.url import absolute, clean, encode_params, requote
from ..clients import HttpSession
from ..exception import StopTest
from ..user.users import User

USER_AGENT = "python/gevent-http-client-2.6.1"
_heads = Cache(2048)


class Head:
    """Encoded headers up to where Cookie stands."""

    __slots__ = ("lines", "cookie", "typed", "sized", "hosted")

    def __init__(self, store):
        self.typed = "content-type" in store
        self.sized = "content-length" in store
        self.cookie = "cookie" not in store
        self.hosted = "host" in store
        out = []
        for name, value in store.values():
            for one in value if isinstance(value, (list, tuple)) else (value,):
                one = one if isinstance(one, (str, bytes)) else str(one)
                text = one if isinstance(one, str) else one.decode("latin-1")
                if not text.isprintable() and any(c in "\r\n\0" for c in text) or any(c > "\xff" for c in text):
                    raise ValueError("invalid value for header field %r: %r" % (name, one))
                out.append(line(name, text.strip(" \t")))
        self.lines = b"".join(out)


class FastHttpSession(HttpSession):
    """Sends requests with the headers and the rules of Locust's fast client.

    It takes more than that one does: `cookies`, `timeout` and `verify` as with
    HttpSession, and lists in forms.
    """

    auth_header = None

    def __init__(self, base_url=None, request_event=None, user=None, insecure=True, client_pool=None, ssl_context_factory=None, network_timeout=60.0,
                 connection_timeout=60.0, max_redirects=30, max_retries=0, concurrency=1, headers=None, proxy_host=None, proxy_port=None, **kwargs):  # fmt: skip
        super().__init__(base_url, request_event, user)
        self._response = FastResponse
        self._first |= FAST
        self._headers = CaseInsensitiveDict({"User-Agent": USER_AGENT})
        self._headers.update(headers or {})
        if self._auth:
            self.auth_header = basic(self._auth.username, self._auth.password)
            self._auth = None
        self.max_redirects = int(max_redirects)
        self.insecure = insecure
        self.verify = not insecure
        self.network_timeout, self.connection_timeout = network_timeout, connection_timeout
        if proxy_host:
            self.proxies = {"all": "http://%s:%s" % (proxy_host, proxy_port or 80)}
        if ssl_context_factory is not None or client_pool is not None:
            from .._weir.http.adapters import tell

            tell("FastHttpUser: connections are Weir's, so client_pool and ssl_context_factory change nothing.")
        if max_retries:
            from .._weir.http.adapters import tell

            tell("FastHttpUser: Weir does not repeat requests by itself, so max_retries=%s changes nothing; every answer is counted." % max_retries)

    @HttpSession.base_url.setter
    def base_url(self, value):
        HttpSession.base_url.fset(self, value)
        if self._base_path is not None:
            place = value.partition("://")[2].partition("/")[0]
            self._host_line = b"Host: " + (place[: -len(place.rpartition(":")[2]) - 1] if place.endswith((":80", ":443")) else place).encode("ascii") + b"\r\n"

    @property
    def cookiejar(self):
        return self.cookies

    @property
    def client(self):
        """Where Locust's session has its agent: settings are found under either name."""
        return self

    @property
    def default_headers(self):
        return self._headers

    def _build_url(self, path):
        return path if absolute(path) else "%s%s" % (self._base, path)

    def _target(self, url, params):
        full = self._build_url(url)
        if params is None:
            target = targets.get(("fast", full))
            if target is not None:
                return target
            if self._base_path is not None and url[:1] == "/" and clean(url):
                target = FastTarget(full, full, url)
                target.host = self._host_line
                return targets.keep(("fast", full), target)
        parts = urlsplit(full)
        parts.port  # noqa: B018 - raises for one that is none
        query = parts.query
        if params is not None:
            more = encode_params(params)
            query = query + "&" + more if query else more
        uri = parts.path + ("?" + query if query else "")
        if uri[:2] == "//":
            raise ValueError("invalid request URI %r: protocol-relative targets are not origin-form" % uri)
        if uri[:1] != "/":
            uri = "/" + uri
        host = parts.hostname or ""
        port = parts.port
        shown = "[%s]" % host if ":" in host else host
        place = shown + (":%d" % port if port else "")
        target = FastTarget(full, (parts.scheme or "http") + "://" + place + requote(uri), url)
        target.host = b"Host: " + (shown if port in (None, 80, 443) else place).encode("idna" if not host.isascii() else "ascii") + b"\r\n"
        return targets.keep(("fast", full), target) if params is None else target

    def request(self, method, url, name=None, data=None, catch_response=False, stream=False, headers=None, auth=None, json=None, allow_redirects=True,
                context={}, **kwargs):  # fmt: skip  # noqa: B006
        """Sends a request and returns its answer; one that got none has status_code 0 and `error`."""
        if not name and self.request_name:
            name = self.request_name
        call = Call.__new__(Call)
        call.session = self
        call.method = method
        call.name = name
        call.context = context
        call.prepared = call.hooks = call.adapter = call.held = None
        flags = self._first
        if not allow_redirects or self.max_redirects <= 0:  # with 0 the fast client takes the 3xx for the answer
            flags |= NO_REDIRECTS
        if stream:
            flags |= STREAM
        files = cookies = None
        extra = ()
        params = None
        if kwargs:
            flags, data, params, files, cookies, extra, times = self._more(method, flags, data, kwargs)
        else:
            times = None
            if not self.verify:
                flags |= NO_VERIFY
            if self.max_redirects != 30 or self.proxies:
                extra = self._extra(None)
        call.connect, call.read = timeouts(times if times is not None else (self.connection_timeout, self.network_timeout))
        call.target = target = self._target(url, params)
        self._fill(call, flags, target, method, headers, auth, data, json, files, cookies, extra)
        return self._perform(call, name, catch_response, ResponseContextManager if catch_response else FastResponse, kwargs)

    def _more(self, method, flags, data, kw):
        """The keywords beyond the usual: (flags, data, params, files, cookies, extra lines, timeout)."""
        params = kw.pop("params", None)
        files = kw.pop("files", None)
        cookies = kw.pop("cookies", None)
        times = kw.pop("timeout", None)
        verify = kw.pop("verify", None)
        most = kw.pop("max_redirects", None)
        for name in ("max_retries", "debug_stream", "to_string"):
            kw.pop(name, None)
        if not (self.verify if verify is None else verify):
            flags |= NO_VERIFY
        if kw:  # as the fast client has it: what it does not know is data
            if method.upper() == "POST" and (data is None or isinstance(data, dict)):
                data = {**(data or {}), **kw}
            elif params is None or isinstance(params, dict):
                params = {**(params or {}), **kw}
        return flags, data, params, files, cookies, self._extra(most), times

    def _extra(self, most):
        extra = []
        most = self.max_redirects if most is None else int(most)
        if most != 30 and most > 0:
            extra.append(":redirects: %d\r\n" % most)
        if self.proxies:
            extra.append(":proxy: %s\r\n" % self.proxies["all"])
        return extra

    def _fill(self, call, flags, target, method, headers, auth, data, json, files, cookies, extra):
        """Puts headers and body into call, in the order in which the fast client sends them."""
        asjson = False
        if not data and json is not None:
            data = _json.dumps(json)
            asjson = True
        own = self._headers
        proof = basic(*auth) if auth else self.auth_header
        try:
            if own.version != self._own_version:
                self._own_version, self._own = own.version, tuple(own.items())
            key = (self._own, tuple(headers.items()) if headers else None, proof, asjson)
            head = _heads.get(key)
        except TypeError:
            head = key = None
        if head is None:
            head = Head(self._merged(own, headers, proof, asjson))
            if key is not None:
                _heads.keep(key, head)
        call.shown = data
        before = after = b""
        body = b""
        chunked = False
        if files:
            body, kind = _body.multipart(files, data)
            head = Head(self._merged(own, headers, proof, asjson, kind))
            before = b"content-length: %d\r\n" % len(body)
        elif data:
            kind = None
            if isinstance(data, Mapping) or isinstance(data, (list, tuple)):
                kind, body = b"application/x-www-form-urlencoded; charset=utf-8", form(data)
            elif isinstance(data, str):
                kind, body = b"text/plain; charset=utf-8", data.encode("utf-8")
            else:
                kind = b"application/octet-stream"
                if isinstance(data, (bytes, bytearray, memoryview)):
                    body = bytes(data)
                else:
                    chunked = not (hasattr(data, "fileno") and _body.length(data) and not hasattr(data, "getbuffer"))
                    body = _body.drain(data)
            early = not isinstance(data, (bytes, bytearray, memoryview)) and not chunked and (isinstance(data, (Mapping, list, tuple)) or not head.typed and isinstance(data, str))
            if not head.typed:
                before = b"content-type: " + kind + b"\r\n"
            if head.sized:
                pass
            elif early:
                before += b"content-length: %d\r\n" % len(body)
            elif chunked:
                after = b"Transfer-Encoding: chunked\r\n"
            else:
                after = b"Content-Length: %d\r\n" % len(body)
        elif method.upper() in ("POST", "PUT", "PATCH") and not head.sized:
            after = b"Content-Length: 0\r\n"
        whole = head.lines + before
        if extra:
            whole = "".join(extra).encode("latin-1") + whole
        if head.cookie:
            loose = self._loose
            if cookies:
                loose = self._with_cookies(loose, cookies, target.url)
            whole += b":cookies: " + loose.encode("latin-1") + b"\r\n"
        if not head.hosted:
            whole += target.host
        whole += after
        call.block = pack("<I", len(whole)) + whole
        call.body = pack("<I", len(body)) + body if body else NO_BODY
        call.flags = flags | CHUNKED if chunked else flags

    def _merged(self, own, headers, proof, asjson, kind=None):
        store = dict(own._store)
        given = dict(headers) if headers else {}
        if proof:
            given["Authorization"] = proof
        low = {name.lower() for name in given}
        if "accept-encoding" not in low:
            given["Accept-Encoding"] = ACCEPT_ENCODING
        if asjson:
            for name in ("Content-Type", "Accept"):
                if name.lower() not in low:
                    given[name] = "application/json"
        if kind:
            given = {name: value for name, value in given.items() if name.lower() != "content-length"}
            given.update({name: kind for name in given if name.lower() == "content-type"} or {"content-type": kind})
        for name, value in given.items():
            if value is None:
                store.pop(name.lower(), None)
            else:
                store[name.lower()] = (name, value)
        return store

    def _hold(self, r, id, flags):
        super()._hold(r, id, flags)
        if not r.status_code and type(r) is FastResponse:
            set_class(r, ErrorResponse)

    def _report(self, r, call, exception):
        if exception is not None and not isinstance(exception, Exception):
            exception = None
        super()._report(r, call, exception)

    def _packed_method(self, method):
        if not isinstance(method, str) or not method or not_in_token(method):
            raise ValueError("invalid HTTP method %r" % (method,))
        return super()._packed_method(method)

    def iter_lines(self, url, method="GET", **kwargs):
        """The lines of an answer as they come."""
        response = self.request(method, url, stream=True, **kwargs)
        response.raise_for_status()
        kept = ""
        for chunk in response.iter_content(chunk_size=1024):
            kept += chunk if isinstance(chunk, str) else chunk.decode("utf-8", "replace")
            *whole, kept = kept.split("\n")
            yield from whole
        if kept:
            yield kept

    def get(self, url, **kwargs):
        """Sends a GET request."""
        return self.request("GET", url, **kwargs)

    def head(self, url, **kwargs):
        """Sends a HEAD request."""
        return self.request("HEAD", url, **kwargs)

    def options(self, url, **kwargs):
        """Sends an OPTIONS request."""
        return self.request("OPTIONS", url, **kwargs)

    def delete(self, url, **kwargs):
        """Sends a DELETE request."""
        return self.request("DELETE", url, **kwargs)

    def patch(self, url, data=None, **kwargs):
        """Sends a PATCH request."""
        return self.request("PATCH", url, data=data, **kwargs)

    def post(self, url, data=None, json=None, **kwargs):
        """Sends a POST request."""
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url, data=None, **kwargs):
        """Sends a PUT request."""
        return self.request("PUT", url, data=data, **kwargs)


class FastTarget(Target):
    """A target with its Host line; its name is the URL as the script wrote it."""

    __slots__ = ("host",)

    def __init__(self, url, wire, name):
        self.url = url
        self.path = name
        raw = wire.encode("utf-8")
        self.packed_url = pack("<I", len(raw)) + raw
        self.packed_path = pack_name(name)


def form(data):
    """A form; lists give one pair for each item."""
    pairs = data.items() if isinstance(data, Mapping) else data
    return urlencode(list(pairs), doseq=True).encode("ascii")


class FastHttpUser(RestMixin, User):
    """A user with the fast client. Under Weir both clients cost about the same; this one keeps the other's headers."""

    network_timeout = 60.0
    connection_timeout = 60.0
    max_redirects = 30
    max_retries = 0
    insecure = True
    default_headers = None
    concurrency = 10
    proxy_host = None
    proxy_port = None
    client_pool = None
    ssl_context_factory = None

    abstract = True

    def __init__(self, environment):
        super().__init__(environment)
        if self.host is None:
            raise StopTest(
                "You must specify the base host. Either in the host attribute in the User class, or on the command line using the --host option."
            )
        self.client = FastHttpSession(
            base_url=self.host,
            request_event=self.environment.events.request,
            network_timeout=self.network_timeout,
            connection_timeout=self.connection_timeout,
            max_redirects=self.max_redirects,
            max_retries=self.max_retries,
            insecure=self.insecure,
            concurrency=self.concurrency,
            user=self,
            client_pool=self.client_pool,
            ssl_context_factory=self.ssl_context_factory,
            headers=self.default_headers,
            proxy_host=self.proxy_host,
            proxy_port=self.proxy_port,
        )


__all__ = [
    "ConnectionError", "ErrorResponse", "FAILURE_EXCEPTIONS", "insecure_ssl_context_factory", "FastHttpSession", "FastHttpUser", "FastRequest", "FastResponse", "LocustBadStatusCode", "ResponseContextManager", "RestResponseContextManager",
]  # fmt: skip


def __getattr__(name):
    if name == "FastHttpLocust":  # before Locust 1.0
        from .._weir import legacy

        return legacy.name(name)
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
