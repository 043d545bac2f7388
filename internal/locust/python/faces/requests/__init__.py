"""A stand-in for the package requests, for scripts that run where it is not installed.

Requests made with it are sent by Weir. As in Locust, they are in no statistics.
It has what scripts use: the functions, Session, auth, exceptions, cookies and
the objects that these give. It is not the package, and has none of its inside.
"""

import logging as _logging

from locust._weir.http.request import PreparedRequest, Request
from locust._weir.http.response import Response

from . import adapters, auth, compat, cookies, exceptions, hooks, models, packages, sessions, status_codes, structures, utils
from .api import delete, get, head, options, patch, post, put, request
from .exceptions import (
    ConnectionError,
    ConnectTimeout,
    FileModeWarning,
    HTTPError,
    JSONDecodeError,
    ReadTimeout,
    RequestException,
    Timeout,
    TooManyRedirects,
    URLRequired,
)
from .sessions import Session, session
from .status_codes import codes

__version__ = sessions.VERSION
__title__ = "requests"

_logging.getLogger(__name__).addHandler(_logging.NullHandler())


def __getattr__(name):
    raise AttributeError(
        "module 'requests' has no attribute %r: this is Weir's stand-in, used because the package requests is not installed in this Python" % name
    )
