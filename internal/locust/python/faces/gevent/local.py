"""Values of which each greenlet has its own."""

import weakref

from .greenlet import getcurrent


class local:
    """Attributes set in one greenlet are not there in another."""

    def __init__(self, *args, **kwargs):
        object.__setattr__(self, "_of", weakref.WeakKeyDictionary())

    def _mine(self):
        return object.__getattribute__(self, "_of").setdefault(getcurrent(), {})

    def __getattr__(self, name):
        try:
            return self._mine()[name]
        except KeyError:
            raise AttributeError(f"'local' object has no attribute '{name}'") from None

    def __setattr__(self, name, value):
        self._mine()[name] = value

    def __delattr__(self, name):
        if self._mine().pop(name, self) is self:
            raise AttributeError(name)
