package gate

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/recorder"
	"github.com/weir-dev/weir/limit"
)

// checkPath is where other proxies ask.
const checkPath = "/check"

// Check returns the endpoint that other proxies ask about a request before they
// pass it on (nginx auth_request, Caddy forward_auth, Traefik ForwardAuth, Envoy
// ext_authz). It answers 200, or what the policies answer to a refused request.
//
//	/check              the request is in X-Forwarded-Method, -Uri, -Host, -Proto and -For
//	/check?refuse=403   likewise, and a refusal is 403 with the status in X-Weir-Status
//	/check/PATH         the request has its own method, host and query, and is for /PATH (Envoy)
//
// Whoever can reach it is believed to be such a proxy. It learns nothing of the
// answer, so what is counted by the answer is counted at once as a success, and
// concurrency limits cannot be kept: Unkept lists them.
func (g *Gate) Check() http.Handler { return http.HandlerFunc(g.serveCheck) }

// Unkept returns the policies of a file that the forward-auth endpoint cannot
// keep, since it does not see the end of a request.
func Unkept(f *policy.File) []*policy.Policy {
	var list []*policy.Policy
	for i := range f.Policies {
		p := &f.Policies[i]
		if p.Algorithm == limit.Concurrency || p.CountIf != nil && p.CountIf.ReadsResponse() || p.Cost.Expr != nil && p.Cost.Expr.ReadsResponse() {
			list = append(list, p)
		}
	}
	return list
}

func (g *Gate) serveCheck(w http.ResponseWriter, r *http.Request) {
	x := &exchange{rec: recorder.Recorder{ResponseWriter: w}, request: r, start: time.Now(), outcome: passed, trusted: true}
	defer func() {
		g.metrics.checks[x.outcome].Inc()
		g.metrics.decided(x)
		g.access.write(x)
	}()
	if what := g.asked(x, r); what != "" {
		x.outcome, x.fault = failed, what
		g.say(x, http.StatusBadRequest, "check", what)
		return
	}
	if r.URL.Path == checkPath && r.URL.Query().Get("refuse") == "403" {
		x.rec.ResponseWriter = statusAs403{w}
	}
	if !g.admit(x) {
		x.unanswered()
		return
	}
	h := x.rec.Header()
	x.verdict.Tell(h.Set)
	h.Set("Content-Length", "0")
	x.rec.WriteHeader(http.StatusOK)
	x.verdict.Done(expr.Response{Status: http.StatusOK})
}

// asked fills in the subject of a question; the text says what is missing.
func (g *Gate) asked(x *exchange, r *http.Request) (missing string) {
	s := &x.subject
	s.Header = expr.Fields(r.Header)
	if rest, ok := strings.CutPrefix(requestPath(r), checkPath+"/"); ok {
		s.Method, s.Host, s.Path, s.RawQuery = r.Method, r.Host, guard.Path("/"+rest), r.URL.RawQuery
		s.Scheme = scheme(r, true)
	} else {
		if r.URL.Path != checkPath {
			return "ask " + checkPath
		}
		first := func(names ...string) string {
			for _, n := range names {
				if v := r.Header[n]; len(v) > 0 {
					return v[len(v)-1] // the last is the proxy's, should it have added one
				}
			}
			return ""
		}
		s.Method = first("X-Forwarded-Method", "X-Original-Method")
		uri := first("X-Forwarded-Uri", "X-Original-Uri")
		if s.Method == "" || uri == "" {
			return "X-Forwarded-Method and X-Forwarded-Uri are missing: the proxy must tell which request it asks about"
		}
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			return "X-Forwarded-Uri is not the target of a request"
		}
		raw, _, _ := strings.Cut(uri, "?")
		if !strings.HasPrefix(raw, "/") {
			raw = u.EscapedPath()
		}
		s.Path, s.RawQuery = guard.Path(raw), u.RawQuery
		s.Host = first("X-Forwarded-Host", "X-Original-Host")
		if s.Scheme = first("X-Forwarded-Proto"); s.Scheme == "" {
			s.Scheme = "http"
		}
	}
	// The proxy that asks is trusted by being able to; those before it by --trust.
	forwarded := r.Header["X-Forwarded-For"]
	if len(forwarded) == 0 {
		return "X-Forwarded-For is missing: the proxy must tell the client's address"
	}
	nearest := forwarded[len(forwarded)-1]
	before := forwarded[:len(forwarded)-1]
	if i := strings.LastIndexByte(nearest, ','); i >= 0 {
		before = append(before[:len(before):len(before)], nearest[:i])
		nearest = nearest[i+1:]
	}
	x.client = g.o.Trust.Client(strings.TrimSpace(nearest), before)
	s.IP = guard.Network(x.client, g.o.IPv6Prefix)
	g.o.Known.Fill(s)
	return ""
}

// statusAs403 turns a refusal into 403, and tells its own status in a field: to
// nginx's auth_request any status but 2xx, 401 and 403 is an error.
type statusAs403 struct{ http.ResponseWriter }

// WriteHeader sends 403 for a refusal.
func (s statusAs403) WriteHeader(status int) {
	if status >= 400 && status != http.StatusInternalServerError {
		s.Header().Set("X-Weir-Status", strconv.Itoa(status))
		status = http.StatusForbidden
	}
	s.ResponseWriter.WriteHeader(status)
}
