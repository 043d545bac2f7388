"""Exceptions and warnings of urllib3 that scripts name."""


class HTTPError(Exception):
    """Base of the exceptions."""


class HTTPWarning(Warning):
    """Base of the warnings."""


class SecurityWarning(HTTPWarning):
    """A connection is less safe than it should be."""


class InsecureRequestWarning(SecurityWarning):
    """A certificate is not verified. Never given under Weir."""


class ProtocolError(HTTPError):
    """The answer broke off or was none."""


class MaxRetryError(HTTPError):
    """No connection."""


class NewConnectionError(HTTPError):
    """No connection."""


class ReadTimeoutError(HTTPError):
    """No answer in time."""


class ConnectTimeoutError(HTTPError):
    """No connection in time."""
