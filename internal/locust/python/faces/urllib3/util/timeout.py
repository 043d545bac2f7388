"""Timeout of urllib3: two times in one object."""


class Timeout:
    """Seconds to connect and to read."""

    def __init__(self, total=None, connect=None, read=None):
        self.total = total
        self.connect_timeout = connect if connect is not None else total
        self.read_timeout = read if read is not None else total
