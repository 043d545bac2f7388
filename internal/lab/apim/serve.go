package apim

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// The messages of the service: "Error handling in API Management policies",
// 2020-01-10, and the recorded answers of the package comment.
const (
	missingKey = "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API."
	invalidKey = "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."
	notFound   = "Resource not found"
	noKey      = "The counter-key field is required"
	internal   = "Internal server error"
)

// ServeHTTP answers one call.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.stand.Begin()
	// Read first: a connection with an unread body cannot be used again. A body
	// that breaks off is not our subject.
	_, _ = io.Copy(io.Discard, r.Body)

	a, op, params := g.find(r)
	if op == nil {
		g.message(w, r, http.StatusNotFound, notFound)
		return
	}
	product, subscription, problem := g.admit(a, r)
	if problem != "" {
		w.Header().Set("WWW-Authenticate", `AzureApiManagementKey realm="`+realm(a, r)+`",name="`+a.KeyHeader+`",type="header"`)
		g.message(w, r, http.StatusUnauthorized, problem)
		return
	}
	subject := g.subject(r, a, op, params, product, subscription)
	verdict := g.guard.CheckOnly(r.Context(), subject, g.limits.Effective(subject.Product.ID, a.ID, op.ID))
	g.stand.Note(a.place, !verdict.Allowed && verdict.Err == nil)
	done := expr.Response{Status: http.StatusInternalServerError}
	defer func() { verdict.Done(done) }() // however the answer ends
	verdict.Tell(w.Header().Set)
	if !verdict.Allowed {
		g.refuse(w, r, verdict)
		return
	}
	fault := g.stand.Disturb(w, r)
	switch fault {
	case stand.Reset, stand.Hang:
		return
	case stand.Error:
		g.message(w, r, http.StatusInternalServerError, internal)
		return
	}
	status, body := op.Status, op.Body
	if status == 0 {
		status = http.StatusOK
	}
	if body == "" {
		body = fmt.Sprintf("{\"api\":%q,\"operation\":%q}\n", a.ID, op.ID)
	}
	w.Header().Set("Content-Type", "application/json")
	if op.ContentType != "" {
		w.Header().Set("Content-Type", op.ContentType)
	}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		g.stand.Count(status)
		w.WriteHeader(status)
		body = ""
	} else {
		g.stand.Answer(w, r, fault, status, []byte(body))
	}
	done = expr.Response{Status: status, Header: expr.Fields(w.Header()), Bytes: int64(len(body))}
}

// message answers as the service does.
func (g *Gateway) message(w http.ResponseWriter, r *http.Request, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	g.stand.Answer(w, r, stand.None, status, []byte(`{ "statusCode": `+strconv.Itoa(status)+`, "message": "`+text+`" }`))
}

// realm is the address of the API, as the service names it in a 401.
func realm(a *api, r *http.Request) string {
	host := strings.Map(func(c rune) rune {
		if c <= ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return -1
		}
		return c
	}, r.Host)
	return "https://" + host + "/" + a.Path
}

// admit finds the subscription and the product of a call: articles/api-management/
// api-management-subscriptions.md, "How API Management handles requests with or
// without subscription keys", read 2026-11-21. problem is the message of a 401.
func (g *Gateway) admit(a *api, r *http.Request) (p *Product, s *Subscription, problem string) {
	key := r.Header.Get(a.KeyHeader)
	if key == "" {
		key = r.URL.Query().Get(a.KeyQuery)
	}
	if s = g.keys[key]; s != nil && key != "" && !s.Suspended {
		switch {
		case s.Product != "" && g.serve[s.Product][a.ID]:
			return g.named[s.Product], s, ""
		case s.Product == "" && (s.API == "" || s.API == a.ID):
			return nil, s, ""
		}
	}
	// No key, or one that does not open this API.
	switch open := g.open[a.ID]; {
	case open != nil:
		return open, nil, ""
	case a.Open:
		return nil, nil, ""
	case key == "":
		return nil, nil, missingKey
	}
	return nil, nil, invalidKey
}

