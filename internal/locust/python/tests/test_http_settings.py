"""What a session is set to: headers, auth, hooks, parameters, adapters."""

import io
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from http_case import FAILURE, NOT_COUNTED, SUCCESS, Case, User  # noqa: E402

from locust._weir.http import tree  # noqa: E402
from locust._weir.http.adapters import HTTPAdapter, UnsupportedAdapter  # noqa: E402
from locust._weir.http.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth  # noqa: E402
from locust.clients import HttpSession  # noqa: E402


class Settings(Case):
    def test_headers(self):
        self.c.headers["X-One"] = "1"
        self.assertEqual(self.headers(self.c.get("/"))["X-One"], "1")
        self.c.headers.update({"X-One": "2", "x-two": "b"})
        self.assertEqual(self.headers(self.c.get("/", headers={"X-TWO": None})).get("x-two"), None)
        self.assertEqual(self.headers(self.c.get("/"))["X-One"], "2")
        del self.c.headers["x-one"]
        self.assertNotIn("X-One", self.headers(self.c.get("/")))
        self.c.headers = shared = {"Only": "this"}
        self.assertEqual(self.headers(self.c.get("/"))["Only"], "this")
        shared["Later"] = "added"
        self.assertEqual(self.headers(self.c.get("/"))["Later"], "added")
        self.c.headers.pop("Only")
        self.assertNotIn("Only", self.headers(self.c.get("/")))

    def test_header_sets_that_change(self):
        mine = {"X-Token": "1"}
        for token in ("1", "2", "3"):
            mine["X-Token"] = token
            self.assertEqual(self.headers(self.c.get("/", headers=mine))["X-Token"], token)

    def test_auth(self):
        self.c.auth = ("u", "p")
        self.assertEqual(self.headers(self.c.get("/"))["Authorization"], "Basic dTpw")
        self.assertEqual(self.headers(self.c.get("/", auth=("a", "b")))["Authorization"], "Basic YTpi")
        self.c.auth = HTTPBasicAuth("u", "p")
        self.assertEqual(self.headers(self.c.post("/", json={}))["Authorization"], "Basic dTpw")
        self.c.auth = None
        self.assertNotIn("Authorization", self.headers(self.c.get("/")))
        c = HttpSession(self.server.url.replace("//", "//us%40er:pa%3Ass@"), self.event, None)
        self.assertEqual((c.base_url, c.auth.username, c.auth.password), (self.server.url, "us@er", "pa:ss"))
        self.assertEqual(self.headers(c.get("/"))["Authorization"], "Basic dXNAZXI6cGE6c3M=")

    def test_auth_callable(self):
        class Signed(AuthBase):
            def __call__(self, r):
                r.headers["X-Signed"] = "%s %s %s" % (r.method, r.path_url, r.body)
                return r

        r = self.c.post("/s?a=1", json={"b": 1}, auth=Signed())
        self.assertEqual(self.headers(r)["X-Signed"], "POST /s?a=1 b'{\"b\": 1}'")

        def rewriting(r):
            r.url += "&more=1"
            r.body = b"changed"
            return r

        r = self.c.post("/s?a=1", data="x", auth=rewriting)
        self.assertEqual((r.json()["target"], r.json()["body"]), ("/s?a=1&more=1", "changed"))

    def test_digest(self):
        auth = HTTPDigestAuth("u", "p")
        told = self.told()
        r = self.c.get("/digest", auth=auth)
        self.assertEqual((r.status_code, [old.status_code for old in r.history]), (200, [401]))
        self.assertIn('qop="auth", nc=00000001', r.request.headers["Authorization"])
        self.assertEqual([f.flags & 9 for f in self.engine.frames], [1, 8], "one request in the statistics")
        self.assertEqual([v[0] for v in self.engine.verdicts()], [SUCCESS])
        self.assertEqual([m["exception"] for m in told], [None])
        self.assertEqual(self.c.get("/digest", auth=auth).status_code, 200)
        self.assertEqual(len(self.engine.frames), 3, "the proof is known by now")
        with self.c.get("/digest", auth=HTTPDigestAuth("u", "p"), catch_response=True, name="both legs") as r:
            r.failure("as said")
        v = self.engine.verdicts()[-1]
        self.assertEqual((v[0], v[4], told[-1]["name"]), (FAILURE, "CatchResponseError('as said')", "both legs"))
        self.assertEqual(v[2], told[-1]["response_time"], "the time of both")

    def test_hooks(self):
        seen = []
        self.c.get("/a", hooks={"response": lambda r, **kw: seen.append((r.status_code, sorted(kw)))})
        self.assertEqual(seen, [(200, ["cert", "proxies", "stream", "timeout", "verify"])])
        self.c.hooks["response"].append(lambda r, **kw: r.raise_for_status())
        with self.assertRaises(tree.HTTPError):
            self.c.get("/status/500")

    def test_params(self):
        self.c.params = {"key": "k", "a": "session"}
        self.assertEqual(self.c.get("/p", params={"a": "mine", "n": None}).json()["target"], "/p?key=k&a=mine")
        self.c.params = {}
        self.assertEqual(self.c.get("/p?x=1", params=[("y", 2)]).json()["target"], "/p?x=1&y=2")

    def test_flags_and_lines(self):
        self.c.get("/", verify=False, timeout=(1.5, 20), allow_redirects=False)
        f = self.engine.frames[-1]
        self.assertEqual((f.flags, f.connect, f.read), (6, 1500, 20000))
        self.c.verify = "/ca.pem"
        self.c.cert = ("/c.pem", "/k.pem")
        self.c.get("/", proxies={"http": "proxy.example:3128"})
        with self.assertRaisesRegex(OSError, "Could not find a suitable TLS CA certificate bundle, invalid path: /ca.pem"):
            self.c.get("https://127.0.0.1/")
        lines = dict(self.engine.frames[-1].lines())
        self.assertEqual([lines[b":ca"], lines[b":cert"], lines[b":key"], lines[b":proxy"]], [b"/ca.pem", b"/c.pem", b"/k.pem", b"http://proxy.example:3128"])
        self.assertEqual(HttpSession(self.server.url, self.event, None)._number > 0, True)

    def test_first_session_of_a_user_is_its_own(self):
        user = User()
        user._weir_id = 42
        first, second = HttpSession("http://h", self.event, user), HttpSession("http://h", self.event, user)
        self.assertEqual((first._number, first._owner), (0, 42))
        self.assertGreater(second._number, 0)

    def test_adapters_without_code(self):
        class Pool(HTTPAdapter):
            def init_poolmanager(self, *args, **kwargs):
                raise AssertionError("never called")

        self.c.mount("https://", HTTPAdapter(pool_maxsize=100))
        self.assertEqual(self.engine.told, [])
        self.c.mount("https://", HTTPAdapter(max_retries=3))
        self.assertRegex(self.engine.told[-1], "max_retries=3")
        self.c.mount("http://", Pool())
        self.assertRegex(self.engine.told[-1], "init_poolmanager of Pool is not called")
        self.assertEqual(self.c.get("/").status_code, 200)
        self.assertIsInstance(self.c.get_adapter(self.server.url), Pool)

        class Other:
            def send(self, request, **kwargs):
                raise AssertionError

        with self.assertRaisesRegex(UnsupportedAdapter, "Other is no HTTPAdapter"):
            self.c.mount("http://", Other())

    def test_adapter_with_code(self):
        told = self.told()
        for base in (HTTPAdapter, self.real_adapter()):

            class Tokens(base):
                def add_headers(self, request, **kwargs):
                    request.headers["X-CSRFToken"] = "token"

                def send(self, request, **kwargs):
                    request.url = request.url.replace("/old", "/new")
                    request.headers["X-Sent"] = request.method
                    return super().send(request, **kwargs)

            c = HttpSession(self.server.url, self.event, User())
            c.mount("http://", Tokens())
            r = c.post("/old", json={"a": 1}, cookies={"k": "v"})
            sent = self.headers(r)
            self.assertEqual((sent["X-CSRFToken"], sent["X-Sent"], sent["Cookie"], r.json()["target"], r.json()["body"]), ("token", "POST", "k=v", "/new", '{"a": 1}'))
            self.assertEqual((self.engine.frames[-1].name, self.engine.verdicts()[-1][0], told[-1]["name"]), ("/old", SUCCESS, "/old"))
            with c.get("/status/404", catch_response=True, name="n") as r:
                r.failure("as said")
            self.assertEqual(self.engine.verdicts()[-1][4], "CatchResponseError('as said')")
            r = c.get("http://127.0.0.1:1/x")
            self.assertEqual((r.status_code, repr(told[-1]["exception"])), (0, "ConnectionRefusedError(111, 'Connection refused')"))
            self.assertEqual(self.engine.verdicts()[-1][4], "ConnectionRefusedError(111, 'Connection refused')")

    def test_adapter_sees_the_cookies(self):
        class Reads(HTTPAdapter):
            def send(self, request, **kwargs):
                request.headers["X-Seen"] = request.headers.get("Cookie", "none")
                return super().send(request, **kwargs)

        self.c.mount("http://", Reads())
        self.assertEqual(self.headers(self.c.get("/"))["X-Seen"], "none")
        self.c.get("/cookies/set?kept=1")
        self.c.cookies.set("own", "2")
        sent = self.headers(self.c.get("/", cookies={"more": "3"}))
        self.assertEqual((sent["X-Seen"], sent["Cookie"]), ("kept=1; own=2; more=3", "kept=1; own=2; more=3"))

    def test_adapter_that_tries_again(self):
        class Again(HTTPAdapter):
            def send(self, request, **kwargs):
                first = super().send(request, **kwargs)
                return first if first.status_code < 500 else super().send(request, **kwargs)

        told = self.told()
        self.c.mount("http://", Again())
        self.c.get("/status/503")
        self.assertEqual([v[0] for v in self.engine.verdicts()], [NOT_COUNTED, FAILURE])
        self.assertEqual((len(self.engine.frames), len(told)), (2, 1), "two requests, one in the statistics")
        self.assertEqual(self.engine.verdicts()[-1][2], told[0]["response_time"], "the time of both")

    def real_adapter(self):
        """An HTTPAdapter of another package named requests: its own send would open connections."""

        class HTTPAdapter:
            def send(self, request, **kwargs):
                raise AssertionError("the real send is not to be reached")

            def add_headers(self, request, **kwargs):
                pass

        HTTPAdapter.__module__ = "requests.adapters"
        return HTTPAdapter

    def test_subclasses(self):
        class Mine(HttpSession):
            def rebuild_auth(self, prepared_request, response):
                pass

        self.assertRegex(self.engine.told[-1], "Mine replaces rebuild_auth, which Weir does not call")
        self.assertEqual(Mine(self.server.url, self.event, None).get("/").status_code, 200)

    def test_user_of_the_script(self):
        c = HttpSession(self.server.url, self.event, User())
        self.assertGreater(c._number, 0, "an object that is no user of Weir's has no session 0")

    def test_sessions_end(self):
        c = HttpSession(self.server.url, self.event, None)
        c.get("/")
        number = c._number
        del c
        self.assertIn((b"C", 0, b'{"op":"close","session":%d}' % number), self.engine.posts)

    def test_bodies(self):
        for data, body, kind in (
            ("text", "text", None), (b"\xff", "\xff", None), ({"a": ["1", "ü"]}, "a=1&a=%C3%BC", "application/x-www-form-urlencoded"),
            (io.BytesIO(b"file"), "file", None), (io.StringIO("ü"), "Ã¼", None), ((x for x in (b"1", b"2")), "12", None),
        ):  # fmt: skip
            r = self.c.post("/", data=data)
            self.assertEqual((r.json()["body"], self.headers(r).get("Content-Type")), (body, kind))
        self.assertEqual(self.headers(r)["Transfer-Encoding"], "chunked")
        self.assertTrue(self.engine.frames[-1].flags & 16)


if __name__ == "__main__":
    unittest.main()
