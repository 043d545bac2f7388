package sms

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// This file is django.middleware.csrf of Django 5.2: since 4.1 the cookie holds
// the bare secret, and the header may have the secret or a masked form of it.

const (
	csrfCookie  = "csrftoken"
	secretSize  = 32
	maskedSize  = 2 * secretSize
	csrfLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// randomWord is n characters of an alphabet, from the system's generator.
func randomWord(alphabet string, n int) string {
	out := make([]byte, 0, n)
	var buf [64]byte
	bound := byte(256 / len(alphabet) * len(alphabet)) // no character more likely than another
	for {
		_, _ = rand.Read(buf[:]) // documented never to fail
		for _, b := range buf {
			if bound != 0 && b >= bound {
				continue
			}
			if out = append(out, alphabet[int(b)%len(alphabet)]); len(out) == n {
				return string(out)
			}
		}
	}
}

// tokenFormat says what is wrong with a secret or a token, or "".
func tokenFormat(token string) string {
	if len(token) != secretSize && len(token) != maskedSize {
		return "has incorrect length"
	}
	for i := range len(token) {
		if strings.IndexByte(csrfLetters, token[i]) < 0 {
			return "has invalid characters"
		}
	}
	return ""
}

// unmask returns the secret of a token of good format, masked or not: the mask,
// then secret plus mask, character by character.
func unmask(token string) string {
	if len(token) != maskedSize {
		return token
	}
	out := make([]byte, secretSize)
	for i := range out {
		mask, sum := strings.IndexByte(csrfLetters, token[i]), strings.IndexByte(csrfLetters, token[secretSize+i])
		out[i] = csrfLetters[(sum-mask+len(csrfLetters))%len(csrfLetters)]
	}
	return string(out)
}

// origins are CSRF_TRUSTED_ORIGINS, taken apart as the middleware does.
type origins struct {
	exact    map[string]bool
	hosts    []string            // of all, for the Referer
	wildcard map[string][]string // scheme → domains
}

func parseOrigins(list []string) (origins, error) {
	o := origins{exact: map[string]bool{}, wildcard: map[string][]string{}}
	for _, s := range list {
		scheme, host, ok := strings.Cut(s, "://")
		if !ok || scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(host, "/?#@ ") {
			return o, fmt.Errorf("trusted origin %q: want a scheme and a host, such as https://app.example.org or https://*.example.org", s)
		}
		o.hosts = append(o.hosts, strings.TrimLeft(host, "*"))
		if strings.Contains(s, "*") {
			o.wildcard[scheme] = append(o.wildcard[scheme], strings.TrimLeft(host, "*"))
		} else {
			o.exact[s] = true
		}
	}
	return o, nil
}

// sameDomain is django.utils.http.is_same_domain.
func sameDomain(host, pattern string) bool {
	if pattern == "" {
		return false
	}
	pattern = strings.ToLower(pattern)
	return host == pattern || pattern[0] == '.' && (strings.HasSuffix(host, pattern) || host == pattern[1:])
}

// splitURL is as much of urllib.parse.urlsplit as matters here: scheme in lower
// case, network location as it is, and false for brackets that do not match.
func splitURL(s string) (scheme, netloc, rest string, ok bool) {
	rest = s
	if i := strings.IndexByte(s, ':'); i > 0 && strings.IndexFunc(s[:i], func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("+-.", r)
	}) < 0 {
		scheme, rest = strings.ToLower(s[:i]), s[i+1:]
	}
	if strings.HasPrefix(rest, "//") {
		rest = rest[2:]
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		netloc, rest = rest[:end], rest[end:]
	}
	return scheme, netloc, rest, strings.Contains(netloc, "[") == strings.Contains(netloc, "]")
}

// secure says whether the client came over https, by SECURE_PROXY_SSL_HEADER.
func secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

func scheme(r *http.Request) string {
	if secure(r) {
		return "https"
	}
	return "http"
}

// checkOrigin is the first half of the check: Origin, or over https the Referer.
// It returns the reason to refuse, or "".
func (o *origins) check(r *http.Request) string {
	if values, ok := r.Header["Origin"]; ok {
		origin := values[0]
		if origin == scheme(r)+"://"+r.Host || o.exact[origin] {
			return ""
		}
		if sch, netloc, _, ok := splitURL(origin); ok {
			for _, domain := range o.wildcard[sch] {
				if sameDomain(netloc, domain) {
					return ""
				}
			}
		}
		return "Origin checking failed - " + origin + " does not match any trusted origins."
	}
	if !secure(r) {
		return ""
	}
	values, ok := r.Header["Referer"]
	if !ok {
		return "Referer checking failed - no Referer."
	}
	sch, netloc, rest, ok := splitURL(values[0])
	switch {
	case !ok || sch == "" || netloc == "":
		return "Referer checking failed - Referer is malformed."
	case sch != "https":
		return "Referer checking failed - Referer is insecure while host is secure."
	case sameDomain(netloc, r.Host):
		return ""
	}
	for _, host := range o.hosts {
		if sameDomain(netloc, host) {
			return ""
		}
	}
	return "Referer checking failed - " + sch + "://" + netloc + rest + " does not match any trusted origins."
}

// csrf is SessionAuthentication.enforce_csrf: nil, or the refusal.
//
// Subtle: for a POST the middleware looks for csrfmiddlewaretoken, and so makes the
// framework parse the body. A body that cannot be parsed is answered with 400 or
// 415 before the token is looked at, but after origin and cookie (recorded).
func (x *exchange) csrf() *refusal {
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return nil
	}
	failed := func(reason string) *refusal { return detail(http.StatusForbidden, "CSRF Failed: "+reason) }
	if reason := x.app.origins.check(x.r); reason != "" {
		return failed(reason)
	}
	cookie, ok := x.cookies[csrfCookie]
	if !ok {
		return failed("CSRF cookie not set.")
	}
	if wrong := tokenFormat(cookie); wrong != "" {
		return failed("CSRF cookie " + wrong + ".")
	}
	if x.r.Method == http.MethodPost {
		if _, refused := x.data(); refused != nil {
			return refused
		}
	}
	values, ok := x.r.Header["X-Csrftoken"]
	if !ok {
		return failed("CSRF token missing.")
	}
	token := values[0]
	const source = "CSRF token from the 'X-Csrftoken' HTTP header "
	if wrong := tokenFormat(token); wrong != "" {
		return failed(source + wrong + ".")
	}
	if subtle.ConstantTimeCompare([]byte(unmask(token)), []byte(unmask(cookie))) != 1 {
		return failed(source + "incorrect.")
	}
	return nil
}

// parseCookies is django.http.cookie.parse_cookie: the last of a name wins.
func parseCookies(lines []string) map[string]string {
	out := map[string]string{}
	for _, line := range lines {
		for chunk := range strings.SplitSeq(line, ";") {
			name, value, ok := strings.Cut(chunk, "=")
			if !ok {
				name, value = "", chunk
			}
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			if name != "" || value != "" {
				out[name] = value
			}
		}
	}
	return out
}

// escapePath is django.utils.encoding.escape_uri_path for the paths that exist
// here.
func escapePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }
