"""Random requests, encoded by requests itself and by Weir: the same bytes must come out.

Runs where the real requests is installed; the environment that .ci/setup makes has it.
"""

import importlib
import importlib.machinery
import io
import os
import random
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from http_fake import FakeEngine, Frame  # noqa: E402

from locust._weir.http.frame import Unsent  # noqa: E402
from locust._weir.http.session import Session  # noqa: E402
from locust.clients import HttpSession  # noqa: E402
from locust.event import RequestHook  # noqa: E402



def real_requests():
    """The package requests itself, past the stand-in that other tests put before it; None when it is not installed."""
    here = [path for path in sys.path if os.path.basename(path) != "faces"]
    if importlib.machinery.PathFinder.find_spec("requests", here) is None:
        return None
    for name in [name for name in sys.modules if name.partition(".")[0] in ("requests", "urllib3")]:
        del sys.modules[name]
    before, sys.path[:] = sys.path[:], here
    try:
        return importlib.import_module("requests")
    finally:
        sys.path[:] = before


requests = real_requests()

CASES = 2000
LETTERS = ["a", "Z", "0", "-", "_", ".", "~", "%", "%41", "%2f", "%C3%BC", "%zz", "/", "//", "/./", "/../", "..", " ", "+", "ü", "日", "\U0001f600", "?", "&", "=",
           "#", ";", ":", "@", "[", "]", "{", "}", "|", "\\", "^", "`", '"', "'", "<", ">", "!", "$", "*", "(", ")", ",", "\t"]  # fmt: skip


