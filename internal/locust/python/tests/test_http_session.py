"""Answers and failures of HttpSession, against a server that echoes, through the stand-in for the engine."""

import json
import os
import pickle
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from http_case import Case  # noqa: E402

from locust._weir.http import tree  # noqa: E402
from locust.clients import HttpSession, ResponseContextManager  # noqa: E402


class Answers(Case):
    def test_attributes(self):
        r = self.c.get("/a?b=1")
        self.assertEqual((r.status_code, r.reason, r.ok, bool(r), r.url), (200, "OK", True, True, self.server.url + "/a?b=1"))
        self.assertEqual(r.headers["CONTENT-type"], "application/json")
        self.assertEqual(r.headers.get("nope"), None)
        self.assertEqual(r.encoding, "utf-8")
        self.assertEqual(repr(r), "<Response [200]>")
        self.assertGreater(r.elapsed.total_seconds(), 0)
        self.assertEqual(r.json()["target"], "/a?b=1")
        self.assertEqual(json.loads(r.content), r.json())
        self.assertEqual(r.text.encode(), r.content)
        self.assertEqual((r.history, r.is_redirect, r.error, len(r.cookies)), ([], False, None, 0))
        self.assertEqual((r.request.method, r.request.url, r.request.path_url, r.request.body), ("GET", r.url, "/a?b=1", None))
        self.assertEqual(r.request.headers["accept"], "*/*")
        self.assertIsNone(r.raise_for_status())

    def test_attributes_can_be_set(self):
        r = self.c.get("/latin?type=text/plain")
        r.encoding = "utf-16"
        self.assertEqual(r.encoding, "utf-16")
        r.encoding = None
        r.note = "own"
        r.status_code = 404
        self.assertEqual((r.note, bool(r)), ("own", False))
        with self.assertRaises(AttributeError):
            r.no_such_thing

    def test_text(self):
        for query, encoding in (
            ("type=text/plain", "ISO-8859-1"), ("type=text/html;charset=latin-1", "latin-1"), ("type=text/plain;charset=utf-8&as=utf-8", "utf-8"),
            ("type=application/x&as=utf-8", None), ("type=application/json&as=utf-8", "utf-8"), ("type=text/plain;charset=%22utf-8%22&as=utf-8", "utf-8"),
        ):  # fmt: skip
            r = self.c.get("/latin?" + query)
            self.assertEqual((r.encoding, r.text), (encoding, "héllo wörld é"), query)
        self.assertEqual(self.c.get("/empty").text, "")
        self.assertEqual(self.c.get("/latin?type=text/plain;charset=nonsense&as=utf-8").text, "héllo wörld é")

    def test_json_errors(self):
        for path in ("/bad-json", "/empty"):
            with self.assertRaises(json.JSONDecodeError) as caught:
                self.c.get(path).json()
            self.assertIsInstance(caught.exception, tree.RequestException)
        self.assertEqual(str(caught.exception), "Expecting value: line 1 column 1 (char 0)")

    def test_errors_are_those_of_requests_once_it_is_imported(self):
        import requests

        with self.assertRaises(requests.exceptions.HTTPError) as caught:
            self.c.get("/status/503").raise_for_status()
        self.assertEqual(str(caught.exception), "503 Server Error: Service Unavailable for url: %s/status/503" % self.server.url)
        self.assertEqual(caught.exception.response.status_code, 503)
        self.assertEqual(caught.exception.request.method, "GET")

    def test_lines_chunks_links(self):
        r = self.c.get("/lines")
        self.assertEqual(list(r.iter_lines()), [b"one", b"two", b"three"])
        self.assertEqual(list(r.iter_lines(chunk_size=2, decode_unicode=True)), ["one", "two", "", "three"])  # \r\n cut in two, as with requests
        self.assertEqual(b"".join(r.iter_content(4)), r.content)
        self.assertEqual(r.raw.read(3) + r.raw.data, b"one" + r.content)
        self.assertEqual(self.c.get("/links").links["next"]["url"], "http://x/2")

    def test_passes_for_an_answer_of_requests(self):
        import types

        real = types.ModuleType("requests")
        real.Response, real.Session = type("Response", (), {}), type("Session", (), {})
        r = self.c.get("/a")
        self.assertFalse(isinstance(r, real.Response))
        sys.modules["requests"] = real
        self.assertTrue(isinstance(r, real.Response) and isinstance(r, ResponseContextManager) and isinstance(self.c, real.Session))
        self.assertFalse(isinstance(r, real.Session))
        self.assertIs(type(r), ResponseContextManager)
        self.assertEqual((r.__class__.__name__, r.status_code), ("ResponseContextManager", 200))
        self.assertEqual(pickle.loads(pickle.dumps(r)).json()["target"], "/a")

    def test_limits(self):
        asked = []

        def ask(**question):
            asked.append(question)
            return [{"limit": 10, "remaining": 0, "reset": 3.5}, {"limit": 1000}]

        self.engine.ask = ask
        self.engine.exchange = lambda id, frame: self.engine.answer(
            id, 429, 0, "Too Many", [("X-RateLimit-Limit", "10")], b"", {}, 1.0, 0.0, 0
        )
        r = self.c.get("/a")
        self.assertEqual((r.weir.limit, r.weir.remaining, r.weir.reset, r.weir.retry_after, len(r.weir)), (10, 0, 3.5, None, 2))
        self.assertEqual(asked, [{"op": "limits", "fields": "X-RateLimit-Limit: 10\r\n"}])
        del self.engine.exchange
        self.assertEqual((list(self.c.get("/a").weir), self.c.get("/a").weir.limit), ([], None))
        self.assertEqual(len(asked), 1)  # nothing in the headers is about limits

    def test_pickle(self):
        r = pickle.loads(pickle.dumps(self.c.get("/a")))
        self.assertEqual((r.status_code, r.json()["target"], r.reason), (200, "/a", "OK"))

    def test_large_body_waits_until_it_is_wanted(self):
        r = self.c.get("/bytes?n=20000")
        self.assertIn(1, self.engine.bodies)
        self.assertEqual(len(r.content), 20000)
        self.assertEqual((len(r.content), self.engine.released), (20000, [1]))
        r = self.c.get("/bytes?n=20000")
        self.assertEqual(self.engine.released, [1])
        del r
        self.assertEqual(self.engine.released, [1, 2], "a body that nobody wants is let go")

    def test_stream_in_chunks(self):
        r = self.c.get("/bytes?n=20000", stream=True)
        self.assertTrue(self.engine.frames[-1].flags & 32)
        self.assertEqual([len(piece) for piece in r.iter_content(6000)], [6000, 6000, 6000, 2000])
        with self.assertRaises(tree.StreamConsumedError):
            r.iter_content(1)
        self.assertEqual(self.engine.released, [1])
        told = self.told()
        self.c.get("/bytes?n=10", stream=True).close()
        self.assertEqual(told[0]["response_length"], 10, "from Content-Length, the body is not read")
        self.assertEqual(self.engine.released, [1, 2])

    def test_redirects(self):
        r = self.c.get("/redirect/302/3")
        self.assertEqual(r.url, self.server.url + "/landed")
        self.assertEqual([old.status_code for old in r.history], [302, 302, 302])
        self.assertEqual([old.headers["location"] for old in r.history], ["/redirect/302/2", "/redirect/302/1", "/landed"])
        self.assertEqual(r.history[0].url, self.server.url + "/redirect/302/3")
        self.assertEqual(r.history[0].cookies.get_dict(), {"hop3": "1"})
        self.assertTrue(r.history[0].is_redirect)
        self.assertEqual(r.request.url, r.url)
        self.assertEqual(self.engine.frames[0].name, "/redirect/302/3")
        r = self.c.get("/redirect/302/3", allow_redirects=False)
        self.assertEqual((r.status_code, r.is_redirect, bool(r)), (302, True, True))
        self.assertEqual(self.c.head("/redirect/302/1").status_code, 302)
        self.c.max_redirects = 2
        r = self.c.get("/redirect/302/3")
        self.assertEqual((r.status_code, repr(r.error)), (0, "TooManyRedirects('Exceeded 2 redirects.')"))


