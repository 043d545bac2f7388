package cli

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-dev/weir/internal/hit"
)

const masked = "***"

// sensitive matches the names of headers, query parameters and form fields
// whose values never reach a run file, a report, a log or an error.
var sensitive = regexp.MustCompile(`(?i)auth|cookie|token|secret|passw|key|signature|sig$|credential|session|assertion|^code$`)

// maskHeader hides the value of a header line that may carry a secret. Without
// a colon nobody knows what is name and what is value, so that at most the first
// of several words is shown.
func maskHeader(line string) string {
	name, _, ok := strings.Cut(line, ":")
	switch {
	case !ok:
		if first, _, more := strings.Cut(line, " "); more {
			return first + " " + masked
		}
		return masked
	case sensitive.MatchString(name):
		return name + ": " + masked
	}
	return line
}

// maskURL hides the password and the values of query parameters that may be
// secrets. A text that is no URL is hidden whole if it has an @ in it, and else
// from its query on.
func maskURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		if strings.Contains(s, "@") {
			return masked
		}
		if path, _, has := strings.Cut(s, "?"); has {
			return path + "?" + masked
		}
		return s
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), masked)
	}
	if u.RawQuery != "" {
		pairs := strings.Split(u.RawQuery, "&")
		for i, p := range pairs {
			if name, _, ok := strings.Cut(p, "="); ok && sensitive.MatchString(name) {
				pairs[i] = name + "=" + masked
			}
		}
		u.RawQuery = strings.Join(pairs, "&")
	}
	return strings.ReplaceAll(u.String(), "%2A", "*")
}

// leastSecret is the shortest text that is masked wherever it turns up.
const leastSecret = 6

// maskSent returns what masks the credentials of a request in what a service
// sends back; nil when it has none.
func maskSent(req *hit.Request) func(string) string {
	var pairs []string
	add := func(v string) {
		if len(v) >= leastSecret {
			pairs = append(pairs, v, masked)
		}
	}
	for _, f := range req.Header {
		if !sensitive.MatchString(f.Name) {
			continue
		}
		scheme, rest, two := strings.Cut(f.Value, " ")
		if !two {
			add(f.Value)
			continue
		}
		if b, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
			_, password, _ := strings.Cut(string(b), ":")
			add(password)
		}
		add(rest)
	}
	if pairs == nil {
		return nil
	}
	return strings.NewReplacer(pairs...).Replace
}

// secretFlags take a value that is hidden whole; bodyFlags one of which only the length is told.
var (
	secretFlags = []string{"--basic-auth", "--proxy", "-x"}
	bodyFlags   = []string{"--data", "-d", "--json-data"}
	headerFlags = []string{"--header", "-H"}
	urlFlags    = []string{"--watch"}
)

// maskArgs returns the command line as it may be stored: it shows what was
// run, without the secrets that were part of it.
func maskArgs(args []string) []string {
	out := slices.Clone(args)
	mask := func(flag, value string) string {
		switch {
		case slices.Contains(secretFlags, flag):
			return masked
		case slices.Contains(bodyFlags, flag):
			if strings.HasPrefix(value, "@") {
				return value // a file name
			}
			return "(" + plural(len(value), "byte") + ")"
		case slices.Contains(headerFlags, flag):
			return maskHeader(value)
		case slices.Contains(urlFlags, flag) && !strings.Contains(value, "://"):
			return masked // wrong, and so it could be anything
		}
		if strings.Contains(value, "://") {
			return maskURL(value)
		}
		return value
	}
	for i := 0; i < len(out); i++ {
		a := out[i]
		if !strings.HasPrefix(a, "-") {
			out[i] = mask("", a)
			continue
		}
		if flag, value, ok := strings.Cut(a, "="); ok && strings.HasPrefix(a, "--") {
			out[i] = flag + "=" + mask(flag, value)
			continue
		}
		if len(a) > 2 && a[1] != '-' { // -HName: value, -dbody
			if flag := a[:2]; slices.Contains(headerFlags, flag) || slices.Contains(bodyFlags, flag) || slices.Contains(secretFlags, flag) {
				out[i] = flag + mask(flag, a[2:])
			}
			continue
		}
		known := slices.Contains(secretFlags, a) || slices.Contains(bodyFlags, a) || slices.Contains(headerFlags, a) || slices.Contains(urlFlags, a)
		if known && i+1 < len(out) {
			out[i+1] = mask(a, out[i+1])
			i++
		}
	}
	return out
}
