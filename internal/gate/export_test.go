package gate

import "net/http"

// SetTransport replaces the way to the upstreams.
func SetTransport(g *Gate, t http.RoundTripper) { g.proxy.Transport = t }
