package cognito

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// signer makes tokens, and makes sure that they do not cost more CPU than they
// may. It is safe for concurrent use.
type signer struct {
	key    *rsa.PrivateKey
	kid    string
	header string // encoded
	budget int    // signatures per second of the clock; negative is no bound

	mu     sync.Mutex // guards all below
	second int64      // the second the budget is being spent in
	spent  int
	recent map[issued]answer
}

// issued names answers that are alike but for their time and ids.
type issued struct {
	client string
	grant  Grant
	scope  string
}

type answer struct {
	body []byte
	at   time.Time
}

const (
	// reuseFor bounds how old a token may be that is handed out again.
	reuseFor = time.Minute
	// maxRecent bounds the answers kept: 2^scopes combinations can be asked for.
	maxRecent = 1024
)

func newSigner(key *rsa.PrivateKey, budget int) (*signer, error) {
	if key == nil {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(key.N.Bytes())
	s := &signer{key: key, kid: base64.StdEncoding.EncodeToString(sum[:]), budget: budget, recent: map[issued]answer{}}
	// The guide's sample header ("Understanding the access token"): kid and alg, no typ.
	header, err := json.Marshal(struct {
		Kid string `json:"kid"`
		Alg string `json:"alg"`
	}{s.kid, "RS256"})
	s.header = encode(header)
	if err == nil {
		// A key that cannot sign is refused here, so that none fails later.
		_, err = s.trySign(struct{}{})
	}
	return s, err
}

// reuse returns the newest answer of the same kind when the second's budget is
// spent; otherwise it spends cost signatures and returns nil: make a new one.
func (s *signer) reuse(what issued, now time.Time, cost int) []byte {
	if s.budget < 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sec := now.Unix(); sec != s.second {
		s.second, s.spent = sec, 0
	}
	if s.spent+cost > s.budget {
		if a, ok := s.recent[what]; ok {
			if age := now.Sub(a.at); age >= 0 && age < reuseFor {
				return a.body
			}
		}
		// Over budget but there is nothing to hand out: the request is worth more.
	}
	s.spent += cost
	return nil
}

func (s *signer) keep(what issued, body []byte, now time.Time) {
	if s.budget < 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.recent[what]; !ok && len(s.recent) >= maxRecent {
		clear(s.recent)
	}
	s.recent[what] = answer{body, now}
}

// sign is trySign for a key that has been tried.
func (s *signer) sign(claims any) string {
	token, err := s.trySign(claims)
	if err != nil {
		panic(err)
	}
	return token
}

// trySign returns the compact serialization (RFC 7515 §3.1) of claims under RS256.
func (s *signer) trySign(claims any) (string, error) {
	signed := s.header + "." + encode(mustJSON(claims))
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + encode(sig), nil
}

// jwks is the public half as a JSON Web Key Set (RFC 7517), with the members
// Cognito publishes.
func (s *signer) jwks() []byte {
	type key struct {
		Alg string `json:"alg"`
		E   string `json:"e"`
		Kid string `json:"kid"`
		Kty string `json:"kty"`
		N   string `json:"n"`
		Use string `json:"use"`
	}
	return mustJSON(map[string]any{"keys": []key{{
		Alg: "RS256", E: encode(big.NewInt(int64(s.key.E)).Bytes()), Kid: s.kid, Kty: "RSA", N: encode(s.key.N.Bytes()), Use: "sig",
	}}})
}

// machineClaims are those of a client_credentials access token.
type machineClaims struct {
	Sub      string `json:"sub"`
	TokenUse string `json:"token_use"`
	Scope    string `json:"scope"`
	AuthTime int64  `json:"auth_time"`
	Iss      string `json:"iss"`
	Exp      int64  `json:"exp"`
	Iat      int64  `json:"iat"`
	Version  int    `json:"version"`
	Jti      string `json:"jti"`
	ClientID string `json:"client_id"`
}

// userClaims are those of a user's access token, idClaims of the ID token beside
// it (guide, "Understanding the access token" and "… the identity (ID) token").
type userClaims struct {
	Sub       string `json:"sub"`
	Iss       string `json:"iss"`
	Version   int    `json:"version"`
	ClientID  string `json:"client_id"`
	OriginJti string `json:"origin_jti"`
	EventID   string `json:"event_id"`
	TokenUse  string `json:"token_use"`
	Scope     string `json:"scope"`
	AuthTime  int64  `json:"auth_time"`
	Exp       int64  `json:"exp"`
	Iat       int64  `json:"iat"`
	Jti       string `json:"jti"`
	Username  string `json:"username"`
}

type idClaims struct {
	Sub           string `json:"sub"`
	EmailVerified bool   `json:"email_verified"`
	Iss           string `json:"iss"`
	Username      string `json:"cognito:username"`
	OriginJti     string `json:"origin_jti"`
	Aud           string `json:"aud"`
	EventID       string `json:"event_id"`
	TokenUse      string `json:"token_use"`
	AuthTime      int64  `json:"auth_time"`
	Exp           int64  `json:"exp"`
	Iat           int64  `json:"iat"`
	Jti           string `json:"jti"`
	Email         string `json:"email"`
}

// The one user of the pool.
const (
	userSub   = "00000000-0000-4000-8000-000000000001"
	userName  = "weir-lab-user"
	userEmail = "user@example.com"
)

// reply is the endpoint's answer. A refresh returns no new refresh token
// (guide/token: "returns refresh_token only when the grant_type is authorization_code").
type reply struct {
	IDToken     string `json:"id_token,omitempty"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	TokenType   string `json:"token_type"`
}

// issue makes the tokens of a grant, or hands out the newest again when signing
// more would cost too much (Config.SignPerSecond).
func (p *Pool) issue(c *Client, g Grant, scope string) []byte {
	now := p.stand.Now()
	what := issued{c.ID, g, scope}
	cost := 1
	if g == Refresh {
		cost = 2
	}
	if body := p.signer.reuse(what, now, cost); body != nil {
		return body
	}
	r := reply{ExpiresIn: int64(p.cfg.TokenLife / time.Second), TokenType: "Bearer"}
	iss, iat := p.cfg.Issuer+"/"+p.cfg.PoolID, now.Unix()
	exp := iat + r.ExpiresIn
	if g == Refresh {
		origin, event := newID(), newID()
		r.IDToken = p.signer.sign(idClaims{
			Sub: userSub, EmailVerified: true, Iss: iss, Username: userName, OriginJti: origin, Aud: c.ID, EventID: event,
			TokenUse: "id", AuthTime: iat, Exp: exp, Iat: iat, Jti: newID(), Email: userEmail,
		})
		r.AccessToken = p.signer.sign(userClaims{
			Sub: userSub, Iss: iss, Version: 2, ClientID: c.ID, OriginJti: origin, EventID: event,
			TokenUse: "access", Scope: scope, AuthTime: iat, Exp: exp, Iat: iat, Jti: newID(), Username: userName,
		})
	} else {
		r.AccessToken = p.signer.sign(machineClaims{
			Sub: c.ID, TokenUse: "access", Scope: scope, AuthTime: iat, Iss: iss, Exp: exp, Iat: iat, Version: 2, Jti: newID(), ClientID: c.ID,
		})
	}
	body := mustJSON(r)
	p.signer.keep(what, body, now)
	return body
}

// openidConfiguration is the discovery document, cut down to what is served here.
func (p *Pool) openidConfiguration() []byte {
	iss := p.cfg.Issuer + "/" + p.cfg.PoolID
	return mustJSON(map[string]any{
		"issuer":                                iss,
		"jwks_uri":                              p.cfg.Issuer + p.paths.jwks,
		"token_endpoint":                        p.cfg.Issuer + TokenPath,
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"grant_types_supported":                 []Grant{AuthorizationCode, ClientCredentials, Refresh},
		"response_types_supported":              []string{"code", "token"},
		"scopes_supported":                      []string{"openid", "email", "phone", "profile"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

// newID is a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand crashes the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// mustJSON encodes what always can be: strings, numbers and lists of them.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
