"""Who is asking: Basic and Digest, and the base of a script's own schemes."""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64encode
from urllib.parse import urlsplit


def basic(username, password):
    """The value of Authorization for a name and a password."""
    return "Basic " + b64encode(octets(username) + b":" + octets(password)).decode("ascii")


def octets(text):
    if isinstance(text, bytes):
        return text
    return str(text).encode("latin-1")


class AuthBase:
    """What a script derives its own schemes from: called with the request before it is sent."""

    def __call__(self, r):
        raise NotImplementedError("Auth hooks must be callable.")


class Pair(AuthBase):
    """A name and a password."""

    def __init__(self, username, password):
        self.username = username
        self.password = password

    def __eq__(self, other):
        return self.username == getattr(other, "username", None) and self.password == getattr(other, "password", None)

    def __ne__(self, other):
        return not self == other

    __hash__ = None


class HTTPBasicAuth(Pair):
    """A name and a password, sent with every request."""

    header = "Authorization"

    def __call__(self, r):
        r.headers[self.header] = basic(self.username, self.password)
        return r


class HTTPProxyAuth(HTTPBasicAuth):
    """A name and a password for a proxy."""

    header = "Proxy-Authorization"


_pairs = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_HASHES = {"MD5": "md5", "MD5-SESS": "md5", "SHA": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


class HTTPDigestAuth(Pair):
    """RFC 7616: the server asks once, and from then on each request has the proof."""

    def __init__(self, username, password):
        super().__init__(username, password)
        self.challenge = None
        self.count = 0

    def __call__(self, r):
        if self.challenge:
            self.sign(r)
        r.register_hook("response", self.answer)
        return r

    def sign(self, r):
        """Puts the proof into the headers of r."""
        value = self.build_digest_header(r.method, r.url)
        if value:
            r.headers["Authorization"] = value

    def build_digest_header(self, method, url):
        asked = self.challenge
        named = asked.get("algorithm")
        algorithm = (named or "MD5").upper()
        if algorithm not in _HASHES:
            return None

        def digest(text):
            return hashlib.new(_HASHES[algorithm], text.encode("utf-8")).hexdigest()

        parts = urlsplit(url)
        path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        realm, nonce, qop = asked.get("realm", ""), asked.get("nonce", ""), asked.get("qop")
        self.count += 1
        count, cnonce = "%08x" % self.count, os.urandom(8).hex()
        who = digest("%s:%s:%s" % (self.username, realm, self.password))
        if algorithm.endswith("-SESS"):
            who = digest("%s:%s:%s" % (who, nonce, cnonce))
        what = digest("%s:%s" % (method, path))
        if not qop:
            proof = digest("%s:%s:%s" % (who, nonce, what))
        elif "auth" in [word.strip() for word in qop.split(",")]:
            proof = digest(":".join((who, nonce, count, cnonce, "auth", what)))
        else:
            return None
        value = 'Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"' % (self.username, realm, nonce, path, proof)
        if asked.get("opaque"):
            value += ', opaque="%s"' % asked["opaque"]
        if named:
            value += ', algorithm="%s"' % named
        if qop:
            value += ', qop="auth", nc=%s, cnonce="%s"' % (count, cnonce)
        return value

    def answer(self, r, **kwargs):
        """A hook: answers the server's challenge with a second request."""
        asked = r.headers.get("www-authenticate", "")
        if not 400 <= r.status_code < 500 or asked[:6].lower() != "digest" or getattr(r.request, "_proved", False):
            return r
        fresh = {key.lower(): quoted or bare for key, quoted, bare in _pairs.findall(asked[7:])}
        self.challenge, self.count = fresh, 0
        again = r.request.copy()
        again._proved = True
        self.sign(again)
        second = r.connection.send(again, **kwargs)
        second.history.append(r)
        second.request = again
        return second
