"""What can be mounted on a session.

An adapter of requests decides about pools, retries and proxies of connections.
Weir has connections of its own, so these settings change nothing. Code of an
adapter is run where it sees the request: `send` and `add_headers` of a script's
own class, with Weir behind `super().send`.
"""

from __future__ import annotations

from .. import engine as _engine


class BaseAdapter:
    """Base of adapters."""

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        raise NotImplementedError

    def close(self):
        pass


class HTTPAdapter(BaseAdapter):
    """Takes the settings of connections that scripts give; Weir's own apply."""

    def __init__(self, pool_connections=10, pool_maxsize=10, max_retries=0, pool_block=False):
        self.pool_connections = pool_connections
        self.pool_maxsize = pool_maxsize
        self.max_retries = max_retries
        self.pool_block = pool_block
        self.config = {}

    def init_poolmanager(self, *args, **kwargs):
        pass

    def add_headers(self, request, **kwargs):
        pass

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        """What `super().send(…)` of a script's adapter reaches."""
        return exchange(self, request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)


class UnsupportedAdapter(Exception):
    """An adapter that is no HTTPAdapter: its code would have to do the sending."""


# Methods of a script's own adapter that are run, and those that never are.
RUN = ("send", "add_headers")
NOT_RUN = ("request_url", "build_response", "proxy_headers", "cert_verify", "get_connection", "get_connection_with_tls_context", "init_poolmanager",
           "proxy_manager_for", "build_connection_pool_key_attributes")  # fmt: skip
LIBRARIES = ("requests.", "locust.", "urllib3.")


def examine(prefix, adapter):
    """Whether the adapter has code that is to be run. Tells of settings and code that change nothing."""
    kind = type(adapter)
    name = kind.__name__
    retries = getattr(adapter, "max_retries", 0)
    total = getattr(retries, "total", retries)
    if total:
        tell("mount(%r): Weir does not repeat requests by itself, so max_retries=%s of %s changes nothing; every answer is counted." % (prefix, total, name))
    idle = overridden(kind, NOT_RUN)
    if idle:
        tell("mount(%r): connections are Weir's, so %s of %s is not called." % (prefix, " and ".join(idle), name))
    if not overridden(kind, RUN):
        return False
    for base in kind.__mro__:
        if base is HTTPAdapter:
            return True
        if base.__module__ == "requests.adapters" and base.__name__ == "HTTPAdapter":
            take_over(base)
            return True
    raise UnsupportedAdapter("%s is no HTTPAdapter: Weir sends requests itself, and cannot give one to its send()." % name)


def overridden(kind, names):
    """Which of the methods a script's own class replaces."""
    found = []
    for name in names:
        for parent in kind.__mro__:
            if name in parent.__dict__:
                if parent is not object and not (parent.__module__ + ".").startswith(LIBRARIES):
                    found.append(name)
                break
    return found


def take_over(base):
    """Puts Weir behind the send of the real HTTPAdapter, for requests of Weir's sessions only."""
    original = base.send
    if getattr(original, "weir", False):
        return

    def send(self, request, *args, **kwargs):
        if getattr(request, "_call", None) is None:
            return original(self, request, *args, **kwargs)
        return exchange(self, request, **dict(zip(("stream", "timeout", "verify", "cert", "proxies"), args)), **kwargs)

    send.weir = True
    base.send = send


def exchange(adapter, request, **kwargs):
    """Sends what an adapter was given."""
    call = getattr(request, "_call", None)
    if call is None:
        raise UnsupportedAdapter("An adapter sends only requests of the session that it is mounted on.")
    adapter.add_headers(request, **kwargs)
    return call.session._leg(call, request)


_told = set()


def tell(text):
    """Shows a notice once."""
    if text not in _told:
        _told.add(text)
        notice = getattr(_engine.engine, "notice", None)
        if notice:
            notice(text)
