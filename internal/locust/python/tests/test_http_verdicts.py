"""catch_response, names, listeners of the request event."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from http_case import FAILURE, NOT_COUNTED, SUCCESS, Case  # noqa: E402

from locust.clients import HttpSession, ResponseContextManager  # noqa: E402
from locust.event import EventHook  # noqa: E402
from locust.exception import CatchResponseError, LocustError, ResponseError, StopUser  # noqa: E402


class Verdicts(Case):
    def verdict(self):
        return self.engine.verdicts()[-1]

    def test_success_and_failure(self):
        with self.c.get("/status/404", catch_response=True) as r:
            self.assertIsInstance(r, ResponseContextManager)
            r.success()
        self.assertEqual(self.verdict()[0], SUCCESS)
        with self.c.get("/a", catch_response=True) as r:
            r.failure("no good")
        self.assertEqual((self.verdict()[0], self.verdict()[4]), (FAILURE, "CatchResponseError('no good')"))
        with self.c.get("/a", catch_response=True) as r:
            r.failure(ValueError("v"))
        self.assertEqual((self.verdict()[0], self.verdict()[4]), (FAILURE, "ValueError('v')"))
        with self.c.get("/a", catch_response=True):
            pass
        self.assertEqual(self.verdict()[0], SUCCESS)
        with self.c.get("/status/500", catch_response=True, name="n"):
            pass
        self.assertEqual(self.verdict()[4], "HTTPError('500 Server Error: Internal Server Error for url: n')")
        self.assertEqual(len(self.engine.verdicts()), 5)
        self.assertTrue(all(frame.flags & 1 for frame in self.engine.frames))
        r.json  # of use after the block
        self.assertEqual(r.status_code, 200)

    def test_exceptions_in_the_block(self):
        with self.c.get("/a", catch_response=True):
            raise ResponseError("as said")
        self.assertEqual(self.verdict()[4], "ResponseError('as said')")
        with self.assertRaises(KeyError):
            with self.c.get("/a", catch_response=True):
                raise KeyError("k")
        self.assertEqual(self.verdict()[0], NOT_COUNTED)
        with self.assertRaises(KeyError):
            with self.c.get("/a", catch_response=True) as r:
                r.failure("first")
                raise KeyError("k")
        self.assertEqual(self.verdict()[4], "CatchResponseError('first')")
        with self.assertRaises(CatchResponseError):
            with self.c.get("/a", catch_response=True) as r:
                r.failure("x")
                r.raise_for_status()

    def test_nested(self):
        with self.c.get("/outer", catch_response=True) as outer:
            with self.c.get("/inner", catch_response=True) as inner:
                inner.failure("inner")
            outer.success()
        self.assertEqual([v[0] for v in self.engine.verdicts()], [FAILURE, SUCCESS])
        self.assertEqual([number for kind, number, _ in self.engine.posts if kind == b"V"], [2, 1])

    def test_never_judged(self):
        r = self.c.get("/a", catch_response=True)
        self.assertEqual(r.status_code, 200)
        self.assertEqual(self.engine.released, [])
        del r
        self.assertEqual((self.engine.released, self.engine.verdicts()), ([1], []), "Weir need not wait for a verdict")
        with self.c.get("/a", catch_response=True):
            pass
        with self.assertRaises(KeyError):
            with self.c.get("/a", catch_response=True):
                raise KeyError
        self.assertEqual(self.engine.released, [1])

    def test_large_body_is_not_let_go_before_the_verdict(self):
        with self.c.get("/bytes?n=20000", catch_response=True) as r:
            self.assertEqual((len(r.content), self.engine.released), (20000, []))
        self.assertEqual((self.engine.released, [p[0] for p in self.engine.posts if p[0] != b"C"][-1]), ([1], b"V"))
        with self.c.get("/bytes?n=20000", catch_response=True) as r:
            r.success()
        self.assertEqual(self.engine.released, [1])
        del r
        self.assertEqual(self.engine.released, [1, 2])
        with self.assertRaises(KeyError):
            with self.c.get("/bytes?n=20000", catch_response=True) as r:
                r.content
                raise KeyError
        self.assertEqual(self.engine.released, [1, 2, 3])
        r = self.c.get("/bytes?n=20000", catch_response=True)
        r.content
        del r
        self.assertEqual(self.engine.released[3:], [4])

    def test_meta(self):
        told = self.told()
        with self.c.get("/a", catch_response=True, context={"more": 1}) as r:
            r.request_meta["name"] = "renamed"
            r.request_meta["response_time"] = 12.5
            r.request_meta["response_length"] = 7
        self.assertEqual(self.verdict(), (SUCCESS, "renamed", 12.5, 7, ""))
        meta = told[0]
        self.assertEqual((meta["name"], meta["response_time"], meta["response_length"], meta["exception"]), ("renamed", 12.5, 7, None))
        self.assertEqual((meta["request_type"], meta["context"], meta["url"]), ("GET", {"who": "user", "more": 1}, self.server.url + "/a"))
        self.assertIs(meta["response"], r)

    def test_listeners(self):
        told = self.told()
        self.c.get("/a", name="n")
        self.c.post("/status/404", json={})
        self.assertEqual([(m["request_type"], m["name"], repr(m["exception"])) for m in told],
                         [("GET", "n", "None"), ("POST", "/status/404", "HTTPError('404 Client Error: Not Found for url: /status/404')")])  # fmt: skip
        # Sessions of other tests may be collected meanwhile, and say so.
        self.assertEqual([p for p in self.engine.posts if p[0] in (b"S", b"V")], [], "Weir has counted them: no samples, no verdicts")
        self.assertEqual(told[1]["response_length"], 6)
        self.event.add_listener(lambda **meta: (_ for _ in ()).throw(StopUser()))
        with self.assertRaises(StopUser):
            self.c.get("/a")

    def test_event_of_the_script(self):
        event, told = EventHook(), []
        event.add_listener(lambda **meta: told.append(meta["name"]))
        c = HttpSession(self.server.url, event, None)
        c.get("/a")
        with c.get("/b", catch_response=True) as r:
            r.failure("x")
        self.assertEqual(told, ["/a", "/b"])
        self.assertTrue(all(frame.flags & 8 for frame in self.engine.frames), "not counted: nobody connects this event with the statistics")

    def test_misuse(self):
        with self.assertRaisesRegex(LocustError, "you must also pass catch_response=True"):
            with self.c.get("/a"):
                pass
        r = self.c.get("/a")
        with self.assertRaisesRegex(LocustError, "has not yet been made"):
            r.success()
        with self.assertRaisesRegex(LocustError, "has not yet been made"):
            r.failure("x")

    def test_names(self):
        with self.c.rename_request("group"):
            self.c.get("/a")
            self.c.get("/a", name="own")
        self.c.request_name = "always"
        self.c.get("/b")
        self.c.request_name = None
        self.c.get("/c d/ü", params={"q": "ö"})
        self.c.get(self.server.url)
        self.assertEqual([f.name for f in self.engine.frames], ["group", "own", "always", "/c%20d/%C3%BC?q=%C3%B6", "/"])


if __name__ == "__main__":
    unittest.main()
