package cognito

import (
	"bytes"
	"crypto/subtle"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/weir-dev/weir/internal/lab/stand"
)

// maxForm bounds the body of a token request; a longer one is malformed. The
// bound is ours; the longest parameter, a refresh token, takes a few KB.
const maxForm = 64 << 10

// The error bodies of guide/token, section "Examples of negative responses":
// status 400 for all of them, invalid_client included (RFC 6749 would have 401
// where the Authorization header was used; the guide shows one 400 for all).
// invalid_scope is not in the guide's list and was seen (re:Post question
// QUnhrxb08MRJaH7hIRtUnCKA, client_credentials by a client without scopes).
var (
	invalidRequest       = []byte(`{"error":"invalid_request"}`)
	invalidClient        = []byte(`{"error":"invalid_client"}`)
	invalidGrant         = []byte(`{"error":"invalid_grant"}`)
	invalidScope         = []byte(`{"error":"invalid_scope"}`)
	unauthorizedClient   = []byte(`{"error":"unauthorized_client"}`)
	unsupportedGrantType = []byte(`{"error":"unsupported_grant_type"}`)

	// rateExceeded is what seed 000 got with its 429.
	rateExceeded = []byte(`{"error":"Rate exceeded"}`)

	// internalError is our choice: no 500 of the endpoint was found published.
	internalError = []byte(`{"error":"internal_error"}`)
)

// Header values are shared between answers: net/http copies them.
var (
	jsonType = []string{"application/json;charset=UTF-8"} // guide/token, both samples of 2023
	anyOne   = []string{"*"}                              // guide/token 2026-11: "returns the Access-Control-Allow-Origin: * response header"
	noStore  = []string{"no-store"}                       // RFC 6749 §5.1, required of answers with tokens
	onlyPost = []string{"POST"}
)

// ServeHTTP answers one request.
func (p *Pool) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.stand.Begin()
	switch r.URL.Path {
	case TokenPath:
		p.token(w, r)
	case p.paths.jwks:
		p.document(w, r, p.jwks)
	case p.paths.openid:
		p.document(w, r, p.openid)
	default:
		// Our choice: the real one shows an error page for people.
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		p.stand.Answer(w, r, stand.None, http.StatusNotFound, []byte("the Cognito stand-in serves POST "+TokenPath+", GET "+p.paths.jwks+" and GET "+p.paths.openid+"\n"))
	}
}

func (p *Pool) document(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		p.stand.Answer(w, r, stand.None, http.StatusMethodNotAllowed, nil)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header()["Access-Control-Allow-Origin"] = anyOne
	p.stand.Answer(w, r, stand.None, http.StatusOK, body)
}

