package expr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// BasicUser returns the user of HTTP Basic authentication, or "".
func (s *Subject) BasicUser() string {
	coded, ok := s.authorization("Basic ")
	if !ok || len(coded) > maxToken {
		return ""
	}
	plain, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return ""
	}
	user, _, ok := bytes.Cut(plain, []byte{':'})
	if !ok {
		return ""
	}
	return string(user)
}

// authorization returns what follows the scheme.
func (s *Subject) authorization(scheme string) (string, bool) {
	v := s.Header.Get("Authorization")
	if len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return "", false
	}
	return strings.TrimSpace(v[len(scheme):]), true
}

// claims returns what the Bearer token of the request says, nil when there is
// none that can be read. The signature is not looked at: a key made of a claim
// sorts requests, it does not prove who sends them.
func (s *Subject) claims() map[string]any {
	token, ok := s.authorization("Bearer ")
	if !ok || len(token) > maxToken {
		return nil
	}
	_, rest, _ := strings.Cut(token, ".")
	body, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(body, "="))
	if err != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		return nil
	}
	return out
}
