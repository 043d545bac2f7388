package auth0

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/tenantlog"
)

// maxBody bounds the body of a request; the longest that makes sense is far
// below it.
const maxBody = 64 << 10

// exchange is one request with what is known of it.
type exchange struct {
	t     *Tenant
	w     http.ResponseWriter
	r     *http.Request
	route string // "POST /oauth/token"
	form  url.Values
	token claims // of the Bearer token; Sub is "" when there is none that is valid
	fault stand.Fault
}

// audience is who looks at the answer of a route.
type audience bool

const (
	forPrograms audience = false
	forPeople   audience = true
)

// routes are all that the tenant serves.
func (t *Tenant) routes() *http.ServeMux {
	mux := http.NewServeMux()
	on := func(kind audience, serve func(*exchange), routes ...string) {
		for _, route := range routes {
			mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
				t.serve(&exchange{t: t, w: w, r: r, route: route}, kind, serve)
			})
		}
	}
	on(forPeople, (*exchange).authorize, "GET /authorize")
	on(forPeople, (*exchange).resume, "GET /authorize/resume")
	on(forPeople, (*exchange).loginPage, "GET /u/login", "GET /u/signup", "GET /login")
	on(forPeople, (*exchange).loginForm, "POST /u/login")
	on(forPeople, (*exchange).signupForm, "POST /u/signup")
	on(forPeople, (*exchange).callback, "GET /login/callback", "POST /login/callback")
	on(forPeople, (*exchange).logout, "GET /v2/logout")
	on(forPrograms, (*exchange).oauthToken, "POST /oauth/token")
	on(forPrograms, (*exchange).userinfo, "GET /userinfo", "POST /userinfo")
	on(forPrograms, (*exchange).challenge, "POST /usernamepassword/challenge")
	on(forPrograms, (*exchange).classicLogin, "POST /usernamepassword/login")
	on(forPrograms, (*exchange).coAuthenticate, "POST /co/authenticate")
	on(forPrograms, (*exchange).signup, "POST /dbconnections/signup")
	on(forPrograms, (*exchange).changePassword, "POST /dbconnections/change_password")
	on(forPrograms, (*exchange).passwordless, "GET /passwordless/start", "POST /passwordless/start")
	on(forPrograms, (*exchange).keys, "GET /.well-known/jwks.json")
	on(forPrograms, (*exchange).openid, "GET /.well-known/openid-configuration")
	on(forPrograms, (*exchange).logs, "GET /api/v2/logs")
	on(forPrograms, (*exchange).logEntry, "GET /api/v2/logs/{id}")
	on(forPrograms, (*exchange).clients, "GET /api/v2/clients")
	on(forPrograms, (*exchange).users, "GET /api/v2/users")
	on(forPrograms, (*exchange).example, "GET /ratelimitexample", "GET /ratelimitexample2")
	return mux
}

// ServeHTTP answers one request.
func (t *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.stand.Begin()
	// A path that the mux would clean is unknown too: its redirect would count as
	// no answer.
	if _, pattern := t.mux.Handler(r); pattern == "" || path.Clean(r.URL.Path) != r.URL.Path {
		// Ours: what the real service says of an unknown path is not published.
		rec := &allow{header: http.Header{}}
		if pattern == "" {
			t.mux.ServeHTTP(rec, r)
		}
		status, text := http.StatusNotFound, "Not Found"
		if rec.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", rec.header.Get("Allow"))
			status, text = rec.status, "Method Not Allowed"
		}
		w.Header().Set("Content-Type", jsonType)
		t.stand.Answer(w, r, stand.None, status, mustJSON(apiError{StatusCode: status, Error: text}))
		return
	}
	t.mux.ServeHTTP(w, r)
}

// allow takes what the mux says of a path that it does not serve.
type allow struct {
	header http.Header
	status int
}

func (a *allow) Header() http.Header         { return a.header }
func (a *allow) Write(b []byte) (int, error) { return len(b), nil }
func (a *allow) WriteHeader(status int)      { a.status = status }

const jsonType = "application/json; charset=utf-8"

