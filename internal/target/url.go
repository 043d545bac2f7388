package target

import (
	"encoding/base64"
	"net"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/weir-dev/weir/internal/hit"
)

// origin is where a URL points: scheme, host and port, and how to get there.
// It never changes once made, so all users share it.
type origin struct {
	base      string // as written: "https://Host:port"
	https     bool
	host      string // lower case, ASCII, without brackets
	port      string
	authority string // for the Host field: without a default port
	auth      string // value of Authorization from user:password@, or ""
	proxy     *proxy // nil: directly
	shared    *pool  // nil unless connections are shared
	sharedH2  *h2pool
}

// addr is the origin as package net wants it, and as people read it.
func (o *origin) addr() string { return net.JoinHostPort(o.host, o.port) }

func (o *origin) same(p *origin) bool {
	return o == p || o.https == p.https && o.host == p.host && o.port == p.port
}

// splitURL cuts an absolute URL after its authority: "http://h:1", "/p?q". It
// does not allocate; base is "" when raw has no "://".
func splitURL(raw string) (base, rest string) {
	i := strings.Index(raw, "://")
	if i < 0 {
		return "", raw
	}
	i += len("://")
	if j := strings.IndexAny(raw[i:], "/?#"); j >= 0 {
		return raw[:i+j], raw[i+j:]
	}
	return raw, ""
}

// parseOrigin reads the part of a URL that splitURL calls base. Its error never
// shows the password that may be in it.
func parseOrigin(base string) (*origin, *fault) {
	shown := base
	if at := strings.LastIndexByte(base, '@'); at >= 0 {
		scheme, _, _ := strings.Cut(base, "://")
		shown = scheme + "://…" + base[at:]
	}
	u, err := url.Parse(base)
	if err != nil {
		reason := err
		if inner, ok := err.(*url.Error); ok {
			reason = inner.Err
		}
		if shown != base {
			// The reason may quote what it did not understand.
			return nil, faultf(hit.OtherFailure, "%q is not a URL: percent-encode special characters in the user name and password", shown)
		}
		return nil, faultf(hit.OtherFailure, "%q is not a URL: %v", shown, reason)
	}
	o := &origin{base: base, host: strings.ToLower(u.Hostname()), port: u.Port()}
	switch strings.ToLower(u.Scheme) {
	case "http":
		if o.port == "" {
			o.port = "80"
		}
	case "https":
		o.https = true
		if o.port == "" {
			o.port = "443"
		}
	case "":
		return nil, faultf(hit.OtherFailure, "%q is not a full URL: begin it with http:// or https://", shown)
	default:
		return nil, faultf(hit.OtherFailure, "%q: the scheme %q is not http or https", shown, u.Scheme)
	}
	if o.host == "" {
		return nil, faultf(hit.OtherFailure, "%q names no host", shown)
	}
	if n, err := strconv.Atoi(o.port); err != nil || n < 1 || n > 65535 {
		return nil, faultf(hit.OtherFailure, "%q: port %s is not in 1 to 65535", shown, o.port)
	}
	if !isASCII(o.host) {
		ascii, err := idna.Lookup.ToASCII(o.host)
		if err != nil {
			return nil, faultf(hit.OtherFailure, "%q: the host is not a valid international name", shown)
		}
		o.host = ascii
	}
	for i := range len(o.host) {
		if c := o.host[i]; c <= ' ' || c == 0x7f {
			return nil, faultf(hit.OtherFailure, "%q: the host has a space or control character", shown)
		}
	}
	o.authority = o.host
	if strings.Contains(o.host, ":") {
		bare, _, _ := strings.Cut(o.host, "%") // a zone is for this machine only, RFC 6874 §4
		o.authority = "[" + bare + "]"
	}
	if port := u.Port(); port != "" && (port != "80" || o.https) && (port != "443" || !o.https) {
		o.authority += ":" + port
	}
	if u.User != nil {
		password, _ := u.User.Password()
		o.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return o, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// requestTarget makes what stands in a request line from the part of a URL
// after the authority: it begins with "/", has no fragment, and spaces and
// non-ASCII bytes are percent-encoded. It allocates only when it must encode.
func requestTarget(rest string) (string, *fault) {
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		rest = rest[:i]
	}
	dirty := 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case c < ' ' || c == 0x7f:
			return "", faultf(hit.OtherFailure, "the URL has a control character (byte %d of its path)", i+1)
		case c == ' ' || c >= 0x80:
			dirty++
		}
	}
	if dirty > 0 {
		const hex = "0123456789ABCDEF"
		b := make([]byte, 0, len(rest)+2*dirty)
		for i := range len(rest) {
			if c := rest[i]; c == ' ' || c >= 0x80 {
				b = append(b, '%', hex[c>>4], hex[c&15])
			} else {
				b = append(b, c)
			}
		}
		rest = string(b)
	}
	if rest == "" {
		return "/", nil
	}
	if rest[0] != '/' {
		return "/" + rest, nil
	}
	return rest, nil
}
