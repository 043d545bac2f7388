package expr

import (
	"net/url"
	"strings"
)

// Subject is what an expression may read: a request, and what is known about
// it. It is a plain value that its caller fills; an expression does not change it.
type Subject struct {
	Method, Scheme, Host string
	Path                 string // as sent in the request line, without the query
	RawQuery             string // without the question mark
	Header               Fields
	IP                   string // of the client, without the port

	// For services that have them.
	API, Operation, Product, Subscription, User Named

	// Attr is whatever else the caller knows: path parameters as "param.id", a region.
	Attr map[string]string

	Response *Response // nil before the answer is known
}

// Fields are header fields under their canonical names; an http.Header converts
// directly.
type Fields map[string][]string

// Get returns the first value of the field with this canonical name, or "".
func (f Fields) Get(canonical string) string {
	if values := f[canonical]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Named is a thing of a service.
type Named struct {
	ID, Name string
	Key      string // of a subscription
}

// Response is the answer to a request.
type Response struct {
	Status int
	Header Fields
	Bytes  int64 // of the body
}

// Query returns the first value of a query parameter, decoded, or "". One that
// is not encoded correctly does not count.
func (s *Subject) Query(name string) string {
	v, _ := s.query(name)
	return v
}

func (s *Subject) query(name string) (string, bool) {
	rest := s.RawQuery
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if key, value, ok := parameter(pair); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// parameter reads one name=value as net/url does.
func parameter(pair string) (name, value string, ok bool) {
	if pair == "" || strings.IndexByte(pair, ';') >= 0 {
		return "", "", false
	}
	name, value, _ = strings.Cut(pair, "=")
	name, err := url.QueryUnescape(name)
	if err != nil {
		return "", "", false
	}
	value, err = url.QueryUnescape(value)
	return name, value, err == nil
}

// Cookie returns the first value of a cookie, or "".
func (s *Subject) Cookie(name string) string {
	v, _ := s.cookie(name)
	return v
}

func (s *Subject) cookie(name string) (string, bool) {
	for _, line := range s.Header["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			key, value, ok := strings.Cut(pair, "=")
			if ok && strings.TrimSpace(key) == name {
				value = strings.TrimSpace(value)
				if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
					value = value[1 : len(value)-1]
				}
				return value, true
			}
		}
	}
	return "", false
}