class Failures(Case):
    def test_nobody_listens(self):
        r = HttpSession("http://127.0.0.1:1", self.event, None).get("/x", timeout=5)
        self.assertEqual((r.status_code, r.content, r.text, r.url, r.reason, dict(r.headers), r.history), (0, None, "", None, None, {}, []))
        self.assertIsInstance(r.error, tree.ConnectionError)
        self.assertIsInstance(r.error, OSError)
        self.assertIn("Max retries exceeded with url: /x (Caused by NewConnectionError(", str(r.error))
        self.assertEqual(repr(r._verdict()), "ConnectionRefusedError(111, 'Connection refused')")
        with self.assertRaises(tree.ConnectionError):
            bool(r)  # as in Locust
        with self.assertRaises(tree.ConnectionError):
            r.raise_for_status()

    def test_texts(self):
        # What real Locust 2.47 recorded for the same answers.
        told = self.told()
        for path, text in (
            ("/close", "RemoteDisconnected('Remote end closed connection without response')"),
            ("/reset", "ConnectionResetError(104, 'Connection reset by peer')"),
            ("/status/404", "HTTPError('404 Client Error: Not Found for url: /status/404')"),
            ("/status/599", "HTTPError('599 Server Error: Whatever for url: /status/599')"),
        ):
            self.c.get(path)
            self.assertEqual(repr(told[-1]["exception"]), text)
        for path in ("/status/600", "/status/302", "/empty"):
            self.c.get(path)
            self.assertIsNone(told[-1]["exception"], path)
        self.c.get("/status/404", name="a group")
        self.assertEqual(repr(told[-1]["exception"]), "HTTPError('404 Client Error: Not Found for url: a group')")

    def test_texts_that_weir_tells(self):
        cases = (
            (7, "ReadTimeout(ReadTimeoutError(\"HTTPConnectionPool(host='h', port=80): Read timed out. (read timeout=0.3)\"))", tree.ReadTimeout),
            (11, "TooManyRedirects('Exceeded 30 redirects.')", tree.TooManyRedirects),
            (3, "ConnectTimeoutError(<HTTPConnection(host='h', port=80) at 0x....>, 'Connection to h timed out. (connect timeout=1)')", tree.ConnectTimeout),
            (1, "gaierror(-2, 'Name or service not known')", tree.ConnectionError),
            (4, "OSError(113, 'No route to host')", tree.ConnectionError),
            (5, "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate'))", tree.SSLError),
            (8, "ChunkedEncodingError(ProtocolError('Response ended prematurely'))", tree.ChunkedEncodingError),
            (8, "ChunkedEncodingError(ProtocolError('Connection broken: IncompleteRead(3 bytes read, 97 more expected)', IncompleteRead(3 bytes read, 97 more expected)))", tree.ChunkedEncodingError),
            (9, "BadStatusLine('SSH-2.0-nothing\\r\\n')", tree.ConnectionError),
            (15, "ConnectionError('own words')", tree.ConnectionError),
            (12, "whatever it says", tree.ProxyError),
        )  # fmt: skip
        for failure, text, kind in cases:
            self.engine.exchange = lambda id, frame: self.engine.failed(1.0, failure, {"error": text})  # noqa: B023
            told = self.told()
            r = self.c.get("/x")
            self.assertEqual(repr(told[-1]["exception"]), text)
            self.assertIsInstance(r.error, kind, text)
            str(r.error), r.error.args
            self.event._handlers.clear()

    def test_what_cannot_be_sent(self):
        told = self.told()
        for kw, text in (
            ({"headers": {"X": 5}}, "InvalidHeader(\"Header part (5) from ('X', 5) must be of type str or bytes, not <class 'int'>\")"),
            ({"headers": {"X": "a\nb"}}, "InvalidHeader(\"Invalid leading whitespace, reserved character(s), or return character(s) in header value: 'a\\\\nb'\")"),
            ({"json": float("nan")}, "InvalidJSONError(ValueError('Out of range float values are not JSON compliant"),
        ):
            r = self.c.post("/kw", **kw)
            self.assertEqual((r.status_code, r.text), (0, ""))
            self.assertTrue(repr(told[-1]["exception"]).startswith(text), told[-1]["exception"])
            self.assertEqual(self.engine.frames, [])
        samples = [json.loads(payload) for kind, _, payload in self.engine.posts if kind == b"S"]
        self.assertEqual([(s["type"], s["name"]) for s in samples], [("POST", "/kw")] * 3, "they are counted, as in Locust")

    def test_what_is_raised(self):
        for kind, text, call in (
            (tree.InvalidURL, "No host supplied", lambda: self.c.get("http://")),
            (tree.InvalidURL, "Failed to parse", lambda: self.c.get("http://h:99999/")),
            (tree.MissingSchema, "No scheme supplied", lambda: HttpSession("", self.event, None).get("h/x")),
            (TypeError, "unexpected keyword argument 'bogus'", lambda: self.c.get("/", bogus=1)),
            (TypeError, "not JSON serializable", lambda: self.c.post("/", json={1, 2})),
            (UnicodeEncodeError, "latin-1", lambda: self.c.get("/", headers={"X": "€"})),
            (ValueError, "less than or equal to 0", lambda: self.c.get("/", timeout=0)),
            (ValueError, "must be an int, float or None", lambda: self.c.get("/", timeout="1")),
            (ValueError, "non-token characters 'G T' (found at least ' ')", lambda: self.c.request("g t", "/")),
            (ValueError, "non-token characters ''", lambda: self.c.request("", "/")),
            (ValueError, "Pass a (connect, read) timeout tuple", lambda: self.c.get("/", timeout=(1, 2, 3))),
        ):
            with self.assertRaisesRegex(kind, text.replace("(", r"\(").replace(")", r"\)")):
                call()
        self.assertEqual(self.engine.frames, [])


if __name__ == "__main__":
    unittest.main()
