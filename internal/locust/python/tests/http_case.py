"""What the tests of HTTP sessions share: an echo server, the stand-in for the engine, a session."""

import gc
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import http_echo  # noqa: E402
import http_fake  # noqa: E402

from locust.clients import HttpSession  # noqa: E402
from locust.event import RequestHook  # noqa: E402

SUCCESS, FAILURE, AS_STATUS, NOT_COUNTED = range(4)


class User:
    """As much of a user as a session looks at."""

    def context(self):
        return {"who": "user"}


class Case(unittest.TestCase):
    def setUp(self):
        gc.collect()  # what other tests left tells the engine that it goes: the old one
        for name in [name for name in sys.modules if name.partition(".")[0] in ("requests", "urllib3")]:
            del sys.modules[name]
        self.engine = http_fake.FakeEngine().install()
        self.server = http_echo.Echo()
        self.addCleanup(self.server.close)
        self.event = RequestHook()
        self.c = HttpSession(self.server.url, self.event, User())

    def told(self):
        """What listeners are told."""
        told = []
        self.event.add_listener(lambda **meta: told.append(meta))
        return told

    def headers(self, response):
        return dict(response.json()["headers"])
