"""Adapters: settings of connections that scripts mount, and that change nothing under Weir."""

from locust._weir.http.adapters import BaseAdapter, HTTPAdapter

from urllib3.util.retry import Retry

DEFAULT_POOLSIZE = 10
DEFAULT_RETRIES = 0

__all__ = ["BaseAdapter", "HTTPAdapter", "Retry"]
