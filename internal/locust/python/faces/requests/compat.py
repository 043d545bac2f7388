"""Names that older scripts take from here."""

import json
from collections.abc import Callable, Mapping, MutableMapping
from http import cookiejar as cookielib
from http.cookies import Morsel
from io import StringIO
from json import JSONDecodeError
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urldefrag, urlencode, urljoin, urlparse, urlsplit, urlunparse

str = str
bytes = bytes
basestring = (str, bytes)
builtin_str = str
is_py3 = True
is_py2 = False

__all__ = [
    "Callable", "JSONDecodeError", "Mapping", "Morsel", "MutableMapping", "StringIO", "basestring", "builtin_str", "cookielib", "json", "quote",
    "quote_plus", "unquote", "unquote_plus", "urldefrag", "urlencode", "urljoin", "urlparse", "urlsplit", "urlunparse",
]  # fmt: skip
