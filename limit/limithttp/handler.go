package limithttp

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/recorder"
)

// Handler returns a handler that passes on to next what the limits admit. It may
// be called several times: all its handlers share the counts.
//
// A request that a leaky bucket delays is held that long. Next's
// http.ResponseWriter supports http.ResponseController; only where a policy reads
// the response, or counts what is in progress, it is not the server's own.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := l.check(r)
		v.Tell(w.Header().Set)
		if !v.Allowed {
			l.refuse(w, r, v)
			return
		}
		if !v.Counts() {
			hold(r.Context(), v.Decision.Delay)
			next.ServeHTTP(w, r)
			return
		}
		rec := &recorder.Recorder{ResponseWriter: w}
		// Deferred, since a handler may panic: then it has still been there.
		defer func() {
			v.Done(expr.Response{Status: rec.Status, Header: expr.Fields(w.Header()), Bytes: rec.Bytes})
		}()
		hold(r.Context(), v.Decision.Delay)
		next.ServeHTTP(rec, r)
		rec.End()
	})
}

// check decides on a request.
func (l *Limiter) check(r *http.Request) *guard.Verdict {
	client := l.Client(r)
	sent := r.RequestURI
	if !strings.HasPrefix(sent, "/") {
		sent = r.URL.EscapedPath()
	}
	path := guard.Path(sent)
	if l.cfg.File == nil {
		return l.checkOwn(r, client, path)
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	s := &expr.Subject{
		Method: r.Method, Scheme: scheme, Host: r.Host, Path: path, RawQuery: r.URL.RawQuery,
		Header: expr.Fields(r.Header), IP: client,
	}
	guard.Known{KeyHeader: guard.KeyHeader, KeyQuery: guard.KeyQuery}.Fill(s)
	return l.guard.Check(r.Context(), s)
}

// checkOwn decides by policies in Go.
func (l *Limiter) checkOwn(r *http.Request, client, path string) *guard.Verdict {
	var few [4]guard.Ask
	asks := few[:0]
	for i := range l.cfg.Policies {
		if !l.applies(i, r.Method, path) {
			continue
		}
		p := &l.cfg.Policies[i]
		a := guard.Ask{Policy: i, Cost: 1}
		if p.Key != nil {
			a.Key = p.Key(r, client)
		}
		if p.Cost != nil {
			a.Cost = p.Cost(r)
		}
		asks = append(asks, a)
	}
	return l.guard.CheckKeys(r.Context(), asks...)
}

func (l *Limiter) applies(i int, method, path string) bool {
	for j := range l.match[i] {
		if l.match[i][j].Matches(method, path) {
			return true
		}
	}
	return len(l.match[i]) == 0
}

// Client returns the address that a request came from, without a port, by
// TrustedProxies; of an IPv6 address its network, such as 2001:db8:1:2::/64.
func (l *Limiter) Client(r *http.Request) string {
	return guard.Network(l.proxies.Client(r.RemoteAddr, r.Header["X-Forwarded-For"]), l.cfg.IPv6Prefix)
}

// refuse answers a request that is not admitted.
func (l *Limiter) refuse(w http.ResponseWriter, r *http.Request, v *guard.Verdict) {
	if l.cfg.Refuse != nil && v.Refused != nil {
		f := v.Refused
		l.cfg.Refuse(w, r, Event{Time: l.guard.Now(), Kind: guard.Refused.String(), Policy: f.Policy.Name, Key: f.Key, Decision: v.Decision})
		return
	}
	status, fields, body := v.Answer()
	for _, f := range fields {
		w.Header().Set(f.Name, f.Value)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that has gone does not need it
}

// hold waits for d. When the client goes meanwhile it panics with
// http.ErrAbortHandler: to a client that has only ended its side of the
// connection, net/http would say 200 for a request that nobody has served.
func hold(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		panic(http.ErrAbortHandler)
	}
}
