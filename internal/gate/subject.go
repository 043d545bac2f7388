package gate

import (
	"net/http"
	"strings"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
)

// subject fills in what policies read of a request.
func (g *Gate) subject(s *expr.Subject, r *http.Request, client string, trusted bool) {
	s.Method, s.Host, s.RawQuery = r.Method, r.Host, r.URL.RawQuery
	s.Header = expr.Fields(r.Header)
	s.Path = guard.Path(requestPath(r))
	s.IP = guard.Network(client, g.o.IPv6Prefix)
	s.Scheme = scheme(r, trusted)
	g.o.Known.Fill(s)
}

// scheme is how the client reached the gate, or the trusted proxy before it.
func scheme(r *http.Request, trusted bool) string {
	if trusted {
		switch p := r.Header.Get("X-Forwarded-Proto"); p {
		case "http", "https":
			return p
		}
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// requestPath is the path of the request line, without the query, as it was sent.
func requestPath(r *http.Request) string {
	if uri := r.RequestURI; strings.HasPrefix(uri, "/") {
		if i := strings.IndexByte(uri, '?'); i >= 0 {
			uri = uri[:i]
		}
		return uri
	}
	if r.URL.Path == "" {
		return "/" // the absolute form without a path
	}
	return r.URL.EscapedPath()
}
