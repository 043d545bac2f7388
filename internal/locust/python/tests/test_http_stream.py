"""Bodies that the script reads while they come, and codings that Weir passes on."""

import gzip
import sys
import types
import unittest
import zlib

from http_case import Case

LIVE = 8


class Streams(Case):
    def live(self, pieces, headers=(), end=b"\x01"):
        """Makes answers live, with a body of these pieces. end is the last answer to a question."""
        self.asked = []
        left = list(pieces)

        def exchange(id, frame):
            self.engine.frames[-1].flags |= 32
            return self.engine.answer(id, 200, 0, "OK", list(headers), b"", {}, 1.0, 0.0, LIVE)

        def call(kind, number, payload=b""):
            self.asked.append(payload)
            return b"\0" + left.pop(0) if left else end

        self.engine.exchange, self.engine.call = exchange, call

    def let_go(self):
        return [payload for kind, _, payload in self.engine.posts if kind == b"D"]

    def test_pieces(self):
        self.live([b"one\n", b"two\n"])
        r = self.c.get("/a", stream=True)
        lines = r.iter_lines()
        self.assertEqual(next(lines), b"one")
        self.assertEqual(len(self.asked), 1)  # nothing is asked for before it is wanted
        self.assertEqual(list(lines), [b"two"])
        self.assertEqual(self.asked, [(512).to_bytes(4, "little")] * 3)
        self.assertEqual(self.let_go(), [r._id.to_bytes(4, "little")])
        with self.assertRaises(RuntimeError):
            _ = r.content

    def test_end_early(self):
        for leave in ("close", "del"):
            self.engine.posts.clear()
            self.live([b"x"] * 100)
            r = self.c.get("/a", stream=True)
            next(r.iter_content(None))
            if leave == "close":
                r.close()
            else:
                del r
            self.assertEqual(len(self.let_go()), 1, leave)

    def test_judged(self):
        self.live([b"x"])
        with self.c.get("/a", stream=True, catch_response=True) as r:
            self.assertEqual(list(r.iter_content(None)), [b"x"])
            self.assertEqual(self.let_go(), [])  # it would also say that there will be no verdict
        self.assertEqual([kind for kind, _, _ in self.engine.posts], [b"V", b"D"])
        self.assertEqual(self.engine.verdicts()[0][0], 0)

    def test_content(self):
        self.live([b"[1,", b"2]"], [("Content-Type", "application/json")])
        r = self.c.get("/a", stream=True)
        self.assertEqual((r.json(), r.text, r.content), ([1, 2], "[1,2]", b"[1,2]"))
        self.assertEqual(self.asked, [b""] * 3)

    def test_compressed(self):
        text = b"hello " * 1000
        bare = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        coded = {"gzip": gzip.compress(text), "deflate": zlib.compress(text), "Deflate": bare.compress(text) + bare.flush(), "odd": text}
        for coding, body in coded.items():
            for way in ("content", "pieces"):
                self.live([body[i : i + 7] for i in range(0, len(body), 7)], [("Content-Encoding", coding)])
                r = self.c.get("/a", stream=True)
                self.assertEqual(r.content if way == "content" else b"".join(r.iter_content(100)), text, (coding, way))

    def test_raw(self):
        self.live([b"ab", b"c", b"def"])
        raw = self.c.get("/a", stream=True).raw
        self.assertEqual([raw.read(3), raw.read(2), raw.read(9)], [b"abc", b"def", b""])

    def test_broken(self):
        from locust._weir.http import tree

        for text, kind, said in (
            ("ChunkedEncodingError(ProtocolError('Response ended prematurely'))", tree.ChunkedEncodingError, "Response ended prematurely"),
            ("ReadTimeout(ReadTimeoutError(\"HTTPConnectionPool(host='h', port=1): Read timed out. (read timeout=1)\"))", tree.ConnectionError, "HTTPConnectionPool(host='h', port=1): Read timed out."),
            ("the body is no longer kept", tree.ChunkedEncodingError, "the body is no longer kept"),
        ):  # fmt: skip
            self.live([b"x"], end=b"\x02" + text.encode())
            with self.assertRaises(kind) as caught:
                list(self.c.get("/a", stream=True).iter_content(None))
            self.assertEqual(str(caught.exception), said)

    def test_codings_of_packages(self):
        """What Weir does not decode is decoded where the script has the package, and else left alone."""
        answer = [("content-encoding", "br")]
        self.engine.exchange = lambda id, frame: self.engine.answer(id, 200, 0, "OK", answer, b"dlrow", {}, 1.0, 0.0, 16)
        fake = types.ModuleType("brotli")
        fake.Decompressor = lambda: types.SimpleNamespace(decompress=lambda b: b[::-1])
        kept = {name: sys.modules.get(name) for name in ("brotli", "brotlicffi")}
        self.addCleanup(lambda: [sys.modules.pop(name, None) if m is None else sys.modules.__setitem__(name, m) for name, m in kept.items()])
        sys.modules["brotli"] = fake
        self.assertEqual(self.c.get("/a").text, "world")
        fake.Decompressor = lambda: types.SimpleNamespace(decompress=lambda b: 1 / 0)
        self.assertEqual(self.c.get("/a").text, "dlrow")
        sys.modules["brotli"] = sys.modules["brotlicffi"] = None
        self.assertEqual(self.c.get("/a").text, "dlrow")
        self.assertIn("answers in br", " ".join(self.engine.told))


if __name__ == "__main__":
    unittest.main()
