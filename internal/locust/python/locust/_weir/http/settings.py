"""Settings of sessions and requests: how the two are put together, and what Weir is told of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

from .auth import HTTPBasicAuth
from .headers import CaseInsensitiveDict
from .request import check, native

ACCEPT_ENCODING = "gzip, deflate"
REQUESTS_VERSION = "2.34.2"


def default_headers():
    """The headers of a new session of requests."""
    return CaseInsensitiveDict(
        {"User-Agent": "python-requests/" + REQUESTS_VERSION, "Accept-Encoding": ACCEPT_ENCODING, "Accept": "*/*", "Connection": "keep-alive"}
    )


def merged(store, headers):
    """Two sets of headers as one: {lower name: (name, value)}; None takes a header away."""
    store = dict(store)
    for name, value in headers.items():
        low = native(name).lower()
        if value is None:
            store.pop(low, None)
        else:
            check(name, value)
            store[low] = (native(name), value)
    return store


def merge(mine, own):
    """The setting of a request over that of its session, key by key."""
    if not isinstance(mine, Mapping):
        return own if mine is None else mine
    if not isinstance(own, Mapping):
        return mine
    both = dict(own)
    both.update(mine)
    return {key: value for key, value in both.items() if value is not None}


def pair_of(auth):
    """Name and password of an auth that is no more than that, or None."""
    if not auth:
        return None
    if isinstance(auth, tuple) and len(auth) == 2:
        return auth
    kind = type(auth)
    if kind is HTTPBasicAuth or kind.__name__ == "HTTPBasicAuth" and kind.__module__ == "requests.auth":
        return auth.username, auth.password
    return None


def hooks_of(mine, own):
    hooks = (mine or {}).get("response") or (own or {}).get("response") or ()
    return [hooks] if callable(hooks) else list(hooks)


def timeouts(timeout):
    """Milliseconds to connect and to read; 0 is for no limit."""
    if isinstance(timeout, tuple):
        try:
            connect, read = timeout
        except ValueError:
            raise ValueError(
                "Invalid timeout %s. Pass a (connect, read) timeout tuple, or a single float to set both timeouts to the same value." % (timeout,)
            ) from None
    elif hasattr(timeout, "connect_timeout"):  # urllib3's Timeout
        connect, read = (seconds if isinstance(seconds, (int, float)) else None for seconds in (timeout.connect_timeout, timeout.read_timeout))
    else:
        connect = read = timeout
    return milliseconds(connect), milliseconds(read)


def milliseconds(seconds):
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ValueError("Timeout value connect was %s, but it must be an int, float or None." % (seconds,))
    if seconds <= 0:
        raise ValueError(
            "Attempted to set connect timeout to %s, but the timeout cannot be set to a value less than or equal to 0." % seconds
        )
    return min(max(1, round(seconds * 1000)), 0xFFFFFFFF)


def found(what, path, url):
    """The absolute path of a file that a request to https needs. requests raises here, too, when it is not there."""
    if url.startswith("https:") and not os.path.exists(path):
        raise OSError("Could not find %s, invalid path: %s" % (what, path))
    return os.path.abspath(path)


def proxy_for(url, proxies):
    """The proxy for a URL, from the most exact key to the least."""
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname
    for key in (scheme + "://" + host, scheme, "all://" + host, "all"):
        if proxies.get(key):
            proxy = proxies[key]
            return proxy if "://" in proxy else "http://" + proxy
    return None


def split_credentials(base_url):
    """A base URL without name and password, and these as a pair or None."""
    parts = urlsplit(base_url)
    if not (parts.username and parts.password):
        return base_url, None
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, parts.query, parts.fragment)), (unquote(parts.username), unquote(parts.password))
