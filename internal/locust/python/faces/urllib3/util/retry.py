"""Retry: a rule that scripts mount with an adapter. Weir counts every answer and does not repeat requests by itself."""


class Retry:
    """Keeps what it is given."""

    DEFAULT_ALLOWED_METHODS = frozenset(["HEAD", "GET", "PUT", "DELETE", "OPTIONS", "TRACE"])

    def __init__(self, total=10, connect=None, read=None, redirect=None, status=None, **settings):
        self.total = total
        self.connect, self.read, self.redirect, self.status = connect, read, redirect, status
        self.__dict__.update(settings)
