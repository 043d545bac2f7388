package auth0

import (
	"crypto/subtle"
	"html"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The errors below are the ones that RFC 6749 has, with the statuses and words
// that Auth0's SDKs expect where they say so; the words are ours elsewhere.

// tokenLife is that of access tokens: Auth0's default for the Management API.
const tokenLife = 24 * time.Hour

// tokens are the answer of /oauth/token.
type tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token,omitempty"`
	Scope   string `json:"scope,omitempty"`
	Expires int    `json:"expires_in"`
	Type    string `json:"token_type"`
}

// oauthToken exchanges credentials or a code for tokens.
func (x *exchange) oauthToken() {
	f := x.form
	grant := f.Get("grant_type")
	client := f.Get("client_id")
	secret, known := map[string]string{MachineClientID: MachineSecret, WebClientID: WebSecret}[client]
	switch {
	case grant == "":
		x.json(http.StatusBadRequest, oauthError{Error: "invalid_request", Description: "Missing required parameter: grant_type"})
		return
	case !known || subtle.ConstantTimeCompare([]byte(secret), []byte(f.Get("client_secret"))) != 1:
		x.json(http.StatusUnauthorized, oauthError{Error: "access_denied", Description: "Unauthorized"})
		return
	}
	switch grant {
	case "client_credentials":
		if client != MachineClientID {
			x.json(http.StatusForbidden, oauthError{Error: "unauthorized_client", Description: "Grant type 'client_credentials' not allowed for the client."})
			return
		}
		c := claims{Azp: client, Sub: client + "@clients", Aud: f.Get("audience"), Gty: "client-credentials", Scope: "read:logs read:users read:clients"}
		x.json(http.StatusOK, tokens{Access: x.access(c), Scope: c.Scope, Expires: int(tokenLife / time.Second), Type: "Bearer"})
	case "authorization_code":
		c, ok := x.t.people.open(f.Get("code"), useCode, x.now())
		if !ok || c.Redirect != f.Get("redirect_uri") || client != c.Azp {
			x.json(http.StatusForbidden, oauthError{Error: "invalid_grant", Description: "Invalid authorization code"})
			return
		}
		x.json(http.StatusOK, x.tokens(c, ""))
	case "password", "http://auth0.com/oauth/grant-type/password-realm":
		if !x.t.people.knows(f.Get("username"), f.Get("password")) {
			x.json(http.StatusForbidden, oauthError{Error: "invalid_grant", Description: "Wrong email or password."})
			return
		}
		x.json(http.StatusOK, x.tokens(claims{Azp: client, Email: f.Get("username"), Scope: f.Get("scope"), Aud: f.Get("audience")}, "password"))
	default:
		x.json(http.StatusForbidden, oauthError{Error: "unsupported_grant_type", Description: "Unsupported grant type"})
	}
}

// access signs an access token.
func (x *exchange) access(c claims) string {
	c.Use, c.Iss = useAccess, x.t.cfg.Base+"/"
	return x.t.people.seal(c, x.now(), tokenLife)
}

// tokens are those of a person.
func (x *exchange) tokens(c claims, gty string) tokens {
	who := claims{Azp: c.Azp, Sub: sub(c.Email), Email: c.Email, Scope: c.Scope, Gty: gty, Aud: c.Aud}
	t := tokens{Access: x.access(who), Scope: c.Scope, Expires: int(tokenLife / time.Second), Type: "Bearer"}
	id := claims{Use: useID, Iss: x.t.cfg.Base + "/", Sub: who.Sub, Email: c.Email, Aud: c.Azp, Nonce: c.Nonce}
	t.ID = x.t.people.seal(id, x.now(), 10*time.Hour)
	return t
}

// userinfo tells who the token is of.
func (x *exchange) userinfo() {
	if x.token.Email == "" {
		x.w.Header().Set("WWW-Authenticate", `Bearer realm="Users", error="invalid_token"`)
		x.json(http.StatusUnauthorized, oauthError{Error: "invalid_token", Description: "Unauthorized"})
		return
	}
	x.json(http.StatusOK, map[string]any{"sub": x.token.Sub, "email": x.token.Email, "email_verified": true, "name": x.token.Email})
}

// challenge is the classic login's question whether a captcha is due.
func (x *exchange) challenge() { x.json(http.StatusOK, map[string]bool{"required": false}) }

