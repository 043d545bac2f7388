"""A server that tells what it was sent: the target of the HTTP tests and of the wire probe."""

import json
import re
import socket
import threading
from urllib.parse import parse_qsl, urlsplit


class Echo:
    """Listens on a free port of 127.0.0.1. `raw` has every request as it came, head and body."""

    def __init__(self):
        self.raw = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.url = "http://127.0.0.1:%d" % self.port
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def close(self):
        self.server.close()

    def serve(self, sock):
        with sock, sock.makefile("rb") as file:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = file.readline()
                    if not line:
                        return
                    head += line
                headers = [tuple(x.strip() for x in line.split(":", 1)) for line in head.decode("latin-1").split("\r\n")[1:] if line]
                fields = {k.lower(): v for k, v in headers}
                body = b""
                if fields.get("transfer-encoding", "").lower() == "chunked":
                    while True:
                        size = int(file.readline().strip() or b"0", 16)
                        body += file.read(size)
                        file.readline()
                        if not size:
                            break
                else:
                    body = file.read(int(fields.get("content-length") or 0))
                with self.lock:
                    self.raw.append((head, body))
                method, target = head.decode("latin-1").split("\r\n")[0].split(" ")[:2]
                answer = self.answer(method, target, headers, fields, body)
                if answer is None:
                    return
                if callable(answer):
                    answer(sock)
                    return
                status, reason, out, content = answer
                if not any(k.lower() == "content-length" for k, _ in out):
                    out = [*out, ("Content-Length", str(len(content)))]
                text = "HTTP/1.1 %d %s\r\n" % (status, reason) + "".join("%s: %s\r\n" % pair for pair in out) + "\r\n"
                sock.sendall(text.encode("latin-1") + (b"" if method == "HEAD" else content))
                if fields.get("connection", "").lower() == "close":
                    return

    def answer(self, method, target, headers, fields, body):
        # The first segment may be the label of a shape of the wire probe.
        m = re.match(r"/(\w+)(?=/(?:redirect|cookies)/)", target)
        label = "/" + m.group(1) if m else ""
        target = target[len(label) :]
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        plain = [("Content-Type", "application/json")]
        m = re.match(r"/status/(\d+)", parts.path)
        if m:
            return int(m.group(1)), REASONS.get(int(m.group(1)), "Whatever"), [("Content-Type", "text/plain")], b"status"
        m = re.match(r"/redirect/(\d+)/(\d+)", parts.path)
        if m:
            left = int(m.group(2))
            to = label + ("/redirect/%s/%d" % (m.group(1), left - 1) if left > 1 else "/landed")
            return int(m.group(1)), "Redirect", [("Location", to), ("Set-Cookie", "hop%d=1; Path=/" % left)], b"gone"
        if parts.path == "/cookies/set":
            return 200, "OK", plain + [("Set-Cookie", "%s=%s; Path=/" % pair) for pair in query.items()], b"{}"
        if parts.path == "/cookies/expire":
            return 200, "OK", plain + [("Set-Cookie", "%s=; Path=/; Max-Age=0" % name) for name in parse_qsl_names(parts.query)], b"{}"
        if parts.path == "/bytes":
            return 200, "OK", [("Content-Type", "application/octet-stream")], bytes(i % 251 for i in range(int(query["n"])))
        if parts.path == "/latin":
            return 200, "OK", [("Content-Type", query.get("type", "text/plain"))], "héllo wörld é".encode(query.get("as", "latin-1"))
        if parts.path == "/lines":
            return 200, "OK", [("Content-Type", "text/plain; charset=utf-8")], b"one\ntwo\r\nthree"
        if parts.path == "/bad-json":
            return 200, "OK", plain, b"<html>"
        if parts.path == "/empty":
            return 200, "OK", [], b""
        if parts.path == "/digest":
            if 'username="u"' in fields.get("authorization", ""):
                return 200, "OK", plain, b"{}"
            return 401, "Unauthorized", [("WWW-Authenticate", 'Digest realm="r", nonce="n1", qop="auth", opaque="o", algorithm=MD5')], b"no"
        if parts.path == "/limited":
            return 429, "Too Many Requests", [*plain, ("Retry-After", "3"), ("X-RateLimit-Limit", "10"), ("X-RateLimit-Remaining", "0")], b"{}"
        if parts.path == "/links":
            return 200, "OK", [("Link", '<http://x/2>; rel="next", <http://x/9>; rel="last"')], b""
        if parts.path == "/close":
            return None
        if parts.path == "/reset":
            return reset
        if parts.path == "/garbage":
            return lambda sock: sock.sendall(b"SSH-2.0-nothing\r\n\r\n")
        if parts.path == "/short":
            return lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        if parts.path == "/slow":
            return lambda sock: threading.Event().wait(float(query.get("s", "2")))
        return 200, "OK", plain, json.dumps(
            {"method": method, "target": target, "headers": headers, "body": body.decode("latin-1")}
        ).encode()


def parse_qsl_names(query):
    return [name for name, _ in parse_qsl(query)]


def reset(sock):
    import struct

    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
    418: "I'm a teapot", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip
