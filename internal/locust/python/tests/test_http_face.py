"""The stand-in for the package requests."""

import json
import os
import sys
import unittest
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import http_echo  # noqa: E402
import http_fake  # noqa: E402
import ways  # noqa: E402

FACES = os.path.join(ways.PACKAGE, "faces")


class Face(unittest.TestCase):
    def setUp(self):
        for name in [name for name in sys.modules if name.partition(".")[0] in ("requests", "urllib3")]:
            del sys.modules[name]
        sys.path.insert(0, FACES)
        try:
            import requests
        finally:
            sys.path.remove(FACES)
        self.assertTrue(requests.__file__.startswith(FACES))
        self.requests = requests
        self.engine = http_fake.FakeEngine().install()
        self.server = http_echo.Echo()
        self.addCleanup(self.server.close)

    def tearDown(self):
        for name in [name for name in sys.modules if name.partition(".")[0] in ("requests", "urllib3")]:
            del sys.modules[name]

    def test_functions(self):
        r, url = self.requests, self.server.url
        for name in ("get", "post", "put", "patch", "delete", "options"):
            self.assertEqual(getattr(r, name)(url + "/x", params={"a": 1}).json()["method"], name.upper())
        self.assertEqual(r.head(url + "/x").status_code, 200)
        self.assertEqual(r.request("purge", url + "/x").json()["method"], "PURGE")
        self.assertEqual(r.post(url, json={"a": 1}).json()["body"], '{"a": 1}')
        self.assertTrue(all(frame.flags & 8 for frame in self.engine.frames), "in no statistics")
        self.assertEqual(len({frame.session for frame in self.engine.frames}), len(self.engine.frames))

    def test_session(self):
        with self.requests.Session() as s:
            s.headers["X"] = "1"
            self.assertEqual(dict(s.get(self.server.url).json()["headers"])["X"], "1")
            s.get(self.server.url + "/cookies/set?a=1")
            self.assertEqual(self.requests.utils.dict_from_cookiejar(s.cookies), {"a": "1"})
            s.mount("https://", self.requests.adapters.HTTPAdapter(max_retries=self.requests.adapters.Retry(total=0)))
            p = s.prepare_request(self.requests.Request("POST", self.server.url + "/p", data={"a": "1"}))
            self.assertEqual((p.method, p.body, p.headers["X"], p.headers["Content-Length"]), ("POST", b"a=1", "1", "3"))
            self.assertEqual(json.loads(s.send(p).content)["body"], "a=1")

    def test_errors(self):
        r = self.requests
        with self.assertRaises(r.ConnectionError):
            r.get("http://127.0.0.1:1/")
        with self.assertRaises(r.exceptions.RequestException):
            r.get("nothing")
        with self.assertRaises(r.HTTPError) as caught:
            r.get(self.server.url + "/status/404").raise_for_status()
        self.assertEqual(caught.exception.response.status_code, 404)
        with self.assertRaises(r.exceptions.JSONDecodeError):
            r.get(self.server.url + "/bad-json").json()
        with self.assertRaisesRegex(AttributeError, "stand-in"):
            r.no_such_thing

    def test_names(self):
        import requests.packages.urllib3
        import urllib3
        from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth  # noqa: F401
        from requests.exceptions import ConnectTimeout, ReadTimeout, SSLError  # noqa: F401
        from requests.packages.urllib3.exceptions import InsecureRequestWarning
        from requests.packages.urllib3.util.retry import Retry  # noqa: F401
        from requests.structures import CaseInsensitiveDict

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        requests.packages.urllib3.disable_warnings(InsecureRequestWarning)
        warnings.simplefilter("ignore", InsecureRequestWarning)
        self.assertEqual(CaseInsensitiveDict({"A": 1})["a"], 1)
        codes = self.requests.codes
        self.assertEqual((codes.ok, codes.too_many_requests, codes["not_found"], codes.TEAPOT, codes["nope"]), (200, 429, 404, 418, None))
        self.assertEqual(self.requests.get(self.server.url, timeout=urllib3.Timeout(connect=1, read=2)).status_code, 200)
        self.assertEqual((self.engine.frames[-1].connect, self.engine.frames[-1].read), (1000, 2000))


if __name__ == "__main__":
    unittest.main()
