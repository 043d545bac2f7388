package sms

import (
	"net/http"
	"strconv"
	"time"
)

const (
	sessionCookie  = "sessionid"
	sessionLetters = "abcdefghijklmnopqrstuvwxyz0123456789"
	sessionSize    = 32

	sessionAge = 1209600  // SESSION_COOKIE_AGE, two weeks, in seconds
	csrfAge    = 31449600 // CSRF_COOKIE_AGE, a year, in seconds
)

// user is an administrator who can log in.
type user struct {
	ID               int64
	Username, Email  string
	EmployeeID, Name string // of the profile; empty without one
	password         string // encoded as Django does
	active           bool
}

// open takes a connection of the pool, once for a request.
func (x *exchange) open() *refusal {
	if x.lease != nil {
		return nil
	}
	l, err := x.app.store.lease(x.r.Context())
	if err != nil {
		return broken()
	}
	x.lease = l
	return nil
}

// authenticate is SessionAuthentication: a session makes a user, and a user has to
// pass the CSRF check.
func (x *exchange) authenticate() *refusal {
	x.vary = true
	key, ok := x.cookies[sessionCookie]
	if !ok {
		return nil
	}
	if x.checkShortSession() {
		return nil
	}
	if refused := x.open(); refused != nil {
		return refused
	}
	u, expires, err := x.lease.sessionUser(x.r.Context(), key)
	if err != nil {
		return broken()
	}
	if u == nil || !expires.After(x.app.stand.Now()) {
		x.endSession = true
		return nil
	}
	x.user, x.session = u, key
	return x.csrf()
}

// checkShortSession ends a session whose key cannot be one, without looking it up:
// Django takes no key of less than 8 characters.
func (x *exchange) checkShortSession() bool {
	if key, ok := x.cookies[sessionCookie]; ok && len(key) < 8 {
		x.endSession, x.vary = true, true
		return true
	}
	return false
}

// sendCookies writes what the answer does to the cookies, as Django writes it
// (recorded).
func (x *exchange) sendCookies(h http.Header) {
	now := x.app.stand.Now()
	if x.newSecret != "" {
		x.vary = true
		h.Add("Set-Cookie", csrfCookie+"="+x.newSecret+"; expires="+httpDate(now, csrfAge)+"; Max-Age="+strconv.Itoa(csrfAge)+"; Path=/; SameSite=Lax")
	}
	switch {
	case x.newSession != "":
		h.Add("Set-Cookie", sessionCookie+"="+x.newSession+"; expires="+httpDate(now, sessionAge)+"; HttpOnly; Max-Age="+strconv.Itoa(sessionAge)+"; Path=/; SameSite=Lax")
	case x.endSession:
		h.Add("Set-Cookie", sessionCookie+`=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax`)
	}
}

func httpDate(now time.Time, seconds int) string {
	return now.Add(time.Duration(seconds) * time.Second).UTC().Format(http.TimeFormat)
}

// login makes a session, whatever session there was before.
func login(x *exchange, _ string) (int, []byte, *refusal) {
	v, refused := x.data()
	if refused != nil {
		return 0, nil, refused
	}
	f, refused := newForm(v)
	if refused != nil {
		return 0, nil, refused
	}
	name := f.text(field{name: "username"})
	password := f.text(field{name: "password", keepSpace: true})
	if refused := f.refusal(); refused != nil {
		return 0, nil, refused
	}
	if refused := x.open(); refused != nil {
		return 0, nil, refused
	}
	ctx := x.r.Context()
	u, err := x.lease.userByName(ctx, name)
	if err != nil {
		return 0, nil, broken()
	}
	// Subtle: an unknown name costs a hash as well, as in Django, so that time
	// does not tell which names there are.
	encoded := ""
	if u != nil {
		encoded = u.password
	}
	good := checkPassword(password, encoded, x.app.cfg.PasswordIterations)
	if u == nil || !good || !u.active {
		f.wrong(nonField, "Unable to log in with provided credentials.")
		return 0, nil, f.refusal()
	}
	key := randomWord(sessionLetters, sessionSize)
	now := x.app.stand.Now()
	if err := x.lease.startSession(ctx, x.session, key, u.ID, now, now.Add(sessionAge*time.Second)); err != nil {
		return 0, nil, broken()
	}
	x.newSession, x.newSecret, x.endSession = key, randomWord(csrfLetters, secretSize), false
	return http.StatusOK, newObject().number("id", u.ID).text("username", u.Username).text("email", u.Email).
		orNull("employee_id", u.EmployeeID).orNull("full_name", u.Name).done(), nil
}

// logout ends the session. The CSRF cookie stays, as in Django.
func logout(x *exchange, _ string) (int, []byte, *refusal) {
	if err := x.lease.endSession(x.r.Context(), x.session); err != nil {
		return 0, nil, broken()
	}
	x.endSession = true
	return http.StatusNoContent, nil, nil
}