// subject is the call as expressions see it.
func (g *Gateway) subject(r *http.Request, a *api, op *operation, params map[string]string, p *Product, s *Subscription) *expr.Subject {
	attr := make(map[string]string, 7+len(params))
	attr["deployment.region"] = g.cfg.Region
	attr["deployment.servicename"] = "weir-lab"
	attr["deployment.gatewayid"] = "managed" // of gateways in Azure: policy-expressions.md, 2022-02-07
	attr["request.id"] = "00000000-0000-0000-0000-" + fmt.Sprintf("%012d", g.calls.Add(1))
	attr["operation.template"] = op.Template
	attr["api.path"] = a.Path
	for name, value := range params {
		attr["param."+name] = value
	}
	out := &expr.Subject{
		Method: r.Method, Scheme: "http", Host: hostname(r.Host), Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Header: expr.Fields(r.Header),
		IP:  guard.Proxies{}.Client(r.RemoteAddr, nil),
		API: expr.Named{ID: a.ID, Name: a.Name}, Operation: expr.Named{ID: op.ID, Name: op.Name}, Attr: attr,
	}
	if r.TLS != nil {
		out.Scheme = "https"
	}
	if p != nil {
		out.Product = expr.Named{ID: p.ID, Name: p.Name}
	}
	if s != nil {
		out.Subscription = expr.Named{ID: s.ID, Name: s.Name, Key: s.Key}
		out.User = expr.Named{ID: s.User}
	}
	return out
}

// hostname is a host without its port.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

// refuse answers a call that a limit refused, or that could not be decided.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, v *guard.Verdict) {
	if v.Err != nil {
		text := internal
		if isNoKey(v.Err) {
			text = noKey
		}
		g.message(w, r, http.StatusInternalServerError, text)
		return
	}
	// Subtle: the verdict's own wait is the longest of all limits that are used up,
	// so that a client which obeys is not refused by another. The service tells the
	// wait of the policy that refused, and nothing of those behind it.
	p := v.Refused.Policy
	wait := v.Refused.Decision.RetryAfter
	if v.Refused.Decision.Allowed {
		wait = v.Decision.RetryAfter
	}
	seconds := strconv.FormatInt(wholeSeconds(wait), 10)
	switch {
	case p.Tell.RetryAfter != "":
		w.Header().Set(p.Tell.RetryAfter, seconds)
	case p.Answer.Dialect != "":
		w.Header().Set("Retry-After", seconds)
	}
	if p.Answer.Status == http.StatusForbidden { // a quota: the service tells the time as hh:mm:ss
		kind := "call volume"
		if p.Cost.Expr != nil && p.Cost.Expr.ReadsResponse() {
			kind = "bandwidth"
		}
		g.message(w, r, p.Answer.Status, "Out of "+kind+" quota. Quota will be replenished in "+clock(wait)+".")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	g.stand.Answer(w, r, stand.None, p.Answer.Status, []byte(strings.ReplaceAll(p.Answer.Body, "{retry-after}", seconds)))
}

// wholeSeconds is a wait in seconds, rounded up; 0 where there is none to tell.
func wholeSeconds(d time.Duration) int64 {
	if d < 0 || d == limit.Never {
		return 0
	}
	n := int64(d / time.Second)
	if d%time.Second > 0 {
		n++
	}
	return n
}

// clock writes a wait as .NET's TimeSpan does: hh:mm:ss, with days before it when
// there are any. It is rounded up to whole seconds.
func clock(d time.Duration) string {
	n := wholeSeconds(d)
	text := fmt.Sprintf("%02d:%02d:%02d", n/3600%24, n/60%60, n%60)
	if days := n / 86400; days > 0 {
		text = strconv.FormatInt(days, 10) + "." + text
	}
	return text
}

func isNoKey(err error) bool { return errors.Is(err, guard.ErrNoKey) }
