"""isinstance(x, requests.Response): objects of this package pass for those of requests."""

from __future__ import annotations

import sys

_both = {}


def posing(name):
    """A __class__ for instances that says, once the real requests is imported, that they are of its class of that name, too.

    Subtle: isinstance asks type(x) first, and x.__class__ then. So only questions about
    classes of requests get this answer; type(x), and all that Python itself does, stay.
    """

    def __class__(self):
        kind = type(self)
        real = sys.modules.get("requests")
        real = getattr(real, name, None) if real is not None else None
        if real is None or issubclass(kind, real):
            return kind
        both = _both.get((kind, real))
        if both is None:
            both = _both[kind, real] = type(kind.__name__, (kind, real), {"__module__": kind.__module__, "__slots__": ()})
        return both

    return property(__class__)
