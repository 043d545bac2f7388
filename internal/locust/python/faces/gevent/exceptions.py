"""gevent's exceptions that scripts name."""

from .hub import LoopExit

__all__ = ["LoopExit"]
