package verify

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
)

// Call is a request that experiments make.
type Call struct {
	Name   string      `json:"name"` // as pictures show it
	Method string      `json:"method"`
	Path   string      `json:"path"` // with the query
	Header []hit.Field `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`

	// Of services that have such parts: what policies with a scope are for.
	API       string `json:"api,omitempty"`
	Operation string `json:"operation,omitempty"`
	Product   string `json:"product,omitempty"`

	// Client is the identity that the call was made with, from 0: see Vary. Fresh
	// says that nobody had it before.
	Client int  `json:"client"`
	Fresh  bool `json:"fresh,omitempty"`
}

// subject is the call as policies see it. The client's address is not known here,
// and the same for all calls.
func (c *Call) subject() *expr.Subject {
	path, query, _ := strings.Cut(c.Path, "?")
	s := &expr.Subject{
		Method: c.Method, Scheme: "http", Host: "target", Path: path, RawQuery: query, Header: expr.Fields{}, IP: "192.0.2.1",
		API: expr.Named{ID: c.API, Name: c.API}, Operation: expr.Named{ID: c.Operation, Name: c.Operation},
		Product: expr.Named{ID: c.Product, Name: c.Product},
	}
	for _, f := range c.Header {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		s.Header[name] = append(s.Header[name], f.Value)
	}
	if v := s.Header["X-Forwarded-For"]; len(v) > 0 {
		s.IP = v[0]
	}
	key := cmp.Or(s.Header.Get("Ocp-Apim-Subscription-Key"), s.Query("subscription-key"))
	s.Subscription = expr.Named{ID: key, Name: key, Key: key}
	return s
}

// with returns the call with a field set.
func (c Call) with(name, value string) Call {
	c.Header = slices.DeleteFunc(slices.Clone(c.Header), func(f hit.Field) bool { return strings.EqualFold(f.Name, name) })
	c.Header = append(c.Header, hit.Field{Name: name, Value: value})
	return c
}

// Vary is a part of a request that makes its sender another client: the key of a
// policy, say. The i-th client has the i-th value.
type Vary struct {
	Kind   VaryKind
	Name   string   // of the header or the query parameter
	Values []string // with Fresh: empty
	Fresh  bool     // a new value, never used before, for each client
	Prefix string   // of fresh values
}

// VaryKind is where a Vary is.
type VaryKind uint8

// The kinds.
const (
	VaryHeader VaryKind = iota
	VaryQuery
	VaryBasic
)

// ParseVary reads header:NAME=a,b or query:NAME=a,b or basic=a,b. The value new
// stands for fresh ones.
func ParseVary(s string) (v Vary, err error) {
	what, values, ok := strings.Cut(s, "=")
	kind, name, named := strings.Cut(what, ":")
	switch {
	case kind == "header" && named:
		v.Kind = VaryHeader
	case kind == "query" && named:
		v.Kind = VaryQuery
	case kind == "basic" && !named:
		v.Kind = VaryBasic
	default:
		return v, fmt.Errorf("%q is not understood: write header:X-Api-Key=a,b, query:key=a,b or basic=a,b", what)
	}
	if v.Name = name; named && name == "" {
		return v, fmt.Errorf("a name is missing after the colon of %s", kind)
	}
	if !ok || values == "" {
		return v, fmt.Errorf("%s has no values: write %s=a,b, or %s=new for values that were never used before", what, what, what)
	}
	if values == "new" {
		v.Fresh = true
		return v, nil
	}
	for _, one := range strings.Split(values, ",") {
		if one == "" || strings.ContainsFunc(one, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return v, fmt.Errorf("%s: a value is empty or has control characters", what)
		}
		if !slices.Contains(v.Values, one) {
			v.Values = append(v.Values, one)
		}
	}
	return v, nil
}

func (v *Vary) apply(c Call, client int) Call {
	value := fmt.Sprintf("%s%d", v.Prefix, client+1)
	if !v.Fresh {
		value = v.Values[client%len(v.Values)]
	}
	switch v.Kind {
	case VaryQuery:
		sep := "?"
		if strings.Contains(c.Path, "?") {
			sep = "&"
		}
		c.Path += sep + v.Name + "=" + value
	case VaryBasic:
		c = c.with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value+":")))
		if strings.Contains(value, ":") {
			c = c.with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value)))
		}
	default:
		c = c.with(v.Name, value)
	}
	return c
}

