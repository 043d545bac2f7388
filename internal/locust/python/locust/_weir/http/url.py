"""URLs and query strings, quoted as `requests` quotes them.

A URL passes three steps there: its parts are normalised (dot segments removed,
what is not allowed %-encoded as UTF-8), parameters are appended, and the whole
is unquoted and quoted once more. `clean` recognises the URLs that come out of
all this as they went in, which are most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, quote_plus, urlsplit

UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# What may stay in a path, and in a query, when parts are normalised.
PATH_SAFE = "!$&'()*+,;=:@/-._~"
QUERY_SAFE = PATH_SAFE + "?"
USER_SAFE = "!$&'()*+,;=:-._~"

# What may stay in the whole URL at the end, with and without "%".
WHOLE_SAFE = "!#$%&'()*+,/:;=?@[]~"
WHOLE_SAFE_NO_PERCENT = "!#$&'()*+,/:;=?@[]~"

_clean = re.compile(r"/[A-Za-z0-9_~!$&'()*+,;=:@/?.-]*\Z").match
plain_base = re.compile(r"(?P<origin>https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]+)?)(?P<path>/[A-Za-z0-9_~/-]*[A-Za-z0-9_~-])?\Z").match
absolute = re.compile(r"https?://", re.IGNORECASE).match

_split = re.compile(r"(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?://([^\\/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?\Z", re.DOTALL).match
_has_scheme = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+-]*:|/)").match
_host_port = re.compile(r"(\[[0-9A-Fa-f:.%a-zA-Z0-9_~-]*\]|[^\[\]:@/?#\\]*)(?::([0-9]{0,5}))?\Z", re.DOTALL).match
_escape = re.compile(r"%[0-9a-fA-F]{2}")


class BadURL(ValueError):
    """A URL that nothing can be sent to; kind is the name of the exception in requests."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


def clean(path):
    """Whether path and query, put behind a plain base, come out of `prepare` as they are."""
    return _clean(path) is not None and "/." not in path and path[-1] != "?"


def prepare(url, params=None):
    """The absolute URL that is sent for url and params: (url, what names it in statistics)."""
    url = url.decode("utf8") if isinstance(url, bytes) else str(url)
    url = url.lstrip()
    if ":" in url and not url.lower().startswith("http"):
        raise BadURL("InvalidSchema", "No connection adapters were found for %r" % url)
    scheme, userinfo, host, port, path, query, fragment = parse(url)
    if not scheme:
        raise BadURL("MissingSchema", "Invalid URL %r: No scheme supplied. Perhaps you meant https://%s?" % (url, url))
    if not host:
        raise BadURL("InvalidURL", "Invalid URL %r: No host supplied" % url)
    if not host.isascii():
        host = idna(host)
    elif host.startswith(("*", ".")):
        raise BadURL("InvalidURL", "URL has an invalid label.")
    path = path or "/"
    more = encode_params(params) if params is not None else ""
    if more:
        query = query + "&" + more if query else more
    whole = scheme + "://" + (userinfo + "@" if userinfo else "") + host + (":" + port if port else "")
    whole += path if path.startswith("/") else "/" + path
    if query:
        whole += "?" + query
    if fragment:
        whole += "#" + fragment
    return requote(whole)


