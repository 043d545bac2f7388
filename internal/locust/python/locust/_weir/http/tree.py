"""The exceptions of requests, for where it is not installed or has not been imported yet."""

from __future__ import annotations

from json import JSONDecodeError as _Base

__all__ = [
    "RequestException",
    "InvalidJSONError",
    "JSONDecodeError",
    "HTTPError",
    "ConnectionError",
    "ProxyError",
    "SSLError",
    "Timeout",
    "ConnectTimeout",
    "ReadTimeout",
    "URLRequired",
    "TooManyRedirects",
    "MissingSchema",
    "InvalidSchema",
    "InvalidURL",
    "InvalidHeader",
    "InvalidProxyURL",
    "ChunkedEncodingError",
    "ContentDecodingError",
    "StreamConsumedError",
    "RetryError",
    "UnrewindableBodyError",
    "RequestsWarning",
    "FileModeWarning",
    "RequestsDependencyWarning",
]


class RequestException(IOError):
    """Something went wrong with a request. `request` and `response` say with which."""

    def __init__(self, *args, **kwargs):
        self.response = kwargs.pop("response", None)
        self.request = kwargs.pop("request", None)
        if self.response is not None and self.request is None:
            self.request = getattr(self.response, "request", None)
        super().__init__(*args, **kwargs)


class InvalidJSONError(RequestException):
    """Data that JSON cannot express, or text that is not JSON."""


class JSONDecodeError(InvalidJSONError, _Base):
    """A body that is not JSON."""

    def __init__(self, *args, **kwargs):
        _Base.__init__(self, *args)
        InvalidJSONError.__init__(self, *self.args, **kwargs)

    def __reduce__(self):
        return _Base.__reduce__(self)


class HTTPError(RequestException):
    """An answer with a status of 400 to 599."""


class ConnectionError(RequestException):
    """No connection, or one that broke."""


class ProxyError(ConnectionError):
    """The proxy refused or broke."""


class SSLError(ConnectionError):
    """The TLS handshake or the check of the certificate failed."""


class Timeout(RequestException):
    """Something took too long."""


class ConnectTimeout(ConnectionError, Timeout):
    """No connection in time."""


class ReadTimeout(Timeout):
    """No answer in time."""


class URLRequired(RequestException):
    """There is no URL."""


class TooManyRedirects(RequestException):
    """More redirects than allowed."""


class MissingSchema(RequestException, ValueError):
    """A URL without http:// or https://."""


class InvalidSchema(RequestException, ValueError):
    """A URL of another kind."""


class InvalidURL(RequestException, ValueError):
    """A URL that cannot be read."""


class InvalidHeader(RequestException, ValueError):
    """A header that cannot be sent."""


class InvalidProxyURL(InvalidURL):
    """A proxy's URL that cannot be read."""


class ChunkedEncodingError(RequestException):
    """A body that broke off."""


class ContentDecodingError(RequestException):
    """A compressed body that is damaged."""


class StreamConsumedError(RequestException, TypeError):
    """The body has been read already."""


class RetryError(RequestException):
    """A rule for trying again came to its end."""


class UnrewindableBodyError(RequestException):
    """A body that cannot be sent a second time."""


class RequestsWarning(Warning):
    """Base of the warnings."""


class FileModeWarning(RequestsWarning, DeprecationWarning):
    """A file opened as text."""


class RequestsDependencyWarning(RequestsWarning):
    """Packages that do not fit each other."""

for _name in __all__:  # as tracebacks name them
    globals()[_name].__module__ = "requests.exceptions"
