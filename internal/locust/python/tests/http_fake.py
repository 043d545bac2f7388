"""A stand-in for Weir's engine, over sockets: takes `R` frames, sends them, gives `A` back. For tests only."""

import gzip
import http.client
import json
import os
import socket
import struct
import sys
import time
import zlib
from urllib.parse import urljoin, urlsplit

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ways  # noqa: E402

ways.inside()

from locust._weir import engine as module  # noqa: E402

FRAME = struct.Struct("<IIHdII")
INSIDE = 8192


class Frame:
    """An `R` payload, taken apart."""

    def __init__(self, payload):
        data = payload if isinstance(payload, bytes) else b"".join(payload)
        self.user, self.session, self.flags, self.waited, self.connect, self.read = FRAME.unpack_from(data)
        at = FRAME.size

        def take(size):
            nonlocal at
            n = int.from_bytes(data[at : at + size], "little")
            piece = data[at + size : at + size + n]
            at += size + n
            return piece

        self.method = take(1).decode()
        self.name = take(2).decode()
        self.url = take(4).decode()
        self.block = take(4)
        self.body = take(4)
        assert at == len(data), "bytes left over in the frame"

    def lines(self):
        return [tuple(line.split(b": ", 1)) for line in self.block.decode("latin-1").encode("latin-1").split(b"\r\n") if line]


