"""Cookies: the jar of an answer, and the face of a session's jar, which Weir keeps.

The jars are http.cookiejar's with a dictionary in front, as in `requests`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, MutableMapping
from http.cookiejar import Cookie, CookieJar
from http.cookies import Morsel
from urllib.parse import urlsplit

from .. import engine as _engine
from .headers import lines


class CookieConflictError(RuntimeError):
    """Several cookies have that name: say which by domain and path."""


class RequestsCookieJar(CookieJar, MutableMapping):
    """A cookie jar that can be used as a dictionary of names and values."""

    def get(self, name, default=None, domain=None, path=None):
        try:
            return self._one(name, domain, path)
        except KeyError:
            return default

    def set(self, name, value, **kwargs):
        if value is None:
            self._remove(name, kwargs.get("domain"), kwargs.get("path"))
            return None
        cookie = from_morsel(value) if isinstance(value, Morsel) else create_cookie(name, value, **kwargs)
        self.set_cookie(cookie)
        return cookie

    def set_cookie(self, cookie, *args, **kwargs):
        if isinstance(cookie.value, str) and cookie.value.startswith('"') and cookie.value.endswith('"'):
            cookie.value = cookie.value.replace('\\"', "")
        return super().set_cookie(cookie, *args, **kwargs)

    def keys(self):
        return [cookie.name for cookie in self]

    def values(self):
        return [cookie.value for cookie in self]

    def items(self):
        return [(cookie.name, cookie.value) for cookie in self]

    def iterkeys(self):
        return iter(self.keys())

    def itervalues(self):
        return iter(self.values())

    def iteritems(self):
        return iter(self.items())

    def list_domains(self):
        return list(dict.fromkeys(cookie.domain for cookie in self))

    def list_paths(self):
        return list(dict.fromkeys(cookie.path for cookie in self))

    def multiple_domains(self):
        domains = [cookie.domain for cookie in self if cookie.domain is not None]
        return len(domains) != len(set(domains))

    def get_dict(self, domain=None, path=None):
        return {cookie.name: cookie.value for cookie in self if domain in (None, cookie.domain) and path in (None, cookie.path)}

    def __iter__(self):
        return CookieJar.__iter__(self)

    def __len__(self):
        return CookieJar.__len__(self)

    def __contains__(self, name):
        if isinstance(name, Cookie):
            name = name.name
        return any(cookie.name == name for cookie in self)

    def __getitem__(self, name):
        return self._one(name, None, None)

    def __setitem__(self, name, value):
        self.set(name, value)

    def __delitem__(self, name):
        self._remove(name, None, None)

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__

    def update(self, other=(), **kwargs):
        if isinstance(other, CookieJar):
            for cookie in other:
                self.set_cookie(copy.copy(cookie))
        else:
            for name, value in other.items() if isinstance(other, Mapping) else other:
                self.set(name, value)
        for name, value in kwargs.items():
            self.set(name, value)

    def get_policy(self):
        return self._policy

    def copy(self):
        twin = RequestsCookieJar()
        twin.set_policy(self._policy)
        twin.update(self)
        return twin

    def _one(self, name, domain, path):
        found = None
        for cookie in self:
            if cookie.name == name and domain in (None, cookie.domain) and path in (None, cookie.path):
                if found is not None:
                    raise CookieConflictError("There are multiple cookies with name, %r" % name)
                found = cookie
        if found is None or not found.value and found.value is None:
            raise KeyError("name=%r, domain=%r, path=%r" % (name, domain, path))
        return found.value

    def _remove(self, name, domain, path):
        for cookie in list(self):
            if cookie.name == name and domain in (None, cookie.domain) and path in (None, cookie.path):
                self.clear(cookie.domain, cookie.path, cookie.name)

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_cookies_lock", None)
        return state

    def __setstate__(self, state):
        CookieJar.__init__(self)
        self.__dict__.update(state)


def create_cookie(name, value, **kwargs):
    """A cookie; without a domain it is sent to every host."""
    fields = {
        "version": 0, "name": name, "value": value, "port": None, "domain": "", "path": "/", "secure": False, "expires": None,
        "discard": True, "comment": None, "comment_url": None, "rest": {"HttpOnly": None}, "rfc2109": False,
    }  # fmt: skip
    unknown = set(kwargs) - set(fields)
    if unknown:
        raise TypeError("create_cookie() got unexpected keyword arguments: %s" % sorted(unknown))
    fields.update(kwargs)
    fields["port_specified"] = bool(fields["port"])
    fields["domain_specified"] = bool(fields["domain"])
    fields["domain_initial_dot"] = fields["domain"].startswith(".")
    fields["path_specified"] = bool(fields["path"])
    return Cookie(**fields)


def from_morsel(morsel):
    """A cookie from one of http.cookies."""
    import calendar
    import time

    expires = None
    if morsel["max-age"]:
        expires = int(time.time() + int(morsel["max-age"]))
    elif morsel["expires"]:
        expires = calendar.timegm(time.strptime(morsel["expires"], "%a, %d-%b-%Y %H:%M:%S GMT"))
    return create_cookie(
        morsel.key, morsel.value, domain=morsel["domain"], path=morsel["path"], expires=expires, secure=bool(morsel["secure"]),
        comment=morsel["comment"], discard=False, rest={"HttpOnly": morsel["httponly"]}, version=morsel["version"] or 0,
    )  # fmt: skip


def cookiejar_from_dict(pairs, cookiejar=None, overwrite=True):
    """A jar with the pairs of a dictionary, for every host."""
    jar = RequestsCookieJar() if cookiejar is None else cookiejar
    for name, value in (pairs or {}).items():
        if overwrite or not any(cookie.name == name for cookie in jar):
            jar.set_cookie(create_cookie(name, value))
    return jar


def merge_cookies(jar, cookies):
    """Puts cookies, a dictionary or a jar, into jar."""
    if not isinstance(jar, CookieJar):
        raise ValueError("You can only merge into CookieJar")
    if isinstance(cookies, Mapping) and not isinstance(cookies, CookieJar):
        return cookiejar_from_dict(cookies, jar, overwrite=False)
    for cookie in cookies:
        jar.set_cookie(copy.copy(cookie))
    return jar


class Place:
    """What http.cookiejar asks about a request."""

    unverifiable = False

    def __init__(self, url):
        parts = urlsplit(url)
        self.url = url
        self.type = parts.scheme
        self.host = parts.netloc
        self.origin_req_host = parts.hostname or ""
        self.header = None

    def get_full_url(self):
        return self.url

    def get_header(self, name, default=None):
        return default

    def has_header(self, name):
        return False

    def add_unredirected_header(self, name, value):
        if name == "Cookie":
            self.header = value


class Lines:
    """What http.cookiejar asks about an answer."""

    def __init__(self, block):
        self.set = [value for name, value in lines(block) if name.lower() == "set-cookie"]

    def info(self):
        return self

    def get_all(self, name, default=None):
        return self.set if name.lower() == "set-cookie" else default


def of_answer(block, url):
    """The jar of the cookies that an answer sets."""
    jar = RequestsCookieJar()
    if url and b"et-" in block and b"et-cookie" in block.lower():
        jar.extract_cookies(Lines(block), Place(url))
    return jar


def header_for(jar, url):
    """The value of Cookie that a jar gives a request, or "" ."""
    place = Place(url)
    jar.add_cookie_header(place)
    return place.header or ""


def loose(pairs):
    """The value of Cookie for names and values that go to every host."""
    return "; ".join(name if value is None else "%s=%s" % (name, value) for name, value in pairs)


class SessionCookies(RequestsCookieJar):
    """The face of a session's cookies.

    Those that answers set are kept by Weir, beside the connections; this object
    has a copy, fetched again when an answer since then has set some. Cookies
    without a domain, which a script puts in by name and value, are kept here
    and go with every request.
    """

    def __init__(self, session):
        self._session = session
        self._copy = {}
        super().__init__()

    @property
    def _cookies(self):
        if self._session._jar_stale:
            self._fetch()
        return self._copy

    @_cookies.setter
    def _cookies(self, value):
        self._copy = value

    def _ask(self, **fields):
        session = self._session
        user, number = session._address()
        fields.update(user=user, session=number)
        return json.loads(_engine.engine.call(b"C", None, json.dumps(fields).encode()) or b"{}")

    def _fetch(self):
        self._session._jar_stale = False
        fresh = {}
        if "" in self._copy:
            fresh[""] = self._copy[""]
        for item in self._ask(op="list").get("cookies") or ():
            cookie = from_weir(item)
            fresh.setdefault(cookie.domain, {}).setdefault(cookie.path, {})[cookie.name] = cookie
        self._copy = fresh

    def set_cookie(self, cookie, *args, **kwargs):
        super().set_cookie(cookie, *args, **kwargs)
        if not cookie.domain:
            self._session._loose = loose_of(self._copy)
            return
        cookie._place = to_weir_domain(cookie)
        self._ask(op="set", cookie={
            "name": cookie.name, "value": from_latin(cookie.value), "domain": cookie._place, "path": cookie.path or "/", "expires": cookie.expires,
            "secure": bool(cookie.secure), "host_only": not cookie.domain_initial_dot, "http_only": cookie.has_nonstandard_attr("HttpOnly"),
        })  # fmt: skip

    def clear(self, domain=None, path=None, name=None):
        if domain is None:
            asked = {}
            known = self._session._jar_used or any(self._copy.keys() - {""})
            self._session._jar_stale = False
            self._copy = {}
        else:
            asked, known = {"domain": domain, "path": path, "name": name}, bool(domain)
            for cookie in self:
                if cookie.domain == domain:
                    asked["domain"] = getattr(cookie, "_place", domain)
            super().clear(domain, path, name)
        self._session._loose = loose_of(self._copy)
        if known:
            self._ask(op="clear", **asked)

    def replace(self, other):
        """What `session.cookies = other` does."""
        others = [(c.name, c.value, c) for c in other] if isinstance(other, CookieJar) else [(k, v, None) for k, v in dict(other or {}).items()]
        self.clear()
        for name, value, cookie in others:
            self.set_cookie(copy.copy(cookie) if cookie else create_cookie(name, value))


SessionCookies.__name__ = "RequestsCookieJar"  # as it shows itself


def loose_of(store):
    return loose((cookie.name, cookie.value) for path in store.get("", {}).values() for cookie in path.values())


def from_weir(item):
    """A cookie as http.cookiejar shows it: a domain set by the server has a dot, a host without one ends in .local."""
    domain = item["domain"]
    shown = domain if item.get("host_only") else "." + domain
    if item.get("host_only") and "." not in domain and ":" not in domain:
        shown += ".local"
    cookie = create_cookie(
        item["name"], item["value"].encode("utf-8").decode("latin-1"), domain=shown, path=item.get("path") or "/", expires=item.get("expires"), secure=bool(item.get("secure")),
        discard=item.get("expires") is None, rest={"HttpOnly": None} if item.get("http_only") else {},
    )  # fmt: skip
    cookie._place = domain
    return cookie


def from_latin(value):
    """A value as its bytes read in UTF-8, which is how Weir tells them; http.cookiejar has them in latin-1, as requests."""
    try:
        return value.encode("latin-1").decode("utf-8") if value else value or ""
    except UnicodeError:
        return value


def to_weir_domain(cookie):
    domain = cookie.domain.lstrip(".")
    if not cookie.domain_initial_dot and domain.endswith(".local") and "." not in domain[:-6]:
        return domain[:-6]
    return domain
