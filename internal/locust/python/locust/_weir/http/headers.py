"""Headers: names compared without regard to case, order and spelling kept."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping


class CaseInsensitiveDict(MutableMapping):
    """A mapping whose keys are header names.

    `version` grows with every change, so that a session knows when the block it
    has encoded is out of date.
    """

    __slots__ = ("_store", "version", "__weakref__")

    def __init__(self, data=None, **kwargs):
        self._store = {}
        self.version = 0
        if data is not None or kwargs:
            self.update(data or {}, **kwargs)

    def __setitem__(self, key, value):
        self.version += 1
        self._store[key.lower()] = (key, value)

    def __getitem__(self, key):
        return self._store[key.lower()][1]

    def __delitem__(self, key):
        del self._store[key.lower()]
        self.version += 1

    def __contains__(self, key):
        return isinstance(key, (str, bytes)) and key.lower() in self._store

    def get(self, key, default=None):
        pair = self._store.get(key.lower())
        return default if pair is None else pair[1]

    def __iter__(self):
        return iter([pair[0] for pair in self._store.values()])

    def __len__(self):
        return len(self._store)

    def items(self):
        return list(self._store.values())

    def lower_items(self):
        return ((low, pair[1]) for low, pair in self._store.items())

    def __eq__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.lower_items()) == dict(CaseInsensitiveDict(other).lower_items())

    __hash__ = None

    def copy(self):
        twin = type(self)()
        twin._store = dict(self._store)
        return twin

    def __repr__(self):
        return str(dict(self._store.values()))

    def __or__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        twin = self.copy()
        twin.update(other)
        return twin

    def __getstate__(self):
        return {"pairs": list(self._store.values())}

    def __setstate__(self, state):
        self._store = {name.lower(): (name, value) for name, value in state["pairs"]}
        self.version = 0


def received(block):
    """The headers of an answer, from the block as it came: repeated ones joined by ", "."""
    headers = CaseInsensitiveDict()
    store = headers._store
    for name, value in lines(block):
        low = name.lower()
        old = store.get(low)
        store[low] = (name, value) if old is None else (old[0], old[1] + ", " + value)
    return headers


def lines(block):
    """The (name, value) pairs of a block, each line of it."""
    text = block.decode("latin-1") if isinstance(block, bytes) else block
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name, value.strip(" \t")
