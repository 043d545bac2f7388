"""Session of requests, on Weir's connections."""

from locust._weir.http.settings import REQUESTS_VERSION as VERSION
from locust._weir.http.session import Session as _Session


class Session(_Session):
    """Cookies and settings for a series of requests, which are in no statistics."""


def session():
    """A new Session."""
    return Session()
