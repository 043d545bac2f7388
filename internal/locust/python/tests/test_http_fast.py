"""FastHttpUser's client, and rest()."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import http_echo  # noqa: E402
import http_fake  # noqa: E402

from locust._weir.http.rest import RestMixin  # noqa: E402
from locust.clients import HttpSession  # noqa: E402
from locust.contrib import fasthttp  # noqa: E402
from locust.contrib.fasthttp import FastHttpSession, FastResponse, LocustBadStatusCode, ResponseContextManager  # noqa: E402
from locust.event import RequestHook  # noqa: E402
from locust.exception import LocustError  # noqa: E402


class Case(unittest.TestCase):
    def setUp(self):
        self.engine = http_fake.FakeEngine().install()
        self.server = http_echo.Echo()
        self.addCleanup(self.server.close)
        self.event = RequestHook()
        self.c = FastHttpSession(self.server.url, self.event, None)

    def told(self):
        told = []
        self.event.add_listener(lambda **meta: told.append(meta))
        return told


class Fast(Case):
    def test_attributes(self):
        r = self.c.get("/a b?x=1")
        self.assertIs(type(r), FastResponse)
        self.assertEqual((r.status_code, r.ok, bool(r), r.url, r.error, r.status), (200, True, True, self.server.url + "/a b?x=1", None, "200"))
        self.assertEqual(r.json()["target"], "/a%20b?x=1")
        self.assertEqual((r.text.encode(), r.data, r.read(3)), (r.content, r.content, r.content[:3]))
        self.assertEqual((r.request.method, r.request.url, r.request.body), ("GET", r.url, None))
        self.assertEqual(r.request.headers["user-agent"], fasthttp.USER_AGENT)
        self.assertEqual(r.history, [])
        self.assertIsNone(r.raise_for_status())
        self.assertEqual(self.engine.frames[0].name, "/a b?x=1", "its name is the URL as the script wrote it")

    def test_failed(self):
        told = self.told()
        r = self.c.get("/status/404", name="n")
        self.assertEqual((r.status_code, r.ok, r.text), (404, False, "status"))
        self.assertIsInstance(r.error, LocustBadStatusCode)
        self.assertEqual(repr(r.error), "LocustBadStatusCode(code=404)")
        self.assertEqual(str(r.error), "URL %s/status/404: code=404" % self.server.url)
        self.assertEqual([(m["name"], repr(m["exception"])) for m in told], [("n", "LocustBadStatusCode(code=404)")])
        with self.assertRaises(LocustBadStatusCode):
            r.raise_for_status()
        for status in (200, 301, 304):
            self.c.get("/status/%d" % status)
            self.assertIsNone(told[-1]["exception"], status)
        for status in (600, 305, 599):
            self.c.get("/status/%d" % status)
            self.assertEqual(repr(told[-1]["exception"]), "LocustBadStatusCode(code=%d)" % status)
        self.assertTrue(all(frame.flags & 128 for frame in self.engine.frames))

    def test_no_answer(self):
        c = FastHttpSession("http://127.0.0.1:1", self.event, None)
        r = c.get("/x")
        self.assertEqual((r.status_code, r.content, r.text, r.headers, r.ok), (0, None, None, None, False))
        self.assertEqual(repr(r.error), "ConnectionRefusedError(111, 'Connection refused')")
        self.assertIsInstance(r, fasthttp.ErrorResponse)
        with self.assertRaises(ConnectionRefusedError):
            r.raise_for_status()
        self.engine.exchange = lambda id, frame: self.engine.failed(1.0, 8, {"error": "HTTPConnectionClosed('connection closed.')"})
        with self.c.get("/x", catch_response=True):
            pass
        self.assertEqual(self.engine.verdicts()[-1][4], "HTTPConnectionClosed('connection closed.')")

    def test_judged(self):
        with self.c.get("/status/404", catch_response=True) as r:
            self.assertIsInstance(r, ResponseContextManager)
            self.assertIsInstance(r, FastResponse)
            r.success()
        with self.c.get("/a", catch_response=True) as r:
            r.failure("no")
        with self.c.get("/status/500", catch_response=True):
            pass
        with self.c.get("/a", catch_response=True) as r:
            r.request_meta["name"] = "other"
        self.assertEqual([(v[0], v[1], v[4]) for v in self.engine.verdicts()],
                         [(0, "", ""), (1, "", "CatchResponseError('no')"), (1, "", "LocustBadStatusCode(code=500)"), (0, "other", "")])  # fmt: skip
        with self.assertRaisesRegex(LocustError, "you must pass catch_response=True"):
            self.c.get("/a").failure("x")

    def test_repeated_headers_are_lists(self):
        r = self.c.get("/cookies/set?a=1&b=2")
        self.assertEqual(r.headers["set-cookie"], ["a=1; Path=/", "b=2; Path=/"])
        self.assertEqual(r.headers.getlist("content-type"), ["application/json"])
        self.assertEqual(self.c.cookiejar.get_dict(), {"a": "1", "b": "2"})

    def test_settings(self):
        c = FastHttpSession(self.server.url, self.event, None, insecure=False, network_timeout=2, connection_timeout=0.5, max_redirects=5,
                            headers={"X-Default": "1"}, proxy_host="proxy.example", proxy_port=3128)  # fmt: skip
        self.engine.exchange = lambda id, frame: self.engine.answer(id, 200, 0, "OK", [], b"", {}, 0.0, 0.0, 0)
        c.get("/", headers={"X-Mine": "2"})
        f = self.engine.frames[-1]
        lines = dict(f.lines())
        self.assertEqual((f.connect, f.read, f.flags), (500, 2000, 128))
        self.assertEqual([lines[b":redirects"], lines[b":proxy"], lines[b"X-Default"], lines[b"X-Mine"]], [b"5", b"http://proxy.example:3128", b"1", b"2"])
        self.c.get("/", verify=True, timeout=1, allow_redirects=False)
        f = self.engine.frames[-1]
        self.assertEqual((f.connect, f.read, f.flags), (1000, 1000, 130))
        self.c.get("/")
        self.assertEqual((self.engine.frames[-1].connect, self.engine.frames[-1].flags), (60000, 132), "certificates are not verified unless asked for")

    def test_login_in_the_host(self):
        c = FastHttpSession(self.server.url.replace("//", "//us%40er:p@"), self.event, None)
        self.assertEqual(dict(c.get("/").json()["headers"])["Authorization"], "Basic dXNAZXI6cA==")

    def test_stream(self):
        self.assertEqual(list(self.c.iter_lines("/lines")), ["one", "two\r", "three"])
        r = self.c.get("/bytes?n=20000", stream=True)
        self.assertEqual(sum(len(chunk.encode() if isinstance(chunk, str) else chunk) for chunk in r.iter_content(700)), 20000)

    def test_what_is_not_known_is_data(self):
        self.assertEqual(self.c.post("/p", one="1").json()["body"], "one=1")
        self.assertEqual(self.c.get("/p", one="1").json()["target"], "/p?one=1")
        for method in ("", "G T", b"GET"):
            with self.assertRaisesRegex(ValueError, "invalid HTTP method"):
                self.c.request(method, "/")
        self.assertEqual(self.c.request("Purge", "/").json()["method"], "PURGE")
        with self.assertRaisesRegex(ValueError, "invalid value for header field"):
            self.c.get("/", headers={"X": "a\nb"})


class Talker(RestMixin):
    def __init__(self, client):
        self.client = client


class Rest(Case):
    def each(self):
        return [Talker(client) for client in (self.c, HttpSession(self.server.url, self.event, None))]

    def text(self):
        return self.engine.verdicts()[-1][4]

    def test_rest(self):
        for user in self.each():
            with user.rest("POST", "/r", json={"a": 1}) as r:
                sent = dict(r.js["headers"])
                self.assertEqual((sent["Content-Type"], sent["Accept"], json.loads(r.js["body"])), ("application/json", "application/json", {"a": 1}))
            self.assertEqual(self.engine.verdicts()[-1][0], 0)
            with user.rest("GET", "/r", headers={"accept": "text/html"}) as r:
                self.assertEqual({k: v for k, v in r.js["headers"] if k.lower() == "accept"}, {"accept": "text/html"})
            with user.rest("GET", "/bad-json") as r:
                self.assertIsNone(r.js)
            self.assertEqual(self.text(), "CatchResponseError('Could not parse response as JSON. <html>, response code 200, error Expecting value: line 1 column 1 (char 0)')")
            with user.rest("GET", "/r"):
                raise AssertionError("not so")
            self.assertEqual(self.text(), "CatchResponseError('not so')")
            with user.rest("GET", "/limited"):
                assert False, "too many,"  # noqa: B011, PT015
            self.assertEqual(self.text(), "CatchResponseError('too many, response was {}')")
            with user.rest("GET", "/limited") as r:
                r.js["id"]
            self.assertRegex(self.text(), r"KeyError: 'id' at [^,]*test_http_fast.py:\d+ in test_rest. Response was \{\}")
            with user.rest_("GET", "/r?a=1") as r:
                self.assertRegex(r.js["target"], r"^/r\?a=1&_=\d{13}$")
            self.assertEqual(self.engine.frames[-1].name, "/r?a=1&_=...")

    def test_no_answer(self):
        for client in (FastHttpSession("http://127.0.0.1:1", self.event, None), HttpSession("http://127.0.0.1:1", self.event, None)):
            with Talker(client).rest("GET", "/x") as r:
                self.assertIsNone(r.js)
            self.assertEqual(self.engine.verdicts()[-1][0], 1)
            self.assertIn("refused", self.text())


if __name__ == "__main__":
    unittest.main()
