package sms

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/weir-dev/weir/internal/lab/sns"
	"github.com/weir-dev/weir/internal/lab/stand"
)

// maxBody bounds a request's body. The bound is ours; Django's for what it reads
// into memory is 2.5 MB.
const maxBody = 1 << 20

// exchange is one request on its way through what Django and the framework do
// with it, in their order: content negotiation, session, CSRF, permission, limit,
// method, view.
type exchange struct {
	app   *App
	w     http.ResponseWriter
	r     *http.Request
	fault stand.Fault

	cookies map[string]string
	allow   []string // of the route
	indent  int      // asked for by Accept
	vary    bool     // the session was looked at

	lease   *lease
	user    *user  // nil when anonymous
	session string // the key of the user's session

	// What the answer does to the cookies: a new secret, a new session, or the
	// end of one.
	newSecret, newSession string
	endSession            bool

	raw     []byte // the body
	parsed  bool
	value   any
	invalid *refusal
}

// view answers a method of a route: a status with a body, or a refusal. A nil body
// is none at all.
type view func(x *exchange, id string) (status int, body []byte, refused *refusal)

type route struct {
	name      string // in answers to OPTIONS
	get, post view
	open      bool // needs no session
	limited   bool // counts against the limit
}

// routes are looked up by path, numbers being "#".
var routes = map[string]*route{
	"/api/auth/login":            {name: "Login", post: login, open: true},
	"/api/auth/logout":           {name: "Logout", post: logout},
	"/api/customers":             {name: "Customers", get: listCustomers, post: addCustomer},
	"/api/customers/#":           {name: "Customer Detail", get: showCustomer},
	"/api/customers/#/templates": {name: "Templates", get: listTemplates, post: addTemplate},
	"/api/tokens":                {name: "Tokens", post: addToken},
	"/api/sms/send":              {name: "Send", post: sendMessage, limited: true},
	"/api/sms/history":           {name: "History", get: listMessages},
}

// find returns the route of a path and the number in it.
func find(path string) (*route, string) {
	if rt := routes[path]; rt != nil {
		return rt, ""
	}
	const customers = "/api/customers/"
	rest, ok := strings.CutPrefix(path, customers)
	if !ok {
		return nil, ""
	}
	id, tail, slash := strings.Cut(rest, "/")
	if id == "" || strings.Trim(id, "0123456789") != "" {
		return nil, ""
	}
	pattern := customers + "#"
	if slash {
		pattern += "/" + tail
	}
	return routes[pattern], id
}

// ServeHTTP answers one request.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.sns != nil && r.URL.Path == sns.SentPath {
		a.sns.ServeHTTP(w, r)
		return
	}
	a.stand.Begin()
	x := &exchange{app: a, w: w, r: r, cookies: parseCookies(r.Header["Cookie"])}
	var err error
	x.raw, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if secret, ok := x.cookies[csrfCookie]; ok && tokenFormat(secret) != "" {
		x.newSecret = randomWord(csrfLetters, secretSize)
	}
	rt, id := find(r.URL.Path)
	if rt == nil || !rt.limited {
		a.stand.Take(otherCategory, 1)
	}
	switch {
	case err != nil || len(x.raw) > maxBody:
		x.json(http.StatusRequestEntityTooLarge, detail(0, "The body is longer than 1 MiB, or broke off.").body)
	case rt == nil:
		x.checkShortSession()
		x.send(http.StatusNotFound, htmlType, htmlPage("Not Found", "The requested resource was not found on this server."))
	default:
		x.serve(rt, id)
	}
}

// serve runs a route and writes its answer. The database is given back before the
// answer is written.
func (x *exchange) serve(rt *route, id string) {
	x.allow = rt.allow()
	status, body, refused := x.run(rt, id)
	if x.lease != nil {
		x.lease.release()
	}
	switch {
	case x.fault == stand.Reset || x.fault == stand.Hang:
	case refused != nil:
		x.refuse(refused)
	default:
		x.json(status, body)
	}
}

