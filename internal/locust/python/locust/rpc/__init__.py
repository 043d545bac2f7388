"""Messages between processes, as listeners see them."""

from .protocol import Message

__all__ = ["Message"]
