package target

import (
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/hit"
)

// hop is one request on the wire. A hit is one hop, or more when redirects are followed.
type hop struct {
	method  string
	at      *slot
	target  string // what stands in the request line for a direct connection
	header  []hit.Field
	body    []byte
	cookie  []byte // of the user's jar; a Cookie field of the caller goes instead
	crossed bool   // redirected to another origin: the caller's credentials and Host stay behind
	bare    bool   // redirected to a GET: the body and the fields about it are gone
	fresh   bool   // redirected, and a Cookie field of the caller was for the first hop only
}

// given says which fields the caller set. Subtle: such a field replaces ours
// even when its value is empty; then neither is sent, except for fields that we
// would not send ourselves, which go out as they are.
type given struct {
	host, agent, accept, encoding, auth, length, connection, expect, chunked, cookie bool

	close bool // "Connection: close": nothing may be sent after it, RFC 9112 §9.6
}

// skip tells whether a field of the caller is left out of this hop.
func (h *hop) skip(name string) bool {
	if h.crossed && isCredential(name) {
		return true
	}
	return h.bare && isAboutBody(name)
}

// isCredential names the fields that belong to one origin: RFC 9110 §15.4,
// "Redirection 3xx", asks to remove them when the origin changes.
func isCredential(name string) bool {
	switch len(name) {
	case 4:
		return equalFold(name, "host")
	case 6:
		return equalFold(name, "cookie")
	case 13:
		return equalFold(name, "authorization")
	case 19:
		return equalFold(name, "proxy-authorization")
	}
	return false
}

func isAboutBody(name string) bool {
	switch len(name) {
	case 6:
		return equalFold(name, "expect") || equalFold(name, "digest")
	case 12:
		return equalFold(name, "content-type")
	case 14:
		return equalFold(name, "content-length") || equalFold(name, "content-digest")
	case 16:
		return equalFold(name, "content-encoding") || equalFold(name, "content-language") || equalFold(name, "content-location")
	case 17:
		return equalFold(name, "transfer-encoding")
	}
	return false
}

// look checks the caller's fields, notes which of ours they replace, and
// estimates the size of the request, without a body that goes out by itself.
func (h *hop) look(bare bool) (g given, size int, err *fault) {
	size = 256 + len(h.target) + len(h.cookie)
	if len(h.body) <= inlineBody {
		size += len(h.body)
	}
	for i := range h.header {
		f := &h.header[i]
		if !isToken(f.Name) {
			return g, 0, faultf(hit.OtherFailure, "%q is not a header name", f.Name)
		}
		if strings.IndexByte(f.Value, '\n') >= 0 || strings.IndexByte(f.Value, '\r') >= 0 || strings.IndexByte(f.Value, 0) >= 0 {
			return g, 0, faultf(hit.OtherFailure, "the value of header %s has a line break or NUL in it", f.Name)
		}
		size += len(f.Name) + len(f.Value) + len(": \r\n")
		if (h.crossed || h.bare) && h.skip(f.Name) {
			continue
		}
		switch len(f.Name) {
		case 4:
			g.host = g.host || equalFold(f.Name, "host")
		case 6:
			g.accept = g.accept || equalFold(f.Name, "accept")
			g.cookie = g.cookie || equalFold(f.Name, "cookie") && !(bare && (f.Value == "" || h.fresh))
			g.expect = g.expect || equalFold(f.Name, "expect") && strings.EqualFold(f.Value, "100-continue")
		case 10:
			g.agent = g.agent || equalFold(f.Name, "user-agent")
			if equalFold(f.Name, "connection") {
				g.connection = true
				g.close = g.close || asksToClose(f.Value)
			}
		case 13:
			g.auth = g.auth || equalFold(f.Name, "authorization")
		case 14:
			g.length = g.length || equalFold(f.Name, "content-length")
		case 15:
			g.encoding = g.encoding || equalFold(f.Name, "accept-encoding")
		case 17:
			g.chunked = g.chunked || equalFold(f.Name, "transfer-encoding") && strings.EqualFold(f.Value, "chunked")
		}
	}
	return g, size, nil
}