func (x *exchange) run(rt *route, id string) (int, []byte, *refusal) {
	if refused := x.negotiate(); refused != nil {
		return 0, nil, refused
	}
	if refused := x.authenticate(); refused != nil {
		return 0, nil, refused
	}
	if x.user == nil && !rt.open {
		return 0, nil, detail(http.StatusForbidden, "Authentication credentials were not provided.")
	}
	if rt.limited {
		desk, ok := x.app.desk[x.user.ID]
		if !ok {
			// A user who was added to the database by others, after the start.
			desk = otherCategory
		}
		d := x.app.stand.Take(desk, 1)
		if !d.Allowed {
			return 0, nil, throttled(stand.RetryAfter(d))
		}
		defer x.app.stand.Release(desk, 1)
		if !stand.Wait(x.r.Context(), d.Delay) {
			x.lease.release()
			x.app.stand.Abort()
		}
	}
	var do view
	switch x.r.Method {
	case http.MethodGet, http.MethodHead:
		do = rt.get
	case http.MethodPost:
		do = rt.post
	case http.MethodOptions:
		return http.StatusOK, newObject().text("name", rt.name).text("description", "").
			raw("renders", []byte(`["application/json"]`)).raw("parses", []byte(`["application/json"]`)).done(), nil
	}
	if do == nil {
		return 0, nil, detail(http.StatusMethodNotAllowed, `Method "`+x.r.Method+`" not allowed.`)
	}
	if x.disturb(); x.fault == stand.Error || x.fault == stand.Reset || x.fault == stand.Hang {
		return 0, nil, broken()
	}
	return do(x, id)
}

// disturb is the stand's, which may panic to cut the connection: the database is
// given back then too.
func (x *exchange) disturb() {
	done := false
	defer func() {
		if !done && x.lease != nil {
			x.lease.release()
		}
	}()
	x.fault = x.app.stand.Disturb(x.w, x.r)
	done = true
}

func (rt *route) allow() []string {
	methods := "OPTIONS"
	if rt.get != nil {
		methods = "HEAD, " + methods
	}
	if rt.post != nil {
		methods = "POST, " + methods
	}
	if rt.get != nil {
		methods = "GET, " + methods
	}
	return []string{methods}
}

// negotiate is the framework's content negotiation with JSON as the only renderer.
func (x *exchange) negotiate() *refusal {
	if f := parseQuery(x.r.URL.RawQuery).last("format"); f != "" && f != "json" {
		return detail(http.StatusNotFound, "Not found.")
	}
	accept := "*/*"
	if lines, ok := x.r.Header["Accept"]; ok {
		accept = strings.Join(lines, ",")
	}
	best := 0
	for token := range strings.SplitSeq(accept, ",") {
		kind, params, _ := strings.Cut(token, ";")
		if !jsonMatches(kind) {
			continue
		}
		p := precedence(kind, params)
		if p > best {
			best, x.indent = p, indentOf(params)
		}
	}
	if best == 0 {
		return detail(http.StatusNotAcceptable, "Could not satisfy the request Accept header.")
	}
	return nil
}

// jsonMatches says whether a media type, perhaps with wildcards, takes in JSON.
func jsonMatches(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	main, sub, _ := strings.Cut(strings.ToLower(strings.TrimSpace(kind)), "/")
	return (sub == "*" || sub == "json") && (main == "*" || main == "application")
}

func precedence(kind, params string) int {
	main, sub, _ := strings.Cut(strings.TrimSpace(kind), "/")
	for p := range strings.SplitSeq(params, ";") {
		if name := strings.TrimSpace(p); name != "" && !strings.HasPrefix(name, "q=") {
			return 4
		}
	}
	switch {
	case main == "*":
		return 1
	case sub == "*":
		return 2
	}
	return 3
}

// indentOf is the indent that "application/json; indent=4" asks for, at most 8.
func indentOf(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(p), "indent="); ok {
			if n, ok := pyAtoi(v); ok {
				return max(0, min(int(clamp(n)), 8))
			}
		}
	}
	return 0
}

// data is the request's body: an empty object when there is none.
func (x *exchange) data() (any, *refusal) {
	if x.parsed {
		return x.value, x.invalid
	}
	x.parsed = true
	kind := x.r.Header.Get("Content-Type")
	switch {
	case len(x.raw) == 0:
		x.value = map[string]any{}
	case !jsonMatches(kind):
		x.invalid = detail(http.StatusUnsupportedMediaType, `Unsupported media type "`+kind+`" in request.`)
	default:
		var err error
		if x.value, err = parseJSON(x.raw); errors.Is(err, errDepth) {
			x.invalid = broken()
		} else if err != nil {
			x.invalid = detail(http.StatusBadRequest, "JSON parse error - "+err.Error())
		}
	}
	return x.value, x.invalid
}
