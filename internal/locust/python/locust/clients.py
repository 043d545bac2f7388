"""HttpSession, the client of an HttpUser: a session whose requests are timed and counted by Weir."""

from __future__ import annotations

import time
from contextlib import contextmanager

from ._weir import engine as _engine
from ._weir.http import errors
from ._weir.http.frame import STREAM, UNCOUNTED, VERDICT, Target, Unsent, pack_name, targets
from ._weir.http.judged import FAILURE, NAN, NOT_COUNTED, SUCCESS, Counted, Judged, verdict
from ._weir.http.response import HEAD, LIVE, UNREAD, WHOLE, Awaited, Held, Response
from ._weir.http.session import Session
from ._weir.http.settings import split_credentials
from ._weir.http.url import absolute, clean, plain_base, prepare

__all__ = ["HttpSession", "LocustHttpAdapter", "ResponseContextManager", "RestResponseContextManager"]

class ResponseContextManager(Judged, Counted, Response):
    """The answer to a request of HttpSession."""

    __slots__ = ()

    def __init__(self, error=None):
        super().__init__()
        self.status_code = 0
        self.error = error
        self._catch_response = True
        self.request = getattr(error, "request", None)

    def _refuse(self):
        if self.error:
            raise self.error
        Response._refuse(self)

    def _verdict(self):
        """The exception that statistics show when the script says nothing, or None."""
        result = self._manual_result
        if result is not None:
            return None if result is True else result
        if self.status_code:
            if self.status_code < 400:
                return None
            text = self._status_text(self._meta["name"] if self._meta is not None else self._name())
            return errors.raiser("HTTPError", text, response=self) if text else None
        return self._cause


class RestResponseContextManager(ResponseContextManager):
    """What `rest` yields: `js` is the decoded JSON."""

    __slots__ = ()


class LocustHttpAdapter:
    """A name that scripts import; connections are Weir's."""

    def __init__(self, pool_manager=None, *args, **kwargs):
        self.poolmanager = pool_manager