// asksToClose tells whether a Connection field has the option "close".
func asksToClose(value string) bool {
	for option := range strings.SplitSeq(value, ",") {
		if strings.EqualFold(strings.TrimSpace(option), "close") {
			return true
		}
	}
	return false
}

// emptyDefault tells whether an empty field is only there to silence a default.
func emptyDefault(f *hit.Field) bool {
	if f.Value != "" {
		return false
	}
	switch len(f.Name) {
	case 6:
		return equalFold(f.Name, "accept")
	case 10:
		return equalFold(f.Name, "user-agent") || equalFold(f.Name, "connection")
	case 14:
		return equalFold(f.Name, "content-length")
	case 15:
		return equalFold(f.Name, "accept-encoding")
	}
	return false
}

// appendHead appends the request line and the header block.
func (t *Target) appendHead(b []byte, h *hop, g given) []byte {
	o := h.at.o
	b = append(b, h.method...)
	b = append(b, ' ')
	if p := o.proxy; p != nil && !o.https {
		b = append(b, "http://"...)
		b = append(b, o.authority...)
	}
	b = append(b, h.target...)
	b = append(b, " HTTP/1.1\r\n"...)
	if !g.host {
		b = appendField(b, "Host", o.authority)
	}
	if o.auth != "" && !g.auth && !h.crossed {
		b = appendField(b, "Authorization", o.auth)
	}
	if p := o.proxy; p != nil && !o.https && p.auth != "" {
		b = appendField(b, "Proxy-Authorization", p.auth)
	}
	bare := t.opts.Bare
	if !g.agent && !bare {
		b = appendField(b, "User-Agent", t.opts.UserAgent)
	}
	if !g.accept && !bare {
		b = append(b, "Accept: */*\r\n"...)
	}
	if t.opts.Gzip && !g.encoding && !bare {
		b = append(b, "Accept-Encoding: gzip, deflate\r\n"...)
	}
	if t.opts.Connections == PerRequest && !g.connection {
		b = append(b, "Connection: close\r\n"...)
	}
	cookie := h.cookie
	if g.cookie {
		cookie = nil
	}
	for i := range h.header {
		f := &h.header[i]
		if bare && len(f.Name) == 6 && equalFold(f.Name, "cookie") && (f.Value == "" || h.fresh) {
			b = appendCookie(b, cookie)
			cookie = nil
			continue
		}
		if (h.crossed || h.bare) && h.skip(f.Name) || f.Value == "" && emptyDefault(f) && !bare {
			continue
		}
		b = appendField(b, f.Name, f.Value)
	}
	b = appendCookie(b, cookie)
	if bare && h.bare && h.method != "GET" && h.method != "HEAD" {
		b = append(b, "Content-Length: 0\r\n"...)
	}
	if !bare && !g.length && !g.chunked && (len(h.body) > 0 || anticipatesBody(h.method)) {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(h.body)), 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

func appendCookie(b, cookie []byte) []byte {
	if len(cookie) == 0 {
		return b
	}
	b = append(b, "Cookie: "...)
	b = append(b, cookie...)
	return append(b, "\r\n"...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// appendBody appends the body as it goes on the wire.
func appendBody(b, body []byte, chunked bool) []byte {
	if !chunked {
		return append(b, body...)
	}
	if len(body) > 0 {
		b = strconv.AppendInt(b, int64(len(body)), 16)
		b = append(b, "\r\n"...)
		b = append(b, body...)
		b = append(b, "\r\n"...)
	}
	return append(b, "0\r\n\r\n"...)
}

// anticipatesBody: such a request says Content-Length: 0 when it has none, RFC 9110 §8.6.
func anticipatesBody(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// tokenBytes are the characters of a token, RFC 9110 §5.6.2.
var tokenBytes = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

// equalFold compares a field name with one given in lower case; both have the same length.
func equalFold[S string | []byte](s S, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
