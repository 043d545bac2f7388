"""The exceptions of requests."""

from locust._weir.http.tree import *  # noqa: F403
