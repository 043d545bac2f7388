"""Requests as objects, for the scripts, hooks and auth schemes that handle them."""

from __future__ import annotations

import re

from . import body as _body
from .auth import HTTPBasicAuth
from .headers import CaseInsensitiveDict
from .url import path_of, prepare


class Hooked:
    """Things that have response hooks."""

    def register_hook(self, event, hook):
        if event not in self.hooks:
            raise ValueError('Unsupported event specified, with event name "%s"' % event)
        if callable(hook):
            self.hooks[event].append(hook)
        elif hasattr(hook, "__iter__"):
            self.hooks[event].extend(h for h in hook if callable(h))

    def deregister_hook(self, event, hook):
        try:
            self.hooks[event].remove(hook)
            return True
        except ValueError:
            return False


class Request(Hooked):
    """A request as a script describes it."""

    def __init__(self, method=None, url=None, headers=None, files=None, data=None, params=None, auth=None, cookies=None, hooks=None, json=None):
        self.method = method
        self.url = url
        self.headers = {} if headers is None else headers
        self.files = [] if files is None else files
        self.data = [] if data is None else data
        self.json = json
        self.params = {} if params is None else params
        self.auth = auth
        self.cookies = cookies
        self.hooks = {"response": []}
        for event, hook in (hooks or {}).items():
            self.register_hook(event, hook)

    def __repr__(self):
        return "<Request [%s]>" % self.method

    def prepare(self):
        prepared = PreparedRequest()
        prepared.prepare(self.method, self.url, self.headers, self.files, self.data, self.params, self.auth, self.cookies, self.hooks, self.json)
        return prepared


class PreparedRequest(Hooked):
    """A request as it is sent: absolute URL, headers, encoded body."""

    def __init__(self):
        self.method = None
        self.url = None
        self.headers = None
        self.body = None
        self.hooks = {"response": []}
        self._cookies = None
        self._body_position = None
        self._chunked = False

    def __repr__(self):
        return "<PreparedRequest [%s]>" % self.method

    @property
    def path_url(self):
        return path_of(self.url)

    def prepare(self, method=None, url=None, headers=None, files=None, data=None, params=None, auth=None, cookies=None, hooks=None, json=None):
        self.prepare_method(method)
        self.prepare_url(url, params)
        self.prepare_headers(headers)
        self.prepare_cookies(cookies)
        self.prepare_body(data, files, json)
        self.prepare_auth(auth, url)
        self.prepare_hooks(hooks)

    def copy(self):
        twin = type(self)()
        twin.__dict__.update(self.__dict__)
        twin.headers = None if self.headers is None else self.headers.copy()
        return twin

    def prepare_method(self, method):
        self.method = method.upper() if method is not None else None

    def prepare_url(self, url, params):
        self.url = prepare(url, params)

    def prepare_headers(self, headers):
        self.headers = CaseInsensitiveDict()
        for name, value in (headers or {}).items():
            check(name, value)
            self.headers[native(name)] = value

    def prepare_cookies(self, cookies):
        self._cookies = cookies

    def prepare_body(self, data, files, json=None):
        body, kind, self._chunked = _body.encode(data, files, json)
        self.body = data if data and isinstance(data, str) and not files else body
        if self._chunked:
            self.headers["Transfer-Encoding"] = "chunked"
        else:
            self.prepare_content_length(body)
            if kind and "content-type" not in self.headers:
                self.headers["Content-Type"] = kind

    def prepare_content_length(self, body):
        if body is not None:
            size = len(body.encode("utf-8") if isinstance(body, str) else body)
            if size and not self._chunked:
                self.headers["Content-Length"] = str(size)
        elif self.method not in ("GET", "HEAD") and self.headers.get("Content-Length") is None:
            self.headers["Content-Length"] = "0"

    def prepare_auth(self, auth, url=""):
        if auth is None:
            auth = from_url(self.url)
        if auth:
            scheme = HTTPBasicAuth(*auth) if isinstance(auth, tuple) and len(auth) == 2 else auth
            changed = scheme(self)
            self.__dict__.update(changed.__dict__)
            self.prepare_content_length(self.body)

    def prepare_hooks(self, hooks):
        for event in hooks or {}:
            self.register_hook(event, hooks[event])


def from_url(url):
    """Name and password that stand in a URL, or None."""
    from urllib.parse import unquote, urlsplit

    if "@" not in url:
        return None
    parts = urlsplit(url)
    if parts.username is None or parts.password is None:
        return None
    pair = (unquote(parts.username), unquote(parts.password))
    return pair if any(pair) else None


class BadHeader(ValueError):
    """A header that cannot be sent."""


_names = {str: re.compile(r"[^:\s][^:\r\n]*\Z").match, bytes: re.compile(rb"[^:\s][^:\r\n]*\Z").match}
_values = {str: re.compile(r"\S[^\r\n]*\Z|\Z").match, bytes: re.compile(rb"\S[^\r\n]*\Z|\Z").match}


def check(name, value):
    """Refuses a header that would break the request."""
    for part, tests in ((name, _names), (value, _values)):
        test = tests.get(part.__class__) or next((t for kind, t in tests.items() if isinstance(part, kind)), None)
        if test is None:
            raise BadHeader("Header part (%r) from %r must be of type str or bytes, not %s" % (part, (name, value), type(part)))
        if not test(part):
            what = "name" if tests is _names else "value"
            raise BadHeader("Invalid leading whitespace, reserved character(s), or return character(s) in header %s: %r" % (what, part))


def native(text):
    return text.decode("ascii") if isinstance(text, bytes) else text
