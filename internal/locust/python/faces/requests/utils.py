"""Helpers that scripts take from here."""

from urllib.parse import quote, unquote

from locust._weir.http.request import from_url as _from_url
from locust._weir.http.text import encoding_of as _encoding_of
from locust._weir.http.settings import default_headers
from locust._weir.http.url import requote as requote_uri

from .cookies import add_dict_to_cookiejar, cookiejar_from_dict, dict_from_cookiejar
from .structures import CaseInsensitiveDict


def default_user_agent(name="python-requests"):
    """The User-Agent of a new session."""
    from .sessions import VERSION

    return "%s/%s" % (name, VERSION)


def get_encoding_from_headers(headers):
    """The encoding that the headers of an answer tell, or None."""
    return _encoding_of(headers.get("content-type"))


def get_auth_from_url(url):
    """Name and password in a URL, empty when there are none."""
    return _from_url(url) or ("", "")


__all__ = [
    "CaseInsensitiveDict", "add_dict_to_cookiejar", "cookiejar_from_dict", "default_headers", "default_user_agent", "dict_from_cookiejar",
    "get_auth_from_url", "get_encoding_from_headers", "quote", "requote_uri", "unquote",
]  # fmt: skip
