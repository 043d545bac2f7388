package auth0

import (
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The pages that people see on their way in. How many requests a login takes is
// seed 001's table for universal login: 5 with a password, 6 with another
// provider, 1 with a session, 6 for a sign-up. Which requests those are is not
// published; these are the ones that a browser is seen to make.

// loopback are the hosts that people may be sent back to.
func loopback(redirect string) bool {
	u, err := url.Parse(redirect)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") &&
		slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

// authorize begins a login: 1st request.
func (x *exchange) authorize() {
	f := x.form
	switch {
	case f.Get("client_id") != WebClientID:
		x.personError(http.StatusForbidden, "unauthorized_client", "Unknown client")
		return
	case !loopback(f.Get("redirect_uri")):
		x.personError(http.StatusForbidden, "unauthorized_client", "Callback URL mismatch: only localhost, 127.0.0.1 and [::1] are allowed")
		return
	}
	c := claims{
		Use: useState, Azp: WebClientID, Redirect: f.Get("redirect_uri"), State: f.Get("state"),
		Response: f.Get("response_type"), Scope: f.Get("scope"), Nonce: f.Get("nonce"), Aud: f.Get("audience"),
	}
	if cookie, err := x.r.Cookie("auth0"); err == nil {
		if session, ok := x.t.people.open(cookie.Value, useSession, x.now()); ok {
			c.Email = session.Email
			x.finish(c)
			return
		}
	}
	if f.Get("prompt") == "none" {
		x.back(c, url.Values{"error": {"login_required"}, "error_description": {"Login required"}})
		return
	}
	page := "/u/login"
	if f.Get("experience") == "classic" { // ours: the real one has a setting
		page = "/login"
	}
	x.redirect(page + "?state=" + url.QueryEscape(x.seal(c)))
}

func (x *exchange) now() time.Time { return x.t.stand.Now() }

// seal makes the state of a login under way.
func (x *exchange) seal(c claims) string {
	c.Use = useState
	return x.t.people.seal(c, x.now(), time.Hour)
}

// underWay returns the login that the request goes on with, or answers.
func (x *exchange) underWay() (claims, bool) {
	c, ok := x.t.people.open(x.form.Get("state"), useState, x.now())
	if !ok {
		x.personError(http.StatusBadRequest, "invalid_request", "The state of the login is missing or has ended")
	}
	return c, ok
}

// loginPage shows a form: 2nd request.
func (x *exchange) loginPage() {
	if _, ok := x.underWay(); !ok {
		return
	}
	action := strings.TrimPrefix(x.route, "GET ")
	if action == "/login" {
		action = "/usernamepassword/login"
	}
	x.html(http.StatusOK, "Log in", `<form method="post" action="`+action+`">
<input type="hidden" name="state" value="`+html.EscapeString(x.form.Get("state"))+`">
<label>Email <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Continue</button></form>`)
}

// loginForm takes the form: 3rd request. With a connection other than the
// password's, the provider is skipped and sends the person straight back.
func (x *exchange) loginForm() {
	c, ok := x.underWay()
	if !ok {
		return
	}
	if connection := x.form.Get("connection"); connection != "" {
		c.Email = connection + "-" + UserEmail
		x.redirect("/login/callback?state=" + url.QueryEscape(x.seal(c)))
		return
	}
	if !x.t.people.knows(x.form.Get("username"), x.form.Get("password")) {
		x.html(http.StatusBadRequest, "Log in", "<p>Wrong email or password</p>")
		return
	}
	c.Email = x.form.Get("username")
	x.redirect("/authorize/resume?state=" + url.QueryEscape(x.seal(c)))
}

// signupForm takes the form of somebody new.
func (x *exchange) signupForm() {
	c, ok := x.underWay()
	if !ok {
		return
	}
	email := x.form.Get("email")
	if !strings.Contains(email, "@") || len(email) > 200 || !x.t.people.signUp(email, x.form.Get("password")) {
		x.html(http.StatusBadRequest, "Sign up", "<p>Something went wrong, please try again later</p>")
		return
	}
	c.Email = email
	x.redirect("/authorize/resume?state=" + url.QueryEscape(x.seal(c)))
}

// callback is where a provider, or the form of the classic login, sends people.
func (x *exchange) callback() {
	c, ok := x.underWay()
	if !ok {
		return
	}
	if c.Email == "" {
		x.personError(http.StatusBadRequest, "invalid_request", "Nobody has logged in")
		return
	}
	x.redirect("/authorize/resume?state=" + url.QueryEscape(x.form.Get("state")))
}

// resume ends the login with a session: the last request before the code is
// exchanged.
func (x *exchange) resume() {
	c, ok := x.underWay()
	if !ok {
		return
	}
	if c.Email == "" {
		x.personError(http.StatusBadRequest, "invalid_request", "Nobody has logged in")
		return
	}
	session := x.t.people.seal(claims{Use: useSession, Email: c.Email}, x.now(), 24*time.Hour)
	http.SetCookie(x.w, &http.Cookie{Name: "auth0", Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	x.finish(c)
}

// finish sends the person back with a code, or with tokens in the fragment.
func (x *exchange) finish(c claims) {
	if c.Response == "token" || c.Response == "id_token" || c.Response == "token id_token" {
		t := x.tokens(c, "implicit")
		values := url.Values{"access_token": {t.Access}, "token_type": {"Bearer"}, "expires_in": {"86400"}}
		if strings.Contains(c.Response, "id_token") {
			values.Set("id_token", t.ID)
		}
		x.back(c, values)
		return
	}
	c.Use = useCode
	x.back(c, url.Values{"code": {x.t.people.seal(c, x.now(), time.Minute)}})
}

// back sends the person back to the application.
func (x *exchange) back(c claims, values url.Values) {
	if c.State != "" {
		values.Set("state", c.State)
	}
	u, err := url.Parse(c.Redirect)
	if err != nil {
		x.personError(http.StatusBadRequest, "invalid_request", "The callback is no URL")
		return
	}
	if values.Has("access_token") {
		u.Fragment = ""
		x.redirect(u.String() + "#" + values.Encode())
		return
	}
	q := u.Query()
	for name := range values {
		q.Set(name, values.Get(name))
	}
	u.RawQuery = q.Encode()
	x.redirect(u.String())
}

func (x *exchange) redirect(to string) {
	x.w.Header().Set("Location", to)
	x.w.Header().Set("Cache-Control", "no-store")
	x.t.stand.Answer(x.w, x.r, x.fault, http.StatusFound, nil)
}

// logout ends the session.
func (x *exchange) logout() {
	http.SetCookie(x.w, &http.Cookie{Name: "auth0", Path: "/", MaxAge: -1, HttpOnly: true})
	if to := x.form.Get("returnTo"); loopback(to) {
		x.redirect(to)
		return
	}
	x.html(http.StatusOK, "Logged out", "<p>OK</p>")
}

func (x *exchange) html(status int, title, body string) {
	h := x.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'")
	x.t.stand.Answer(x.w, x.r, x.fault, status, []byte("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>"+
		html.EscapeString(title)+"</title></head><body><h1>"+html.EscapeString(title)+"</h1>\n"+body+"</body></html>\n"))
}

// refusePerson is a 429 for somebody who looks at a page: Auth0's error page, or
// a redirect to the tenant's own (seed 001).
func (x *exchange) refusePerson(v verdict) {
	x.personError(http.StatusTooManyRequests, "too_many_requests", v.bucket.name+" limit has been reached")
}

// personError shows an error page. The parameters of a redirect are those of
// "Customize Error Pages", auth0.com/docs/customize/login-pages/custom-error-pages,
// read 2026-11-21.
func (x *exchange) personError(status int, code, description string) {
	if x.t.cfg.ErrorPage == "" {
		x.html(status, "Oops!, something went wrong", "<p>"+html.EscapeString(description)+"</p><p><code>"+html.EscapeString(code)+"</code></p>")
		return
	}
	u, _ := url.Parse(x.t.cfg.ErrorPage) // New has looked at it
	q := u.Query()
	for name, value := range map[string]string{"client_id": x.form.Get("client_id"), "connection": x.form.Get("connection"), "lang": "en", "error": code, "error_description": description} {
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	x.redirect(u.String())
}