def parse(url):
    """The parts of a URL, normalised: scheme, user info, host, port, path, query, fragment."""
    source = url
    if not _has_scheme(url):
        url = "//" + url
    m = _split(url)
    if m is None:
        raise BadURL("InvalidURL", "Failed to parse: %s" % source)
    scheme, authority, path, query, fragment = m.groups()
    if scheme:
        scheme = scheme.lower()
        if scheme not in ("http", "https"):
            raise BadURL("InvalidSchema", "No connection adapters were found for %r" % source)
    userinfo = host = port = None
    if authority:
        userinfo, _, place = authority.rpartition("@")
        m = _host_port(place)
        if m is None:
            raise BadURL("InvalidURL", "Failed to parse: %r is not a valid host or port" % place)
        if m.group(2) and int(m.group(2)) > 65535:
            raise BadURL("InvalidURL", "Failed to parse: %s" % source)
        host, port = m.groups()
        host = host.lower()
        port = str(int(port)) if port else None
        userinfo = encode_part(userinfo, USER_SAFE) if userinfo else None
    if path:
        path = encode_part(without_dots(path), PATH_SAFE)
    if query:
        query = encode_part(query, QUERY_SAFE)
    if fragment:
        fragment = encode_part(fragment, QUERY_SAFE)
    return scheme, userinfo, host, port, path, query, fragment


def encode_part(text, safe):
    """Text with everything outside safe %-encoded; escapes that are there stay when all "%" are part of one."""
    text, escapes = _escape.subn(lambda m: m.group(0).upper(), text)
    if escapes and escapes == text.count("%"):
        safe += "%"
    return quote(text.encode("utf-8", "surrogatepass"), safe)


def without_dots(path):
    """A path with "." and ".." segments resolved (RFC 3986 §5.2.4)."""
    if "." not in path:
        return path
    kept = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if path[0] == "/" and kept[:1] != [""]:
        kept.insert(0, "")
    if path.endswith(("/.", "/..")):
        kept.append("")
    return "/".join(kept)


def requote(url):
    """The URL unquoted where that changes nothing, and quoted where it must be."""
    if "%" not in url:
        return quote(url, WHOLE_SAFE)
    pieces = url.split("%")
    for i in range(1, len(pieces)):
        piece = pieces[i]
        code = piece[:2]
        if len(code) == 2 and code.isalnum():
            try:
                char = chr(int(code, 16))
            except ValueError:
                return quote(url, WHOLE_SAFE_NO_PERCENT)
            pieces[i] = char + piece[2:] if char in UNRESERVED else "%" + piece
        else:
            pieces[i] = "%" + piece
    return quote("".join(pieces), WHOLE_SAFE)


def encode_params(data):
    """A query string or a form from a mapping or pairs; text as it is."""
    if isinstance(data, bytes):
        return data.decode("ascii")
    if isinstance(data, str):
        return data
    if hasattr(data, "read") or not hasattr(data, "__iter__"):
        return data
    out = []
    for key, values in pairs_of(data):
        for value in (values,) if isinstance(values, (str, int, bytes)) or not hasattr(values, "__iter__") else values:
            if value is not None:
                out.append(plus(key) + "=" + plus(value))
    return "&".join(out)


_unquoted = re.compile(r"[A-Za-z0-9_.~-]*\Z").match


def plus(value):
    """A name or value of a form."""
    if value.__class__ is str:
        return value if _unquoted(value) else quote_plus(value.encode("utf-8"))
    if isinstance(value, bytes):
        return quote_plus(value)
    text = str(value)
    return text if _unquoted(text) else quote_plus(text)


def pairs_of(value):
    """The pairs of a mapping, or a list of what is pairs already."""
    if isinstance(value, (str, bytes, bool, int)):
        raise ValueError("cannot encode objects that are not 2-tuples")
    return list(value.items() if isinstance(value, Mapping) else value)


def path_of(url):
    """Path and query of a prepared URL: its name in statistics."""
    parts = urlsplit(url)
    return (parts.path or "/") + ("?" + parts.query if parts.query else "")


def idna(host):
    """A host name with letters outside ASCII as DNS has it."""
    try:
        import idna as package  # of the user's environment, as requests has it

        try:
            return package.encode(host, uts46=True).decode("ascii")
        except package.IDNAError:
            raise BadURL("InvalidURL", "URL has an invalid label.") from None
    except ImportError:
        try:
            return host.lower().encode("idna").decode("ascii")
        except UnicodeError:
            raise BadURL("InvalidURL", "URL has an invalid label.") from None