class HttpSession(Session):
    """Sends requests as `requests.Session` would, and has each counted under its path or its `name`.

    URLs may be paths, which are put behind `base_url`. Besides the arguments of
    requests there are `name`, `catch_response` and `context`.
    """

    _response = ResponseContextManager

    def __init__(self, base_url, request_event=None, user=None, *args, pool_manager=None, **kwargs):
        super().__init__()
        self.base_url, pair = split_credentials(base_url) if base_url else (base_url, None)
        if pair:
            from ._weir.http.auth import HTTPBasicAuth

            self.auth = HTTPBasicAuth(*pair)
        self.request_event = request_event
        self.user = user
        if pool_manager is not None:
            from ._weir.http.adapters import tell

            tell("HttpUser: connections are Weir's, so pool_manager changes nothing.")
        self.request_name = None
        if user is not None and own_session(user):
            self._number = 0
            self._owner = user.__dict__["_weir_id"]
        if request_event is not None and not hasattr(request_event, "_tell"):
            self._first = UNCOUNTED

    @property
    def base_url(self):
        return self._base

    @base_url.setter
    def base_url(self, value):
        self._base = value
        m = plain_base(value) if isinstance(value, str) else None
        self._base_path = m and (m.group("path") or "")

    def _build_url(self, path):
        if isinstance(path, bytes):
            path = path.decode("utf-8")
        return path if absolute(path) else "%s%s" % (self._base, path)

    def _target(self, url, params):
        if self.params or params:
            return super()._target(url, params)
        try:
            full = self._base + url if url[0] == "/" else self._build_url(url)
        except (TypeError, IndexError, AttributeError):
            full = self._build_url(url)
        return targets.get(full) or self._plain_target(url, full)

    def _plain_target(self, url, full):
        target = targets.get(full)
        if target is None:
            if self._base_path is not None and isinstance(url, str) and url[:1] == "/" and clean(url):
                target = Target(full, full, self._base_path + url)
            else:
                target = Target(prepare(full))
            targets.keep(full, target)
        return target

    @contextmanager
    def rename_request(self, name):
        """Counts the requests of the with block under that name."""
        self.request_name = name
        try:
            yield
        finally:
            self.request_name = None

    def request(self, method, url, name=None, catch_response=False, context={}, *, data=None, json=None, **kwargs):  # noqa: B006
        """Sends a request and returns its answer; one that got none has status_code 0 and `error`."""
        if not name and self.request_name:
            name = self.request_name
        try:
            call = self._encode(method, url, data, json, kwargs)
        except Unsent as unsent:
            refused = unsent
        else:
            refused = None
        if refused is not None:
            if refused.final:
                raise refused.error
            return self._unsent(refused.error, method, url, name, catch_response, context)
        call.name = name
        call.context = context
        return self._perform(call, name, catch_response, self._response, kwargs)

    def _perform(self, call, name, catch_response, kind, kwargs):
        """Sends call and makes an answer of that kind of what came."""
        if call.adapter is not None:
            return self._adapted(call, catch_response, kwargs)
        flags = call.flags
        if catch_response or call.hooks:
            flags |= VERDICT
        id, answer = self._send(call, pack_name(name if name.__class__ is str else str(name)) if name else call.target.packed_path, flags)
        # As unpack does: a call less on the way that every request takes.
        r = _new(kind)
        r._answer = answer
        r._call = call
        r._id = id
        r.status_code = answer[0] | answer[1] << 8
        r._content = UNREAD
        if answer[3] & WHOLE and r.status_code:
            r._held = None
        else:
            self._hold(r, id, flags)
        if call.hooks:
            r = self._hooked(call, r, id, kwargs)
        if catch_response:
            # Slots that would else be made on demand, each at the cost of a failed look-up.
            r._catch_response = True
            r._manual_result = None
            r._awaited = Awaited(id)
            if not call.hooks:
                r._meta = None
            return r
        event = self.request_event
        if call.hooks or event is not None and event._handlers:
            r._meta = r._meta if call.hooks else None
            r._manual_result = None
            r._catch_response = False
            self._report(r, call, r._verdict())
        return r

    def _adapted(self, call, catch_response, kwargs):
        """The way of a request through the code of a script's adapter."""
        try:
            r = self._by_adapter(call, kwargs)
            if call.hooks:
                r = self._run_hooks(call, r, kwargs)
        except errors.exceptions().RequestException as e:
            error = e
        else:
            error = None
        if error is not None:
            r = next((leg for _, leg in call.legs if leg.status_code == 0 and leg.error is error), None)
            if r is None:
                r = ResponseContextManager(error)
                r._call, r._cause = call, error
                r._id = call.legs[-1][0] if call.legs else None
        r._meta = self._meta_of(r)
        r._meta["url"], r._meta["response_time"] = call.target.url, sum(leg.response_time for _, leg in call.legs)
        for id, leg in call.legs:
            if id != r._id and not self._first & UNCOUNTED:
                _engine.engine.post(b"V", id, verdict(NOT_COUNTED))
                if leg._held is not None:
                    leg._held.settle()
        r._catch_response = True
        if catch_response:
            r._awaited = Awaited(r._id)
        else:
            r._report(r._verdict())
            r._catch_response = False
        return r

    def _hold(self, r, id, flags):
        if not r.status_code:
            r._content = r._held = None
            return
        r._call.held = r._held = Held(id, flags & VERDICT, bool(r._answer[3] & LIVE))
        if flags & STREAM:
            r._streamed = True

    def _hooked(self, call, r, id, kwargs):
        first = r
        r = self._run_hooks(call, r, kwargs)
        if r is not first:
            r._id = id
            r._call.name, r._call.context, r._call.held = call.name or call.target.path, call.context, call.held
            r._meta = self._meta_of(r)
            r._meta["response_time"] = first.response_time + r.response_time
            r._meta["url"] = call.target.url
        return r

    def _meta_of(self, r):
        call = r._call
        answer = r._answer
        context = call.context
        if self.user:
            context = {**self.user.context(), **context}
        if answer is None:
            ms, start, length = 0.0, time.time(), 0
        else:
            _, _, _, _, ms, start, length = HEAD.unpack_from(answer)
            if not r.status_code:
                length = 0
            elif call.flags & STREAM:
                length = int(r.headers.get("content-length") or 0)
        return {
            "request_type": call.method, "response_time": ms, "name": r._name(), "context": context, "response": r, "exception": None,
            "start_time": start, "url": call.target.url, "response_length": length,
        }  # fmt: skip

    def _report(self, r, call, exception):
        event = self.request_event
        meta = r._meta
        listeners = event is not None and (event._handlers or self._first & UNCOUNTED)
        if listeners and meta is None:
            meta = r._meta = self._meta_of(r)
        if meta is not None:
            meta["exception"] = exception
        id = r._id
        if r._answer is None and not self._first & UNCOUNTED:
            sample(r.request_meta if meta is None else meta, exception)
        elif id is not None and (r._catch_response or call.hooks):
            r._id = None
            if r._awaited is not None:
                r._awaited.id = None
            if not self._first & UNCOUNTED:
                _engine.engine.post(b"V", id, self._judged(r, call, meta, exception))
            if call.held is not None:
                call.held.settle()
        if listeners:
            if self._first & UNCOUNTED:
                event.fire(**meta)
            else:
                event._tell(**meta)

    def _judged(self, r, call, meta, exception):
        name, ms, length = "", NAN, -1
        if meta is not None:
            if meta["name"] != (call.name or call.target.path):
                name = str(meta["name"])
            answer = r._answer
            if answer is not None:
                _, _, _, _, was_ms, _, was_length = HEAD.unpack_from(answer)
                if meta["response_time"] != was_ms and meta["response_time"] is not None:
                    ms = float(meta["response_time"])
                if meta["response_length"] != was_length and meta["response_length"] is not None and not call.flags & STREAM:
                    length = int(meta["response_length"])
        if exception is None:
            return verdict(SUCCESS, name, ms, length)
        return verdict(FAILURE, name, ms, length, repr(exception))

    def _unsent(self, error, method, url, name, catch_response, context):
        """The answer to a request that could not be made: it is counted as a failure, as in Locust."""
        r = ResponseContextManager(error)
        r._id = None
        r._catch_response = catch_response
        r._call = NotCalled(self, method, self._build_url(url), name or str(url), context)
        r._cause = error
        if not catch_response:
            r._report(error)
        return r

    def get(self, url, *, data=None, json=None, **kwargs):
        """Sends a GET request."""
        return self.request("GET", url, data=data, json=json, **kwargs)

    def options(self, url, *, data=None, json=None, **kwargs):
        """Sends an OPTIONS request."""
        return self.request("OPTIONS", url, data=data, json=json, **kwargs)

    def head(self, url, *, data=None, json=None, **kwargs):
        """Sends a HEAD request; redirects are not followed unless asked for."""
        kwargs.setdefault("allow_redirects", False)
        return self.request("HEAD", url, data=data, json=json, **kwargs)

    def post(self, url, data=None, json=None, **kwargs):
        """Sends a POST request."""
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url, data=None, *, json=None, **kwargs):
        """Sends a PUT request."""
        return self.request("PUT", url, data=data, json=json, **kwargs)

    def patch(self, url, data=None, *, json=None, **kwargs):
        """Sends a PATCH request."""
        return self.request("PATCH", url, data=data, json=json, **kwargs)

    def delete(self, url, *, data=None, json=None, **kwargs):
        """Sends a DELETE request."""
        return self.request("DELETE", url, data=data, json=json, **kwargs)


def sample(meta, exception):
    """Counts a request that was never sent."""
    from ._weir import report

    report.sample({**meta, "exception": exception})


class NotCalled:
    """Stands for the Call of a request that could not be made."""

    flags = 0
    hooks = adapter = held = None
    url = None
    prepared = None

    def __init__(self, session, method, url, name, context):
        self.session, self.method, self.name, self.context = session, method, name, context
        self.target = _Nowhere(url, name)

    def prepared_request(self, response):
        return None


class _Nowhere:
    def __init__(self, url, path):
        self.url, self.path = url, path


def own_session(user):
    """Whether a session that is made now is the first one of that user."""
    try:
        fields = user.__dict__
    except AttributeError:
        return False
    if "_weir_id" not in fields or fields.get("_weir_session"):
        return False  # the user is a script's own object, or has its session
    fields["_weir_session"] = True
    return True


_new = object.__new__


LocustResponse = ResponseContextManager  # the name of answers before Locust 2.33


def __getattr__(name):
    if name == "DEFAULT_CA_BUNDLE_PATH":
        import ssl

        return ssl.get_default_verify_paths().cafile
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