// serve is the way of every request: its form, its limits, its faults, itself.
func (t *Tenant) serve(x *exchange, kind audience, serve func(*exchange)) {
	if !x.read() {
		x.json(http.StatusBadRequest, oauthError{Error: "invalid_request", Description: "the body is no form and no JSON object of strings, or is longer than 64 KiB"})
		return
	}
	v := t.ask(x.w, x)
	switch {
	case !v.Allowed && kind == forPeople:
		x.refusePerson(v)
		return
	case !v.Allowed:
		x.refuse(v)
		return
	}
	switch x.fault = t.stand.Disturb(x.w, x.r); x.fault {
	case stand.Reset, stand.Hang:
		return
	case stand.Error:
		x.fault = stand.None
		x.json(http.StatusInternalServerError, apiError{StatusCode: 500, Error: "Internal Server Error", Message: "An internal server error occurred"})
		return
	}
	serve(x)
}

// read gathers the fields of query and body, and the token. The body may be a
// form or JSON, as /oauth/token takes both.
func (x *exchange) read() bool {
	x.form = x.r.URL.Query()
	media, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(x.r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return false
	}
	switch {
	case len(body) == 0:
	case media == "application/json":
		var fields map[string]any
		if json.Unmarshal(body, &fields) != nil {
			return false
		}
		for name, v := range fields {
			if text, ok := v.(string); ok {
				x.form.Set(name, text)
			}
		}
	case media == "application/x-www-form-urlencoded":
		fields, err := url.ParseQuery(string(body))
		if err != nil {
			return false
		}
		for name, values := range fields {
			x.form[name] = values
		}
	}
	if id, secret, ok := x.r.BasicAuth(); ok {
		x.form.Set("client_id", id)
		x.form.Set("client_secret", secret)
	}
	if token, ok := strings.CutPrefix(x.r.Header.Get("Authorization"), "Bearer "); ok {
		x.token, _ = x.t.people.open(token, useAccess, x.t.stand.Now())
	}
	return true
}

// key is whose bucket the request takes from.
func (x *exchange) key(by By) string {
	switch by {
	case UserID:
		return x.token.Sub
	case Address:
		return address(x.r)
	case AddressAndEmail:
		return address(x.r) + " " + x.form.Get("email")
	}
	return ""
}

// logged is what the tenant log tells of the request: the route as it is
// documented, never the query.
func (x *exchange) logged() tenantlog.Request {
	method, template, _ := strings.Cut(x.route, " ")
	client := x.form.Get("client_id")
	if client == "" {
		client = x.token.Azp
	}
	return tenantlog.Request{
		Method: method, Path: template, ClientID: client, UserID: x.token.Sub,
		IP: address(x.r), UserAgent: x.r.UserAgent(),
	}
}

// oauthError is the form of the Authentication API's errors.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	URI         string `json:"error_uri,omitempty"`
}

// apiError is the form of the Management API's errors.
type apiError struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message,omitempty"`
	Code       string `json:"errorCode,omitempty"`
}

// refuse answers 429 to a program. The Authentication API's body was seen at
// /userinfo (astronomer/astro-cli issue 1318), the Management API's in
// auth0-extensions/auth0-reset-tenant issue 31.
func (x *exchange) refuse(v verdict) {
	if x.t.ruleOf(x.route).api == ManagementAPI {
		x.json(http.StatusTooManyRequests, apiError{429, "Too Many Requests", v.bucket.name + " limit has been reached", "too_many_requests"})
		return
	}
	x.json(http.StatusTooManyRequests, oauthError{"access_denied", "Too Many Requests", "https://auth0.com/docs/policies/rate-limits"})
}

func (x *exchange) json(status int, v any) {
	x.w.Header().Set("Content-Type", jsonType)
	x.w.Header().Set("Cache-Control", "no-store")
	x.t.stand.Answer(x.w, x.r, x.fault, status, mustJSON(v))
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of our own types: cannot be
	}
	return b
}

// example answers what seed 001's example APIs would: nothing of interest.
func (x *exchange) example() { x.json(http.StatusOK, map[string]bool{"ok": true}) }
