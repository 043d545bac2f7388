"""Dictionaries of requests."""

from locust._weir.http.headers import CaseInsensitiveDict


class LookupDict(dict):
    """Names as attributes; one that is not there is None."""

    def __init__(self, name=None):
        self.name = name
        super().__init__()

    def __getitem__(self, key):
        return self.__dict__.get(key)

    def get(self, key, default=None):
        return self.__dict__.get(key, default)

    def __getattr__(self, key):
        raise AttributeError(key)

    def __repr__(self):
        return "<lookup %r>" % self.name


__all__ = ["CaseInsensitiveDict", "LookupDict"]