// scratch is what one token request needs; pooled, because the refused ones
// come by the ten thousand.
type scratch struct {
	body  bytes.Buffer
	limit io.LimitedReader
	query []byte
	basic [maxBasic]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (p *Pool) token(w http.ResponseWriter, r *http.Request) {
	// Observed 2018-03: a content type that is not the form's gets 405 with an
	// empty body, as another method does (amazon-archives/amazon-cognito-auth-js
	// issue 52). The Allow header was seen on a 405 of 2020 (aws-amplify/amplify-js
	// issue 5284).
	if r.Method != http.MethodPost || !isForm(r.Header["Content-Type"]) {
		w.Header()["Allow"] = onlyPost
		p.stand.Answer(w, r, stand.None, http.StatusMethodNotAllowed, nil)
		return
	}
	s := scratches.Get().(*scratch)
	defer s.release()

	var f form
	if !s.read(r, &f) {
		p.refuse(w, r, stand.None, invalidRequest)
		return
	}
	var category int
	grant := Grant("")
	switch string(f.grantType) {
	case "":
		p.refuse(w, r, stand.None, invalidRequest)
		return
	case string(ClientCredentials):
		category, grant = ClientAuthentication, ClientCredentials
	case string(Refresh):
		category, grant = UserAuthentication, Refresh
	case string(AuthorizationCode):
		category, grant = UserAuthentication, AuthorizationCode
	default:
		p.refuse(w, r, stand.None, unsupportedGrantType)
		return
	}

	var client *Client
	if p.cfg.AuthFirst {
		if client = p.authenticate(r, s, &f); client == nil {
			p.refuse(w, r, stand.None, invalidClient)
			return
		}
	}
	decision := p.stand.Take(category, 1)
	if !decision.Allowed {
		p.tell(r, s, &f, grant, true, false)
		h := w.Header()
		h["Content-Type"] = jsonType
		if p.cfg.RetryAfter {
			if after := stand.RetryAfter(decision); after != "" {
				h.Set("Retry-After", after)
			}
		}
		p.stand.Answer(w, r, stand.None, http.StatusTooManyRequests, rateExceeded)
		return
	}
	defer p.stand.Release(category, 1)
	if decision.Delay > 0 && !stand.Wait(r.Context(), decision.Delay) {
		p.stand.Abort()
	}
	fault := p.stand.Disturb(w, r)
	switch fault {
	case stand.Reset, stand.Hang:
		return
	case stand.Error:
		w.Header()["Content-Type"] = jsonType
		p.stand.Answer(w, r, stand.None, http.StatusInternalServerError, internalError)
		return
	}
	if client == nil {
		if client = p.authenticate(r, s, &f); client == nil {
			p.tell(r, s, &f, grant, false, false)
			p.refuse(w, r, fault, invalidClient)
			return
		}
	}
	body, refusal := p.grant(client, grant, &f)
	p.tell(r, s, &f, grant, false, refusal == nil)
	if refusal != nil {
		p.refuse(w, r, fault, refusal)
		return
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Access-Control-Allow-Origin"] = anyOne
	h["Cache-Control"] = noStore
	p.stand.Answer(w, r, fault, http.StatusOK, body)
}

// tell tells the observer, if there is one.
func (p *Pool) tell(r *http.Request, s *scratch, f *form, grant Grant, throttled, issued bool) {
	if p.cfg.Observe == nil {
		return
	}
	id := f.clientID
	if auth := r.Header["Authorization"]; id == nil && len(auth) > 0 {
		id, _, _ = parseBasic(auth[0], s.basic[:])
	}
	e := Event{Grant: grant, Throttled: throttled, Issued: issued}
	if p.clients[string(id)] != nil {
		e.Client = p.clients[string(id)].ID
	}
	p.cfg.Observe(e)
}

// refuse answers 400 with one of the error bodies.
func (p *Pool) refuse(w http.ResponseWriter, r *http.Request, fault stand.Fault, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Access-Control-Allow-Origin"] = anyOne
	p.stand.Answer(w, r, fault, http.StatusBadRequest, body)
}

// read fills the form from the body and from the query. The query counts too:
// a client that sent grant_type and client_id there and only the secret in the
// body got its tokens (pilcrowonpaper/arctic issue 175, 2024-10).
func (s *scratch) read(r *http.Request, f *form) bool {
	s.limit = io.LimitedReader{R: r.Body, N: maxForm + 1}
	if _, err := s.body.ReadFrom(&s.limit); err != nil || s.body.Len() > maxForm {
		return false
	}
	if f.parse(s.body.Bytes()) != nil {
		return false
	}
	if r.URL.RawQuery == "" {
		return true
	}
	s.query = append(s.query[:0], r.URL.RawQuery...)
	return f.parse(s.query) == nil
}

// release wipes what was secret and hands the scratch back, unless a huge form
// has blown it up.
func (s *scratch) release() {
	if s.body.Cap() > 16<<10 || cap(s.query) > 16<<10 {
		return
	}
	clear(s.body.Bytes())
	s.body.Reset()
	clear(s.query)
	clear(s.basic[:])
	s.limit.R = nil
	scratches.Put(s)
}

// isForm says whether the content type is the form's, with or without parameters.
func isForm(values []string) bool {
	if len(values) != 1 {
		return false
	}
	media, _, _ := strings.Cut(values[0], ";")
	return equalFold(strings.TrimSpace(media), "application/x-www-form-urlencoded")
}

// authenticate finds the client and checks its secret, given by Basic or in the
// form (guide/token: client_secret_basic and client_secret_post). Seed 000 sends
// both at once and is served, so both may come; when they differ it is nobody.
func (p *Pool) authenticate(r *http.Request, s *scratch, f *form) *Client {
	id, secret := f.clientID, f.clientSecret
	if auth := r.Header["Authorization"]; len(auth) > 0 {
		basicID, basicSecret, ok := parseBasic(auth[0], s.basic[:])
		if !ok || len(auth) > 1 {
			return nil
		}
		if id != nil && !bytes.Equal(id, basicID) || secret != nil && !bytes.Equal(secret, basicSecret) {
			return nil
		}
		id, secret = basicID, basicSecret
	}
	c := p.clients[string(id)]
	if c == nil || subtle.ConstantTimeCompare(secret, []byte(c.Secret)) != 1 {
		return nil
	}
	return c
}

// grant returns the answer's body, or the body of the refusal.
func (p *Pool) grant(c *Client, g Grant, f *form) (body, refusal []byte) {
	if !slices.Contains(c.Grants, g) {
		return nil, unauthorizedClient
	}
	switch g {
	case ClientCredentials:
		scope, ok := p.scope(c, f.scope)
		if !ok {
			return nil, invalidScope
		}
		return p.issue(c, g, scope), nil
	case Refresh:
		if len(f.refreshToken) == 0 {
			return nil, invalidRequest
		}
		for _, t := range c.RefreshTokens {
			if subtle.ConstantTimeCompare([]byte(t), f.refreshToken) == 1 {
				return p.issue(c, g, strings.Join(c.Scopes, " ")), nil
			}
		}
		return nil, invalidGrant
	case AuthorizationCode:
		if len(f.code) == 0 || len(f.redirectURI) == 0 {
			return nil, invalidRequest
		}
	}
	// Codes are issued by the sign-in page, which is not part of this stand-in:
	// none exists, and "does not exist" is invalid_grant (guide/token).
	return nil, invalidGrant
}

// scope returns what is granted, in the client's own order: what was asked for
// and is the client's, or all when nothing was asked for.
func (p *Pool) scope(c *Client, asked []byte) (string, bool) {
	if len(bytes.TrimSpace(asked)) == 0 {
		return strings.Join(c.Scopes, " "), len(c.Scopes) > 0
	}
	words := bytes.Fields(asked)
	granted := make([]string, 0, len(c.Scopes))
	for _, s := range c.Scopes {
		if slices.ContainsFunc(words, func(w []byte) bool { return string(w) == s }) {
			granted = append(granted, s)
		}
	}
	if p.cfg.StrictScopes {
		for _, w := range words {
			if !slices.Contains(granted, string(w)) {
				return "", false
			}
		}
	}
	return strings.Join(granted, " "), len(granted) > 0
}
