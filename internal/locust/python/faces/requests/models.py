"""Requests and answers as objects."""

from locust._weir.http.request import PreparedRequest, Request
from locust._weir.http.response import Response

DEFAULT_REDIRECT_LIMIT = 30

__all__ = ["PreparedRequest", "Request", "Response"]
