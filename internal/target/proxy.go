package target

import (
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/weir-dev/weir/internal/hit"
)

// proxy is where requests go instead of their origin.
type proxy struct {
	https bool
	host  string
	port  string
	auth  string // value of Proxy-Authorization, or ""
}

func (p *proxy) addr() string { return net.JoinHostPort(p.host, p.port) }

// parseProxy reads a proxy's URL. Its errors never show credentials.
func parseProxy(raw string) (*proxy, *fault) {
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	base, rest := splitURL(raw)
	if strings.HasPrefix(strings.ToLower(base), "socks") {
		return nil, faultf(hit.ProxyFailed, "SOCKS proxies are not supported: give an http:// or https:// proxy")
	}
	if rest != "" && rest != "/" {
		return nil, faultf(hit.ProxyFailed, "the proxy's URL has a path: give scheme://host:port only")
	}
	o, f := parseOrigin(base)
	if f != nil {
		return nil, &fault{why: hit.ProxyFailed, text: f.text}
	}
	return &proxy{https: o.https, host: o.host, port: o.port, auth: o.auth}, nil
}

// proxyFunc returns the function that finds the proxy for an origin, nil for none.
func proxyFunc(o *Options) (func(*origin) (*proxy, *fault), error) {
	none := func(*origin) (*proxy, *fault) { return nil, nil }
	switch {
	case o.UnixSocket != "":
		if o.Proxy != "" && o.Proxy != "none" {
			return nil, bad("Proxy", "a proxy and a Unix socket exclude each other")
		}
		return none, nil
	case o.Proxy == "none":
		return none, nil
	case o.Proxy != "" && o.NoProxy == "":
		p, f := parseProxy(o.Proxy)
		if f != nil {
			return nil, bad("Proxy", "%s", f.text)
		}
		return func(*origin) (*proxy, *fault) { return p, nil }, nil
	}
	config := httpproxy.Config{HTTPProxy: o.Proxy, HTTPSProxy: o.Proxy, NoProxy: o.NoProxy}
	if o.Proxy == "" {
		config = httpproxy.Config{
			HTTPProxy:  either(o.Getenv, "HTTP_PROXY", "http_proxy"),
			HTTPSProxy: either(o.Getenv, "HTTPS_PROXY", "https_proxy"),
			NoProxy:    either(o.Getenv, "NO_PROXY", "no_proxy"),
			CGI:        o.Getenv("REQUEST_METHOD") != "",
		}
	}
	for name, raw := range map[string]string{"HTTP_PROXY": config.HTTPProxy, "HTTPS_PROXY": config.HTTPSProxy} {
		if raw == "" {
			continue
		}
		if _, f := parseProxy(raw); f != nil {
			if o.Proxy != "" {
				return nil, bad("Proxy", "%s", f.text)
			}
			return nil, bad("Proxy", "the environment's %s: %s", name, f.text)
		}
	}
	find := config.ProxyFunc()
	return func(at *origin) (*proxy, *fault) {
		scheme := "http"
		if at.https {
			scheme = "https"
		}
		u, err := find(&url.URL{Scheme: scheme, Host: at.addr()})
		if err != nil {
			return nil, faultf(hit.ProxyFailed, "the proxy of the environment cannot be used for %s: it is set for CGI scripts only", at.addr())
		}
		if u == nil {
			return nil, nil
		}
		return parseProxy(u.String())
	}, nil
}

func either(getenv func(string) string, names ...string) string {
	for _, n := range names {
		if v := getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// tunnel asks the proxy at the other end of k for a connection to addr.
func (k *conn) tunnel(ctx context.Context, p *proxy, addr, agent string, most int) *fault {
	stop := context.AfterFunc(ctx, func() { _ = k.base.Close() })
	defer stop()
	b := make([]byte, 0, 256)
	b = append(b, "CONNECT "...)
	b = append(b, addr...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", addr)
	b = appendField(b, "User-Agent", agent)
	if p.auth != "" {
		b = appendField(b, "Proxy-Authorization", p.auth)
	}
	b = append(b, "\r\n"...)
	if _, err := k.nc.Write(b); err != nil {
		return k.tunnelFault(ctx, p, err.Error(), err)
	}
	var h head
	var first time.Time
	for range maxInterim {
		end, f := k.readHead(&h, most, &first)
		if f != nil {
			return k.tunnelFault(ctx, p, f.text, nil)
		}
		k.r += end
		if h.status >= 200 {
			break
		}
	}
	switch {
	case h.status == 407:
		hint := "put user:password@ before its host"
		if p.auth != "" {
			hint = "it did not accept the ones given"
		}
		return faultf(hit.ProxyFailed, "the proxy %s asks for credentials: %s", p.addr(), hint)
	case h.status < 200 || h.status > 299:
		return faultf(hit.ProxyFailed, "the proxy %s refused the tunnel to %s with status %d", p.addr(), addr, h.status)
	case k.r < k.w:
		return faultf(hit.ProxyFailed, "the proxy %s sent data before the tunnel to %s began", p.addr(), addr)
	}
	k.r, k.w, k.in = 0, 0, 0
	return nil
}

// maxInterim bounds the 1xx answers to CONNECT.
const maxInterim = 8

func (k *conn) tunnelFault(ctx context.Context, p *proxy, text string, err error) *fault {
	if ctx.Err() != nil {
		return faultf(hit.ProxyFailed, "the proxy %s did not open a tunnel in time", p.addr())
	}
	if err != nil {
		text = bare(err)
	}
	return faultf(hit.ProxyFailed, "the proxy %s broke the tunnel: %s", p.addr(), text)
}
