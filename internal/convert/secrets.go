package convert

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	// tokenShape matches values that are secrets whatever their name: JSON web
	// tokens and the keys of some large services.
	tokenShape = regexp.MustCompile(`eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bsk_(?:live|test)_\w{10,}|\bxox[abpr]-[\w-]{10,}`)
	// inText finds secrets in bodies that are neither JSON nor a form.
	inText = regexp.MustCompile(`(?i)([\w.:-]*(?:passw|secret|token|api_?key|credential)[\w.-]*)["']?\s*[:=>]\s*(?:"([^"<]+)"|'([^'<]+)'|([^\s"'<>&,;}]+))`)
)

// sensitive says whether a field of this name holds a secret.
func sensitive(name string) bool {
	n := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(name))
	for _, part := range []string{"passw", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "subscriptionkey", "authorization",
		"credential", "sessionid", "signature", "cookie", "assertion", "csrf", "xsrf", "authkey"} {
		if strings.Contains(n, part) {
			return true
		}
	}
	switch n {
	case "auth", "key", "sig", "pass", "pwd", "pin", "otp", "sid", "session", "jwt", "cvv", "cvc", "xauth", "codeverifier", "bearer", "login:password":
		return true
	}
	return false
}

// protect replaces the secrets of a step by what stands for them.
func (b *builder) protect(s *step) {
	for i := range s.headers {
		b.protectHeader(s, &s.headers[i])
	}
	kept := s.headers[:0]
	for _, h := range s.headers {
		if h.name != "" {
			kept = append(kept, h)
		}
	}
	s.headers = kept
	for i, c := range s.cookies {
		if !hasMark(c.value) {
			s.cookies[i].value = b.secret(c.name, c.value)
		}
	}
	if s.auth != nil && !hasMark(s.auth.value) {
		s.auth.value = b.secret("password", s.auth.value)
	}
	s.url = b.guard("", s.url)
	for i, p := range s.params {
		s.params[i].value = b.guard(p.name, p.value)
	}
	s.query = b.protectRaw(s.query, true)
	switch {
	case s.body.form != nil:
		for i, p := range s.body.form {
			s.body.form[i].value = b.guard(p.name, p.value)
		}
	case s.body.parts != nil:
		for i, p := range s.body.parts {
			if !p.isFile {
				s.body.parts[i].value = b.guard(p.name, p.value)
			}
		}
	case s.body.json != nil:
		b.protectJSON("", s.body.json)
	case s.body.raw != nil:
		text := b.protectRaw(*s.body.raw, false)
		s.body.raw = &text
	}
}

// guard returns value, or what stands for it when it is a secret.
func (b *builder) guard(name, value string) string {
	if hasMark(value) || value == "" {
		return value
	}
	if name != "" && sensitive(name) {
		return b.secret(name, value)
	}
	return tokenShape.ReplaceAllStringFunc(value, func(token string) string { return b.secret("token", token) })
}

func (b *builder) protectHeader(s *step, h *pair) {
	if hasMark(h.value) || h.value == "" {
		return
	}
	switch strings.ToLower(h.name) {
	case "authorization", "proxy-authorization":
		scheme, rest, ok := strings.Cut(h.value, " ")
		rest = strings.TrimSpace(rest)
		if !ok || rest == "" {
			h.value = b.secret("authorization", h.value)
			return
		}
		plain, err := base64.StdEncoding.DecodeString(rest)
		user, password, two := strings.Cut(string(plain), ":")
		again := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		if strings.EqualFold(h.name, "authorization") && scheme == "Basic" && err == nil && two && again == rest && utf8.Valid(plain) && s.auth == nil {
			s.auth = &pair{clean(user), b.secret("password", password)}
			h.name = "" // the writer leaves it out
			return
		}
		h.value = scheme + " " + b.secret("token", rest)
	case "cookie":
		h.value = b.secret("cookie", h.value)
	default:
		h.value = b.guard(h.name, h.value)
	}
}

func (b *builder) protectJSON(name string, n *node) {
	switch n.kind {
	case isText:
		n.text = b.guard(name, n.text)
	case isNumber:
		switch strings.ToLower(name) {
		case "password", "pin", "otp", "cvv", "cvc", "passcode":
			if !hasMark(n.text) && !strings.HasPrefix(n.text, "0") {
				n.text = b.secret(name, n.text)
			}
		}
	default:
		for i, c := range n.items {
			key := name // the items of "tokens": […] are tokens
			if n.kind == isMap {
				key = n.keys[i]
			}
			b.protectJSON(key, c)
		}
	}
}

// protectRaw replaces the secrets in a text that is taken as it is.
func (b *builder) protectRaw(text string, form bool) string {
	if form || looksLikeForm(text) {
		fields := strings.Split(text, "&")
		for i, f := range fields {
			if k, v, ok := strings.Cut(f, "="); ok {
				fields[i] = k + "=" + b.guard(k, v)
			}
		}
		return strings.Join(fields, "&")
	}
	if hasMark(text) {
		return text
	}
	var out strings.Builder
	done := 0
	for _, m := range inText.FindAllStringSubmatchIndex(text, -1) {
		for g := 2; g <= 4; g++ {
			if m[2*g] >= 0 {
				out.WriteString(text[done:m[2*g]])
				out.WriteString(b.secret(text[m[2]:m[3]], text[m[2*g]:m[2*g+1]]))
				done = m[2*g+1]
			}
		}
	}
	out.WriteString(text[done:])
	return tokenShape.ReplaceAllStringFunc(out.String(), func(token string) string {
		if hasMark(token) {
			return token
		}
		return b.secret("token", token)
	})
}

func looksLikeForm(s string) bool {
	return strings.Contains(s, "=") && !strings.ContainsAny(s, "{<\n\" ")
}
