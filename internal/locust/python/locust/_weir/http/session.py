"""Sessions: what stays between requests, and the way of a request."""

from __future__ import annotations

import itertools
from .. import engine as _engine
from . import errors
from .encoder import Encoder
from .frame import FRAME, METHODS, NO_REDIRECTS, NO_VERIFY, STREAM, UNCOUNTED, VERDICT, Call, Unsent, not_in_token, pack_name
from .poser import posing
from .response import COOKIES, Response, unpack
from .settings import default_headers, merge, pair_of, timeouts

_numbers = itertools.count(1)

# Methods of requests' Session that are not called on the way of a request.
NOT_CALLED = ("send", "prepare_request", "rebuild_auth", "rebuild_method", "rebuild_proxies", "resolve_redirects", "get_redirect_target", "should_strip_auth",
              "merge_environment_settings")  # fmt: skip

class Session(Encoder):
    """Headers, cookies and settings for a series of requests."""

    __class__ = posing("Session")

    _response = Response
    _base = ""
    _first = 0  # flags of every request

    def __init__(self):
        self._headers = default_headers()
        self._auth = None
        self._scheme = False  # whether auth is more than a name and a password
        self._own = None  # the block of the session's own headers
        self._own_version = -1
        self._jar = None
        self._jar_stale = False
        self._jar_used = False
        self._used = False  # by requests, with a number of its own
        self._loose = ""
        self._number = next(_numbers)
        self._owner = None
        self.proxies = {}
        self.hooks = {"response": []}
        self.params = {}
        self.stream = False
        self.verify = True
        self.cert = None
        self.max_redirects = 30
        self.trust_env = True
        self.adapters = {}
        self._coded = {}  # those of them whose code is run

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        unused = [name for name in NOT_CALLED if name in cls.__dict__]
        if unused and not cls.__module__.startswith(("locust.", "requests.")):
            from .adapters import tell

            tell("%s replaces %s, which Weir does not call: it sends requests and follows redirects itself." % (cls.__name__, " and ".join(unused)))

    # What a script reads and sets.

    @property
    def headers(self):
        return self._headers

    @headers.setter
    def headers(self, value):
        self._headers = value
        self._own = None

    @property
    def auth(self):
        return self._auth

    @auth.setter
    def auth(self, value):
        self._auth = value
        self._scheme = value is not None and pair_of(value) is None and bool(value)
        self._own = None

    @property
    def cookies(self):
        if self._jar is None:
            from .cookies import SessionCookies

            self._jar = SessionCookies(self)
        return self._jar

    @cookies.setter
    def cookies(self, value):
        if value is not self._jar:
            self.cookies.replace(value)

    def _address(self):
        """The user and the number that say which jar and connections are meant."""
        if self._number == 0:
            return self._owner, 0
        return _engine.engine.current_user(), self._number

    # From a frame to an answer.

    def _leg(self, call, p):
        """Sends what the code of an adapter made of a request. It may do so several times."""
        leg = Call.__new__(Call)
        for name in ("session", "method", "target", "hooks", "connect", "read", "name", "context"):
            setattr(leg, name, getattr(call, name))
        leg.prepared, leg.adapter = p, None
        self._from_prepared(leg, p, call.flags, p._loose, p._extra)
        id, answer = self._send(leg, pack_name(str(call.name)) if call.name else call.target.packed_path, leg.flags if leg.flags & UNCOUNTED else leg.flags | VERDICT)
        response = unpack(self._response, leg, id, answer, not leg.flags & UNCOUNTED)
        call.legs.append((id, response))
        if response.status_code == 0:
            raise response.error
        return response

    def _by_adapter(self, call, kw):
        verify = kw.get("verify")
        return call.adapter.send(
            call.prepared, stream=bool(kw.get("stream") or self.stream), timeout=kw.get("timeout"), verify=self.verify if verify is None else verify,
            cert=kw.get("cert") or self.cert, proxies=merge(kw.get("proxies"), self.proxies),
        )  # fmt: skip

    def _send(self, call, name, flags):
        """Sends call and returns (id, answer)."""
        engine = _engine.engine
        number = self._number
        if number:
            self._used = True
        answer = engine.request(
            b"".join((
                FRAME.pack(engine.current_user() if number else self._owner, number, flags, engine.waited(), call.connect, call.read),
                METHODS.get(call.method) or self._packed_method(call.method),
                name,
                call.target.packed_url,
                call.block,
                call.body,
            ))
        )  # fmt: skip
        if answer[1][2] == errors.INTERRUPTED and engine.current_user() != _engine.NOBODY:
            from gevent import GreenletExit

            raise GreenletExit()  # the user was to end while the request was held back: there is no answer to look at
        if answer[1][3] & COOKIES:
            self._jar_stale = self._jar_used = True
        return answer

    def _packed_method(self, method):
        """A method that is none of the usual. requests would send an empty one; Weir does not."""
        text = method.decode("latin-1") if isinstance(method, bytes) else method
        odd = not_in_token(text)
        if odd or not text:
            raise ValueError("Method cannot contain non-token characters %r (found at least %r)" % (text.upper(), odd and odd.group()))
        return bytes((len(text),)) + text.encode("ascii")

    def _exceptions(self, response):
        """What a failed request raises, and what statistics show of it."""
        return errors.pair(response._answer[2], response._tail(), response._call)

    def send(self, request, **kwargs):
        """Sends a PreparedRequest. It is not in the statistics: hooks use it for a second try."""
        call = Call.__new__(Call)
        call.session = self
        call.method = request.method
        call.target = None
        call.prepared = request
        call.hooks = request.hooks["response"]
        call.connect = call.read = 0
        if kwargs.get("timeout") is not None:
            call.connect, call.read = timeouts(kwargs["timeout"])
        flags = self._first | UNCOUNTED
        if not kwargs.get("allow_redirects", True):
            flags |= NO_REDIRECTS
        if kwargs.get("verify", self.verify) is False:
            flags |= NO_VERIFY
        if kwargs.get("stream"):
            flags |= STREAM
        self._from_prepared(call, request, flags, "")
        id, answer = self._send(call, call.target.packed_path, call.flags)
        response = unpack(self._response, call, id, answer)
        if response.status_code == 0:
            raise response.error
        return response

    def _run_hooks(self, call, response, kw):
        """The answer after every hook has seen it, and may have put another in its place."""
        seen = {name: kw.get(name) for name in ("timeout", "verify", "proxies", "stream", "cert")}
        if seen["verify"] is None:
            seen["verify"] = self.verify
        for hook in call.hooks:
            other = hook(response, **seen)
            if other is not None:
                response = other
        return response

    def prepare_request(self, request):
        """A PreparedRequest with what the session adds."""
        call = self._encode(request.method, request.url, request.data, request.json, {
            "params": request.params, "headers": request.headers, "files": request.files, "auth": request.auth, "cookies": request.cookies,
            "hooks": request.hooks,
        })  # fmt: skip
        return call.prepared_request(None)

    def request(self, method, url, params=None, data=None, headers=None, cookies=None, files=None, auth=None, timeout=None, allow_redirects=True,
                proxies=None, hooks=None, stream=None, verify=None, cert=None, json=None):  # fmt: skip
        """Sends a request that is not in the statistics, and returns its answer or raises."""
        kw = {"params": params, "headers": headers, "cookies": cookies, "files": files, "auth": auth, "timeout": timeout, "proxies": proxies,
              "allow_redirects": allow_redirects, "hooks": hooks, "stream": stream, "verify": verify, "cert": cert}  # fmt: skip
        try:
            call = self._encode(method.upper(), url, data, json, kw)
        except Unsent as e:
            raise e.error from None
        if call.adapter is not None:
            call.name, call.context, call.flags = None, {}, call.flags | UNCOUNTED
            response = self._by_adapter(call, kw)
        else:
            id, answer = self._send(call, call.target.packed_path, call.flags | UNCOUNTED)
            response = unpack(self._response, call, id, answer)
            if response.status_code == 0:
                raise response.error
        if call.hooks:
            response = self._run_hooks(call, response, kw)
        if call.flags & STREAM:
            response._streamed = True
        return response

    def get(self, url, **kwargs):
        return self.request("GET", url, **kwargs)

    def options(self, url, **kwargs):
        return self.request("OPTIONS", url, **kwargs)

    def head(self, url, **kwargs):
        kwargs.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **kwargs)

    def post(self, url, data=None, json=None, **kwargs):
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url, data=None, **kwargs):
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url, data=None, **kwargs):
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url, **kwargs):
        return self.request("DELETE", url, **kwargs)

    def mount(self, prefix, adapter):
        """Mounts an adapter: its code is run if it has any; what it would do to connections is done by Weir."""
        from .adapters import examine

        self._coded.pop(prefix, None)
        if examine(prefix, adapter):
            self._coded[prefix] = adapter
        self.adapters[prefix] = adapter

    def _prefix_of(self, url):
        """The longest prefix that something is mounted at and that fits."""
        low = url.lower()
        return max((prefix for prefix in self.adapters if low.startswith(prefix.lower())), key=len, default=None)

    def get_adapter(self, url):
        prefix = self._prefix_of(url)
        if prefix is not None:
            return self.adapters[prefix]
        from .adapters import HTTPAdapter

        return HTTPAdapter()

    def close(self):
        """Nothing to do: the connections are Weir's, and end with the session."""

    def __del__(self):
        if getattr(self, "_used", False):
            try:
                _engine.engine.post(b"C", 0, b'{"op":"close","session":%d}' % self._number)
            except Exception:  # noqa: BLE001 - the interpreter is on its way out
                pass

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()
