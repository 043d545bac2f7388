"""Retry and Timeout."""

from .retry import Retry
from .timeout import Timeout
