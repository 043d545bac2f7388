package auth0

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// people are those who can log in, and the key of every token. Codes, sessions
// and the state of a login are signed tokens too, so that nothing is kept of
// them; a code can be used twice, which the real service refuses.
type people struct {
	key [32]byte

	mu        sync.Mutex // guards all below
	passwords map[string]string
}

// maxPeople bounds those who sign up.
const maxPeople = 10_000

func (p *people) init() {
	rand.Read(p.key[:]) // never fails
	p.passwords = map[string]string{UserEmail: UserPassword}
}

// signUp adds somebody; false when there is one of this address, or no room.
func (p *people) signUp(email, password string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.passwords[email]; taken || len(p.passwords) >= maxPeople {
		return false
	}
	p.passwords[email] = password
	return true
}

func (p *people) knows(email, password string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	right, ok := p.passwords[email]
	return ok && subtle.ConstantTimeCompare([]byte(right), []byte(password)) == 1
}

// sub is a user's id.
func sub(email string) string {
	sum := sha256.Sum256([]byte(email))
	return "auth0|" + hex.EncodeToString(sum[:12])
}

// use says what a token is for.
type use string

const (
	useAccess  use = "access"
	useID      use = "id"
	useCode    use = "code"
	useState   use = "state"
	useSession use = "session"
)

// claims are those of all tokens.
type claims struct {
	Iss   string `json:"iss,omitempty"`
	Sub   string `json:"sub,omitempty"`
	Aud   string `json:"aud,omitempty"`
	Azp   string `json:"azp,omitempty"`
	Scope string `json:"scope,omitempty"`
	Gty   string `json:"gty,omitempty"`
	Email string `json:"email,omitempty"`
	Nonce string `json:"nonce,omitempty"`
	Iat   int64  `json:"iat"`
	Exp   int64  `json:"exp"`
	Use   use    `json:"use,omitempty"` // ours: what is no token for others

	// Of a login under way.
	Redirect string `json:"redirect,omitempty"`
	State    string `json:"state,omitempty"`
	Response string `json:"response,omitempty"`
}

// header is that of every token: HS256, as Auth0 signs for an API with that
// setting; the key is the tenant's own.
var header = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// seal signs claims that hold for a time.
func (p *people) seal(c claims, now time.Time, life time.Duration) string {
	c.Iat, c.Exp = now.Unix(), now.Add(life).Unix()
	signed := header + "." + base64.RawURLEncoding.EncodeToString(mustJSON(c))
	return signed + "." + base64.RawURLEncoding.EncodeToString(p.sign(signed))
}

func (p *people) sign(text string) []byte {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// open returns the claims of a token for this use that is ours and has not ended.
func (p *people) open(token string, u use, now time.Time) (claims, bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || len(token) > 8<<10 {
		return claims{}, false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil || !hmac.Equal(signature, p.sign(token[:i])) {
		return claims{}, false
	}
	_, payload, _ := strings.Cut(token[:i], ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	var c claims
	if err != nil || json.Unmarshal(text, &c) != nil || c.Use != u || now.Unix() >= c.Exp {
		return claims{}, false
	}
	return c, true
}