class FakeEngine:
    """Sends each request on a connection of its own and follows redirects as the Go side does."""

    def __init__(self):
        self.user = 7
        self.frames = []
        self.posts = []
        self.released = []
        self.bodies = {}
        self.jars = {}
        self.sent = []
        self.id = 0
        self.told = []

    def install(self):
        from locust._weir import report

        module.engine = report.engine = self
        return self

    # What the package calls.

    def current_user(self):
        return self.user

    def waited(self):
        return 0.0

    def notice(self, text, file="", line=0):
        self.told.append(text)

    def post(self, kind, number, payload=b""):
        self.posts.append((kind, number, payload))

    def release(self, number):
        self.released.append(number)
        self.bodies.pop(number, None)

    def call(self, kind, number, payload=b""):
        if kind == b"B":
            size = int.from_bytes(payload, "little") if payload else None
            body = self.bodies[number]
            piece, self.bodies[number] = (body, b"") if not size else (body[:size], body[size:])
            return (b"\x01" if not self.bodies[number] else b"\0") + piece
        if kind == b"C":
            return self.cookies(json.loads(payload))
        raise AssertionError(kind)

    def request(self, payload):
        frame = Frame(payload)
        self.frames.append(frame)
        self.id += 1
        return self.id, self.exchange(self.id, frame)

    def verdicts(self):
        """The `V` payloads so far: (verdict, name, ms, length, text)."""
        found = []
        for kind, _, payload in self.posts:
            if kind == b"V":
                (n,) = struct.unpack_from("<H", payload, 1)
                name = payload[3 : 3 + n].decode()
                ms, length, size = struct.unpack_from("<dqI", payload, 3 + n)
                at = 3 + n + 20
                assert len(payload) == at + size
                found.append((payload[0], name, ms, length, payload[at:].decode()))
        return found

    # The wire.

    def exchange(self, id, frame):
        start = time.time()
        jar = self.jars.setdefault((frame.session or ("own", frame.user)), {})
        url, method, body, hops, changed = frame.url, frame.method.upper(), frame.body, [], False
        lines = frame.lines()
        settings = {name[1:].decode(): value.decode("latin-1") for name, value in lines if name[:1] == b":"}
        most = int(settings.get("redirects", 30))
        block = lines
        try:
            while True:
                status, reason, headers, content, elapsed = self.once(method, url, block, body, jar, frame)
                for value in [v for k, v in headers if k.lower() == "set-cookie"]:
                    changed = True
                    self.set_cookie(jar, value, url)
                location = next((v for k, v in headers if k.lower() == "location"), None)
                if frame.flags & 2 or location is None or status not in (301, 302, 303, 307, 308):
                    break
                if len(hops) >= most:
                    return self.failed(start, 11, {"error": "TooManyRedirects('Exceeded %d redirects.')" % most})
                hops.append({"status": status, "url": url, "reason": reason, "headers": text_of(headers), "elapsed": elapsed})
                url = urljoin(url, location)
                if status == 303 and method != "HEAD" or status == 302 and method != "HEAD" or status == 301 and method == "POST":
                    method, body = "GET" if method != "HEAD" else method, b""
                    block = [pair for pair in block if pair[0].lower() not in (b"content-length", b"content-type", b"transfer-encoding")]
                block = [pair for pair in block if pair[0].lower() != b"cookie"]
                if not any(name == b":cookies" for name, _ in block):
                    block.append((b":cookies", b""))
        except ConnectionRefusedError as e:
            return self.failed(start, 2, {"error": repr(e), "errno": e.errno})
        except socket.gaierror as e:
            return self.failed(start, 1, {"error": repr(e), "errno": e.errno})
        except (socket.timeout, TimeoutError) as e:
            return self.failed(start, 7, {"error": "", "detail": str(e)})
        except (http.client.RemoteDisconnected, ConnectionError) as e:
            return self.failed(start, 8, {"error": repr(e), "errno": e.errno})
        except http.client.HTTPException as e:
            return self.failed(start, 9, {"error": repr(e)})
        tail = {}
        if hops:
            tail = {"url": url, "history": hops}
        return self.answer(id, status, 0, reason, headers, content, tail, start, elapsed, 4 if changed else 0)

    def once(self, method, url, block, body, jar, frame):
        parts = urlsplit(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        wire = []
        for name, value in block:
            if name == b":cookies":
                mine = ["%s=%s" % (k[2], v) for k, v in jar.items() if k[0] == parts.hostname and parts.path.startswith(k[1])]
                mine += [value.decode("latin-1")] if value else []
                if mine:
                    wire.append(b"Cookie: " + "; ".join(mine).encode("latin-1"))
            elif name[:1] != b":":
                wire.append(name + b": " + value)
        if not any(line.lower().startswith(b"host:") for line in wire):
            wire.insert(0, b"Host: " + parts.netloc.encode())
        chunked = any(line.lower() == b"transfer-encoding: chunked" for line in wire)
        if chunked and body:
            body = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        elif chunked:
            body = b"0\r\n\r\n"
        raw = method.encode() + b" " + target.encode() + b" HTTP/1.1\r\n" + b"\r\n".join(wire) + b"\r\n\r\n" + body
        self.sent.append(raw)
        begin = time.time()
        with socket.create_connection((parts.hostname, parts.port or 80), timeout=(frame.connect or 20000) / 1000) as sock:
            sock.settimeout((frame.read or 20000) / 1000)
            sock.sendall(raw)
            response = http.client.HTTPResponse(sock, method=method)
            response.begin()
            elapsed = time.time() - begin
            content = response.read()
        coding = response.headers.get("Content-Encoding", "").lower()
        if coding == "gzip":
            content = gzip.decompress(content)
        elif coding == "deflate":
            content = zlib.decompress(content)
        return response.status, response.reason, response.getheaders(), content, elapsed

    def failed(self, start, failure, tail):
        return self.answer(0, 0, failure, "", [], b"", tail, start, 0.0, 0)

    def answer(self, id, status, failure, reason, headers, content, tail, start, elapsed, flags):
        inside = len(content) <= INSIDE and not (self.frames and self.frames[-1].flags & 32)
        if inside:
            flags |= 1
        else:
            self.bodies[id] = content
        raw_tail = json.dumps(tail).encode() if tail else b""
        if tail:
            flags |= 2
        out = [struct.pack("<HBBdddI", status, failure, flags, elapsed, (time.time() - start) * 1000, start, len(content))]
        raw = reason.encode("latin-1")
        out += [struct.pack("<H", len(raw)), raw]
        for piece in (text_of(headers).encode("latin-1"), raw_tail, content if inside else b""):
            out += [struct.pack("<I", len(piece)), piece]
        return b"".join(out)

    def set_cookie(self, jar, value, url):
        pair, *attributes = value.split(";")
        name, _, value = pair.strip().partition("=")
        known = {k.strip().lower(): v for k, _, v in (a.partition("=") for a in attributes)}
        key = (urlsplit(url).hostname, known.get("path", "/"), name)
        if known.get("max-age") == "0":
            jar.pop(key, None)
        else:
            jar[key] = value

    def cookies(self, ask):
        jar = self.jars.setdefault((ask["session"] or ("own", ask["user"])), {})
        if ask["op"] == "list":
            rows = [
                {"name": k[2], "value": v, "domain": k[0], "path": k[1], "expires": None, "secure": False, "host_only": True, "http_only": False}
                for k, v in jar.items()
            ]
            return json.dumps({"cookies": rows}).encode()
        if ask["op"] == "set":
            c = ask["cookie"]
            jar[c["domain"], c["path"], c["name"]] = c["value"]
        elif ask["op"] == "clear":
            for key in list(jar):
                if ask.get("domain") in (None, key[0]) and ask.get("path") in (None, key[1]) and ask.get("name") in (None, key[2]):
                    del jar[key]
        return b"{}"


def text_of(headers):
    return "".join("%s: %s\r\n" % pair for pair in headers)