class Maker:
    """Random parts of requests."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self, most=6):
        return "".join(self.r.choice(LETTERS) for _ in range(self.r.randrange(most)))

    def word(self):
        return self.r.choice(["a", "key", "x-y", "ü", "with space", "a&b", "c=d", "", "~t", "日本", "q[0]"])

    def value(self):
        return self.r.choice([self.word(), self.text(), 1, -5, 2.5, True, None, b"bytes", "", [1, "zwei"], ["a", None, "b"], (), "ä ö", "100%"])

    def pairs(self):
        pairs = [(self.word(), self.value()) for _ in range(self.r.randrange(4))]
        return self.r.choice([dict(pairs), pairs])

    def url(self):
        base = self.r.choice(["http://h.example", "http://h.example:8080", "https://H.example/base", "http://h.example/b/", "http://u:p%40@h.example", "http://[::1]:80", "http://münchen.example"])
        return base + "/" + self.text(9)

    def request(self):
        r = self.r
        kw = {}
        if r.random() < 0.5:
            kw["params"] = r.choice([self.pairs(), self.text(), b"raw=1", None, {}])
        if r.random() < 0.3:
            kw["data"] = r.choice([self.pairs(), self.text(), b"\x00\xff", "", {}, [], None, "täxt"])
        if r.random() < 0.3:
            kw["json"] = r.choice([{}, [], 0, None, False, "s", {"a": [1, None, "ü"]}, 1.5])
        if r.random() < 0.3:
            kw["headers"] = {r.choice(["X-A", "accept", "User-Agent", "Content-Type", "CONTENT-LENGTH", "Accept-Encoding", "Connection", "Authorization"]): r.choice(["v", "", "two words", None, b"bytes"]) for _ in range(r.randrange(3))}
        if r.random() < 0.2:
            kw["auth"] = r.choice([("u", "p"), ("ü", "pässword"), None, (b"b", b"c")])
        if r.random() < 0.2:
            kw["cookies"] = r.choice([{"a": "1"}, {"a": "1", "b": "x y"}, {}, None])
        return r.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PURGE"]), self.url(), kw


def session_of(kind, number, r):
    """A session with some settings of its own; the same ones for both kinds."""
    s = kind()
    which = number % 5
    if which == 1:
        s.headers.update({"X-Session": "1", "Accept": "text/html"})
    elif which == 2:
        s.headers = {"Only": "this"}
    elif which == 3:
        s.auth = ("session", "secret")
        s.params = {"key": "k", "a": "from the session"}
    elif which == 4:
        s.headers["Authorization"] = "Bearer t"
        del s.headers["Accept-Encoding"]
    s.headers["Accept-Encoding" if which not in (2, 4) else "X-Last"] = "gzip, deflate"
    s.trust_env = False
    return s


def by_requests(number, method, url, kw):
    s = session_of(requests.Session, number, None)
    s.headers["User-Agent" if number % 5 != 2 else "X-Agent"] = "same"
    try:
        p = s.prepare_request(requests.Request(method, url, **kw))
    except (requests.exceptions.RequestException, UnicodeError, ValueError) as e:
        return "refused " + type(e).__name__
    body = p.body.encode("utf-8") if isinstance(p.body, str) else p.body
    headers = [(k if isinstance(k, str) else k.decode(), v.encode("latin-1") if isinstance(v, str) else v) for k, v in p.headers.items()]
    url = re.sub(r"^(https?://)[^/]*@", r"\1", p.url.partition("#")[0])
    return url, p.path_url, headers, body or b""


def by_weir(engine, number, method, url, kw):
    s = session_of(lambda: HttpSession("http://base.example", RequestHook(), None), number, None)
    s.headers["User-Agent" if number % 5 != 2 else "X-Agent"] = "same"
    try:
        call = s._encode(method, url, kw.pop("data", None), kw.pop("json", None), kw)
    except Unsent as e:
        return "refused " + type(e.error).__name__
    except (UnicodeError, ValueError) as e:
        return "refused " + type(e).__name__
    s._send(call, call.target.packed_path, call.flags)
    f = engine.last
    headers = []
    for name, value in f.lines():
        if name == b":cookies":
            if value:
                headers.append(("Cookie", value))
        else:
            headers.append((name.decode(), value))
    # What urllib3 adds on its own way to the wire is not in a PreparedRequest.
    headers = [pair for pair in headers if pair not in (("Accept-Encoding", b"identity"), ("User-Agent", b"python-urllib3/2.8.0"))]
    return f.url, f.name, headers, f.body


class Catching(FakeEngine):
    """An engine that sends nothing."""

    def request(self, payload):
        self.last = Frame(payload)
        return 1, self.answer(1, 200, 0, "OK", [], b"", {}, 0.0, 0.0, 0)


@unittest.skipUnless(requests, "the real requests is not installed in this Python")
class Same(unittest.TestCase):
    def test_random_requests(self):
        engine = Catching()
        engine.frames = []
        engine.install()
        seed = int(os.environ.get("WEIR_SEED", "1"))
        maker = Maker(seed)
        refused = 0
        for number in range(CASES):
            method, url, kw = maker.request()
            want = by_requests(number, method, url, dict(kw))
            got = by_weir(engine, number, method, url, dict(kw))
            if isinstance(want, str):
                refused += 1
            self.assertEqual(got, want, "seed %d, case %d: %s %r %r" % (seed, number, method, url, kw))
        self.assertLess(refused, CASES * 0.6, "nearly every case is refused: nothing is compared")

    def test_multipart(self):
        Catching().install()
        for number in range(300):
            def files():
                content = [b"bytes", "text ü", io.BytesIO(b"from a file"), io.StringIO("text file")]
                r = random.Random(number)
                entries = []
                for i in range(1 + r.randrange(3)):
                    one = r.choice(content)
                    entries.append((r.choice(["f", "näme", 'q"']), r.choice([one, ("n.txt", one), ("ü\r\n.txt", one, "text/plain"), ("n", one, "a/b", {"X-H": "1", "Content-Type": "no"}), (None, one)])))
                data = r.choice([None, {"a": "1"}, {"l": [1, "b", None]}, [("k", "v"), (b"kb", b"vb")]])
                return r.choice([entries, dict(entries)]), data

            given, data = files()
            real = requests.Request("POST", "http://h/", files=given, data=data).prepare()
            boundary = re.search("boundary=(.*)", real.headers["Content-Type"]).group(1)
            given, data = files()
            call = Session()._encode("POST", "http://h/", data, None, {"files": given})
            body = call.body[4:]
            mine = re.search(rb"boundary=([0-9a-f]*)", call.block).group(1)
            self.assertEqual(body.replace(mine, boundary.encode()), real.body, "case %d" % number)


if __name__ == "__main__":
    unittest.main()
