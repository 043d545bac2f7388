"""A stand-in for the package urllib3 where it is not installed: warnings to switch off, Retry, Timeout. It sends nothing."""

from . import exceptions, util
from .util.retry import Retry
from .util.timeout import Timeout


def disable_warnings(category=None):
    """There are none."""


def __getattr__(name):
    raise AttributeError(
        "module 'urllib3' has no attribute %r: this is Weir's stand-in, used because the package urllib3 is not installed in this Python" % name
    )
