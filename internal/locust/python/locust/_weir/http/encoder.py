"""From the arguments of a request to a frame, as `requests` would encode them."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack

from . import body as _body
from . import errors
from .auth import basic
from .frame import CHUNKED, NO_BODY, NO_REDIRECTS, NO_VERIFY, NONE_ALLOWED, STREAM, Block, Call, Target, Unsent, blocks, targets
from .headers import CaseInsensitiveDict
from .request import BadHeader, PreparedRequest, native
from .settings import found, hooks_of, merge, merged, pair_of, proxy_for, timeouts
from .url import BadURL, encode_params, prepare

_KNOWN = frozenset(("params", "headers", "cookies", "files", "auth", "timeout", "allow_redirects", "proxies", "hooks", "stream", "verify", "cert"))


class Encoder:
    """The half of a session that encodes. What it reads of the session, Session.__init__ makes."""

    def _build_url(self, path):
        return path

    def _target(self, url, params):
        own = self.params
        if own:
            params = merge(params, own)
        full = self._build_url(url)
        if params:
            if not isinstance(params, (str, bytes)):
                query = encode_params(params)
                if isinstance(query, str):
                    return self._plain_target(url, full).asking(query) or Target(prepare(full, params)) if query else self._plain_target(url, full)
            return Target(prepare(full, params))
        return self._plain_target(url, full)

    def _plain_target(self, url, full):
        target = targets.get(full)
        if target is None:
            target = targets.keep(full, Target(prepare(full)))
        return target

    def _block(self, headers):
        """The encoded headers of the session and of one request."""
        own = self._own
        mine = self._headers
        if own is None or mine.__class__ is not CaseInsensitiveDict or mine.version != self._own_version:
            own = self._own_block(mine)
        if not headers:
            return own
        try:
            key = (own.key, tuple(headers.items()))
            block = blocks.get(key)
        except TypeError:  # a value that cannot be a key cannot be sent either, `merged` says why
            block, key = None, None
        if block is None:
            block = Block(merged(own.store, headers), self._auth_value(), key)
            if key is not None:
                blocks.keep(key, block)
        return block

    def _own_block(self, mine):
        plain = mine.__class__ is CaseInsensitiveDict
        if plain:
            self._own_version = mine.version
        store = merged({}, mine or {})
        auth = self._auth_value()
        key = (auth, tuple(store.items()))
        own = blocks.get(key)
        if own is None:
            own = Block(store, auth, key)
            own.key = own.plain  # shorter, and its hash is kept
            blocks.keep(key, own)
        self._own = own
        return own

    def _auth_value(self):
        pair = pair_of(self._auth)
        return basic(*pair) if pair else None

    def _encode(self, method, url, data, json, kw):
        """The Call for a request's arguments. Raises Unsent when there can be none."""
        call = Call.__new__(Call)
        call.session = self
        call.method = method
        call.prepared = call.hooks = call.adapter = call.held = None
        call.connect = call.read = 0
        flags = self._first
        try:
            if kw or self.hooks["response"] or self.stream or self.cert or self.proxies or self.max_redirects != 30 or self._scheme or self._coded:
                return self._encode_fully(call, flags, method, url, data, json, kw)
            if self.verify is not True:
                if self.verify is not False:
                    return self._encode_fully(call, flags, method, url, data, json, kw)
                flags |= NO_VERIFY
            call.target = target = self._target(url, None)
            if target.login is not None:
                return self._encode_fully(call, flags, method, url, data, json, kw)
            block = self._block(None)
            self._finish(call, block, flags, method, data, json, None, self._loose)
        except BadURL as e:
            raise Unsent(errors.raiser(e.kind, str(e)), True) from None
        except BadHeader as e:
            raise Unsent(errors.raiser("InvalidHeader", str(e))) from None
        except _body.BadBody as e:
            raise Unsent(errors.raiser(e.kind, e.cause)) from None
        return call

    def _finish(self, call, block, flags, method, data, json, files, cookies):
        """Puts headers and body into call."""
        if not data and json is None and not files:
            call.body, call.shown = NO_BODY, None
            if not cookies and method in ("GET", "HEAD"):
                call.block = block.plain
                call.flags = flags
                return
            about = b"" if method.upper() in ("GET", "HEAD") or "content-length" in block.store else b"Content-Length: 0\r\n"
        else:
            body, kind, chunked = _body.encode(data, files, json)
            call.shown = data if isinstance(data, str) and data else body
            if chunked:
                flags |= CHUNKED
                about = b"Transfer-Encoding: chunked\r\n"
            elif body:
                about = b"Content-Length: %d\r\n" % len(body)
                if "content-length" in block.store:
                    block = Block(merged(block.store, {"Content-Length": str(len(body))}), block.proof, None)
                    about = b""
                if kind and not block.typed:
                    about += b"Content-Type: " + kind.encode("latin-1") + b"\r\n"
            else:
                about = b""
                if kind and not block.typed:
                    about = b"Content-Type: " + kind.encode("latin-1") + b"\r\n"
            call.body = pack("<I", len(body)) + body if body else NO_BODY
        whole = block.finish(cookies.encode("latin-1") if cookies else b"", about)
        call.block = pack("<I", len(whole)) + whole
        call.flags = flags

    def _encode_fully(self, call, flags, method, url, data, json, kw):
        unknown = kw.keys() - _KNOWN
        if unknown:
            raise TypeError("Session.request() got an unexpected keyword argument %r" % sorted(unknown)[0])
        call.target = self._target(url, kw.get("params"))
        if kw.get("allow_redirects", True) is False or not kw.get("allow_redirects", True):
            flags |= NO_REDIRECTS
        extra = []
        if self.max_redirects != 30:
            if self.max_redirects > 0:
                extra.append(":redirects: %d\r\n" % self.max_redirects)
            else:
                flags |= NONE_ALLOWED
        verify = kw.get("verify")
        verify = self.verify if verify is None else verify
        if verify is False:
            flags |= NO_VERIFY
        elif isinstance(verify, (str, bytes)) and verify:
            extra.append(":ca: %s\r\n" % found("a suitable TLS CA certificate bundle", native(verify), call.target.url))
        cert = kw.get("cert") or self.cert
        if cert:
            cert = (cert, None) if isinstance(cert, str) else cert
            extra.append(":cert: %s\r\n" % found("the TLS certificate file", cert[0], call.target.url))
            if len(cert) > 1 and cert[1]:
                extra.append(":key: %s\r\n" % found("the TLS key file", cert[1], call.target.url))
        proxies = kw.get("proxies")
        if proxies or self.proxies:
            proxy = proxy_for(call.target.url, merge(proxies, self.proxies))
            if proxy:
                extra.append(":proxy: %s\r\n" % proxy)
        stream = kw.get("stream")
        if stream or stream is None and self.stream:
            flags |= STREAM
        timeout = kw.get("timeout")
        if timeout is not None:
            call.connect, call.read = timeouts(timeout)
        files = kw.get("files")
        if not data and json is None and files and not isinstance(files, (list, tuple, Mapping)):
            files = list(files)
        auth = kw.get("auth")
        auth = self._auth if auth is None else auth
        if auth is None:
            auth = call.target.login
        hooks = hooks_of(kw.get("hooks"), self.hooks)
        cookies = self._loose
        if kw.get("cookies"):
            cookies = self._with_cookies(cookies, kw["cookies"], call.target.url)
        headers = kw.get("headers")
        pair = pair_of(auth)
        if self._coded:
            call.adapter = self._coded.get(self._prefix_of(call.target.url))
        if auth and pair is None or hooks or call.adapter is not None:
            return self._encode_prepared(call, flags, data, json, files, headers, auth, hooks, cookies, extra)
        block = self._block(headers)
        if pair and auth is not self._auth:
            block = Block(block.store, basic(*pair), None)
        self._finish(call, block, flags, method, data, json, files, cookies)
        if extra:
            self._put_first(call, extra)
        return call

    def _put_first(self, call, extra):
        whole = "".join(extra).encode("latin-1") + call.block[4:]
        call.block = pack("<I", len(whole)) + whole

    def _encode_prepared(self, call, flags, data, json, files, headers, auth, hooks, cookies, extra):
        """The way over a PreparedRequest, for schemes of auth and hooks that want to see it."""
        p = call.prepared = PreparedRequest()
        p.method = call.method.upper()
        p.url = call.target.url
        p.headers = CaseInsensitiveDict()
        p.headers._store = merged(merged({}, self._headers or {}), headers or {})
        if "cookie" not in p.headers:
            # They see the cookies that Weir will send, as far as they are known here.
            whole = "; ".join(part for part in (self._kept_cookies(p.url), cookies) if part)
            if whole:
                p.headers["Cookie"] = p._cookie_line = whole
        p._cookies = {}
        p.prepare_body(data, files, json)
        for hook in hooks:
            p.register_hook("response", hook)
        if auth:
            p.prepare_auth(auth)
        call.hooks = p.hooks["response"]
        call.legs = []
        p._call, p._loose, p._extra = call, cookies, extra
        self._from_prepared(call, p, flags, cookies, extra)
        return call

    def _kept_cookies(self, url):
        """The value of Cookie that answers have made, for a URL."""
        if not self._jar_used:
            return ""
        from .cookies import RequestsCookieJar, header_for

        kept = RequestsCookieJar()
        for cookie in self.cookies:
            if cookie.domain:
                kept.set_cookie(cookie)
        return header_for(kept, url)

    def _from_prepared(self, call, p, flags, cookies, extra=()):
        """Fills call from a PreparedRequest, as it is after all who wanted to change it."""
        if p.url != (call.target.url if call.target else None):
            named = call.target
            call.target = Target(p.url)
            if named is not None:  # the name stays that of the first URL
                call.target.path, call.target.packed_path = named.path, named.packed_path
        call.shown = p.body
        body = p.body
        if body is None:
            body = b""
        elif not isinstance(body, (bytes, bytearray)):
            body = body.encode("utf-8") if isinstance(body, str) else _body.drain(body)
        if "transfer-encoding" in p.headers and "content-length" not in p.headers:
            flags |= CHUNKED
        store = dict(getattr(p.headers, "_store", None) or merged({}, p.headers or {}))
        if "cookie" in store and store["cookie"][1] == getattr(p, "_cookie_line", None):  # as it was: Weir puts the line together
            store["cookie"] = (":cookies", cookies)
        elif "cookie" not in store:
            store["cookie"] = (":cookies", "")
        whole = Block(store, None, None).head
        if extra:
            whole = "".join(extra).encode("latin-1") + whole
        call.block = pack("<I", len(whole)) + whole
        call.body = pack("<I", len(body)) + body if body else NO_BODY
        call.flags = flags

    def _with_cookies(self, cookies, more, url):
        """The cookies of a request: those without a domain, then what the request brings."""
        from http.cookiejar import CookieJar

        if isinstance(more, CookieJar):
            from .cookies import header_for

            kept = {(c.domain, c.path, c.name): c.value for c in self.cookies} if self._jar_used else {}
            wanted = type(more)()
            loose = {}
            for cookie in more:
                if not cookie.domain:
                    loose[cookie.name] = cookie.value
                elif kept.get((cookie.domain, cookie.path, cookie.name)) != cookie.value:
                    wanted.set_cookie(cookie)
            found = header_for(wanted, url) if len(wanted) else ""
            more = loose
        else:
            found = ""
        pairs = {}
        for text in cookies.split("; ") if cookies else ():
            name, equals, value = text.partition("=")
            pairs[name] = value if equals else None
        pairs.update(more)
        parts = [name if value is None else "%s=%s" % (name, value) for name, value in pairs.items()]
        return "; ".join(parts + [found] if found else parts)