// classicLogin takes name and password, and answers with a form that the browser
// sends on to /login/callback.
func (x *exchange) classicLogin() {
	c, ok := x.t.people.open(x.form.Get("state"), useState, x.now())
	if !ok || !x.t.people.knows(x.form.Get("username"), x.form.Get("password")) {
		x.json(http.StatusUnauthorized, map[string]string{"name": "ValidationError", "code": "invalid_user_password", "description": "Wrong email or password."})
		return
	}
	c.Email = x.form.Get("username")
	x.html(http.StatusOK, "Working…", `<form method="post" name="hiddenform" action="/login/callback"><input type="hidden" name="state" value="`+html.EscapeString(x.seal(c))+`"><noscript><button>Continue</button></noscript></form>`)
}

// coAuthenticate is the login from a page of the application's own.
func (x *exchange) coAuthenticate() {
	if !x.t.people.knows(x.form.Get("username"), x.form.Get("password")) {
		x.json(http.StatusForbidden, oauthError{Error: "access_denied", Description: "Wrong email or password."})
		return
	}
	ticket := x.t.people.seal(claims{Use: useSession, Email: x.form.Get("username")}, x.now(), time.Minute)
	x.json(http.StatusOK, map[string]string{"login_ticket": ticket, "co_id": "weirlab", "co_verifier": "weirlab"})
}

func (x *exchange) signup() {
	email := x.form.Get("email")
	if !strings.Contains(email, "@") || len(email) > 200 || x.form.Get("password") == "" || !x.t.people.signUp(email, x.form.Get("password")) {
		x.json(http.StatusBadRequest, map[string]any{"name": "BadRequestError", "code": "invalid_signup", "description": "Invalid sign up", "statusCode": 400})
		return
	}
	x.json(http.StatusOK, map[string]any{"_id": strings.TrimPrefix(sub(email), "auth0|"), "email": email, "email_verified": false})
}

func (x *exchange) changePassword() {
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.t.stand.Answer(x.w, x.r, x.fault, http.StatusOK, []byte("We've just sent you an email to reset your password."))
}

func (x *exchange) passwordless() {
	x.json(http.StatusOK, map[string]any{"_id": "weirlab", "email": x.form.Get("email"), "email_verified": false})
}

// keys has none: the tokens are signed by HS256.
func (x *exchange) keys() { x.json(http.StatusOK, map[string]any{"keys": []any{}}) }

func (x *exchange) openid() {
	base := x.t.cfg.Base
	x.json(http.StatusOK, map[string]any{
		"issuer": base + "/", "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/oauth/token",
		"userinfo_endpoint": base + "/userinfo", "jwks_uri": base + "/.well-known/jwks.json", "end_session_endpoint": base + "/v2/logout",
		"response_types_supported":              []string{"code", "token", "id_token", "token id_token"},
		"grant_types_supported":                 []string{"authorization_code", "client_credentials", "password"},
		"id_token_signing_alg_values_supported": []string{"HS256"},
	})
}

// Management API.

// allowed tells whether the token has a scope, or answers.
func (x *exchange) allowed(scope string) bool {
	switch {
	case x.token.Sub == "":
		x.json(http.StatusUnauthorized, apiError{401, "Unauthorized", "Missing or invalid token", "invalid_token"})
		return false
	case !strings.Contains(" "+x.token.Scope+" ", " "+scope+" "):
		x.json(http.StatusForbidden, apiError{403, "Forbidden", "Insufficient scope, expected any of: " + scope, "insufficient_scope"})
		return false
	}
	return true
}

func (x *exchange) clients() {
	if x.allowed("read:clients") {
		x.json(http.StatusOK, []map[string]any{
			{"client_id": MachineClientID, "name": "Weir lab machine", "app_type": "non_interactive"},
			{"client_id": WebClientID, "name": "Weir lab web", "app_type": "regular_web"},
		})
	}
}

func (x *exchange) users() {
	if x.allowed("read:users") {
		x.json(http.StatusOK, []map[string]any{{"user_id": sub(UserEmail), "email": UserEmail, "email_verified": true}})
	}
}

// next is the Link header of a checkpoint's answer.
func (x *exchange) next(id, take string) {
	q := url.Values{"from": {id}}
	if take != "" {
		q.Set("take", take)
	}
	x.w.Header().Set("Link", "<"+x.t.cfg.Base+"/api/v2/logs?"+q.Encode()+">; rel=\"next\"")
}