// as returns the call as a client makes it.
func (c Call) as(vary []Vary, client int) Call {
	for i := range vary {
		c = vary[i].apply(c, client)
		c.Fresh = c.Fresh || vary[i].Fresh
	}
	c.Client = client
	return c
}

// clients is how many clients there can be; fresh tells that there is no end.
func clients(vary []Vary) (n int, fresh bool) {
	n = 1
	for _, v := range vary {
		fresh = fresh || v.Fresh
		n = max(n, len(v.Values))
	}
	return n, fresh
}

// same tells whether two calls are one.
func same(a, b *Call) bool {
	return a.Method == b.Method && a.Path == b.Path && a.Body == b.Body && slices.Equal(a.Header, b.Header) && a.API == b.API && a.Operation == b.Operation && a.Product == b.Product
}

// masked returns the call as it may be written to a file: values that may be
// secret are replaced, equal ones by equal ones.
func (c Call) masked(names map[string]string) Call {
	c.Header = slices.Clone(c.Header)
	for i, f := range c.Header {
		low := strings.ToLower(f.Name)
		secret := false
		for _, word := range []string{"key", "token", "secret", "cookie", "auth", "password", "session"} {
			secret = secret || strings.Contains(low, word)
		}
		if !secret {
			continue
		}
		if user := c.subject().BasicUser(); low == "authorization" && user != "" {
			c.Header[i].Value = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"))
			continue
		}
		if names[f.Value] == "" {
			names[f.Value] = fmt.Sprintf("masked-%d", len(names)+1)
		}
		c.Header[i].Value = names[f.Value]
	}
	if path, query, ok := strings.Cut(c.Path, "?"); ok {
		pairs := strings.Split(query, "&")
		for i, p := range pairs {
			name, value, _ := strings.Cut(p, "=")
			low := strings.ToLower(name)
			if strings.Contains(low, "key") || strings.Contains(low, "token") || strings.Contains(low, "secret") || strings.Contains(low, "sig") {
				if names[value] == "" {
					names[value] = fmt.Sprintf("masked-%d", len(names)+1)
				}
				pairs[i] = name + "=" + names[value]
			}
		}
		c.Path = path + "?" + strings.Join(pairs, "&")
	}
	c.Body = ""
	return c
}

// ParseCall reads "GET /path", "/path", or "api=orders GET /path" with api,
// operation and product before the method.
func ParseCall(s string) (c Call, err error) {
	words := strings.Fields(s)
	for len(words) > 0 {
		name, value, ok := strings.Cut(words[0], "=")
		place := map[string]*string{"api": &c.API, "operation": &c.Operation, "product": &c.Product}[name]
		if !ok || place == nil {
			break
		}
		*place = value
		words = words[1:]
	}
	switch {
	case len(words) == 1:
		c.Method, c.Path = "GET", words[0]
	case len(words) == 2:
		c.Method, c.Path = words[0], words[1]
	default:
		return c, fmt.Errorf("%q is not a request: write GET /path", s)
	}
	if !strings.HasPrefix(c.Path, "/") || strings.Contains(c.Path, "#") {
		return c, fmt.Errorf("%q: a path starts with / and has no #", s)
	}
	for _, b := range []byte(c.Method) {
		if (b < 'A' || b > 'Z') && b != '-' && b != '_' {
			return c, fmt.Errorf("%q: a method has capital letters only", s)
		}
	}
	c.Name = c.Method + " " + c.Path
	return c, nil
}

// concrete returns the calls that a policy's patterns name without wildcards.
func concrete(p *policy.Policy) (out []Call) {
	if len(p.Match) == 0 {
		return []Call{{Name: "GET /", Method: "GET", Path: "/"}}
	}
	for _, m := range p.Match {
		method := "GET"
		if len(m.Methods) > 0 {
			method = m.Methods[0]
		}
		path := cmp.Or(m.Path, "/")
		if strings.ContainsAny(path, "*{") {
			continue
		}
		out = append(out, Call{Name: method + " " + path, Method: method, Path: path})
	}
	return out
}
