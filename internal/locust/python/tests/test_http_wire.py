"""The wire probe: what real Locust was seen to send (bench/locust/wire/golden-*.json) is what Weir sends,
but for the differences that differences.json lists and explains."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
WIRE = os.path.join(HERE, "..", "..", "..", "..", "bench", "locust", "wire")
sys.path.append(WIRE)

import http_echo  # noqa: E402
import http_fake  # noqa: E402
import probe  # noqa: E402
import shapes  # noqa: E402

from locust.clients import HttpSession  # noqa: E402
from locust.contrib.fasthttp import FastHttpSession  # noqa: E402
from locust.event import RequestHook  # noqa: E402


class Wire(unittest.TestCase):
    def compare(self, kind, client, least):
        # The stand-in for the engine follows redirects in its own way; the order of fields after one is the engine's business.
        later = {"redirect_301_put", "redirect_303_put"} if kind == "fast" else set()
        engine = http_fake.FakeEngine().install()
        server = http_echo.Echo()
        self.addCleanup(server.close)
        shapes.send_all(client(server.url, RequestHook(), None))
        self.assertTrue(engine.frames)
        got = probe.collect(server.raw, server.port)
        want = probe.expected(kind)
        listed = probe.read("differences.json")[kind]
        self.assertGreaterEqual(len(want), least, "the golden file has too few shapes")
        self.assertEqual(set(got), set(want), "shapes that were sent")
        for label, requests in want.items():
            if label in listed:
                self.assertNotEqual(got[label], requests, "%s is listed as different, and is not" % label)
            elif label in later:
                self.assertEqual(got[label][0], requests[0], label)
            else:
                self.assertEqual(got[label], requests, label)
        self.assertEqual(set(listed) - set(want), set(), "listed differences of shapes that there are not")

    def test_http_user(self):
        self.compare("http", HttpSession, 70)

    def test_fast_http_user(self):
        self.compare("fast", FastHttpSession, 70)


if __name__ == "__main__":
    unittest.main()
