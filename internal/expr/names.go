package expr

import (
	"net/textproto"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// scalar returns the reader of a name that stands for text.
func scalar(name string) func(*Subject) string {
	switch name {
	case "request.method":
		return func(s *Subject) string { return s.Method }
	case "request.scheme":
		return func(s *Subject) string { return s.Scheme }
	case "request.host":
		return func(s *Subject) string { return s.Host }
	case "request.path":
		return func(s *Subject) string { return s.Path }
	case "request.ip":
		return func(s *Subject) string { return s.IP }
	case "request.basic_user":
		return (*Subject).BasicUser
	case "api.id":
		return func(s *Subject) string { return s.API.ID }
	case "api.name":
		return func(s *Subject) string { return s.API.Name }
	case "operation.id":
		return func(s *Subject) string { return s.Operation.ID }
	case "operation.name":
		return func(s *Subject) string { return s.Operation.Name }
	case "product.id":
		return func(s *Subject) string { return s.Product.ID }
	case "product.name":
		return func(s *Subject) string { return s.Product.Name }
	case "subscription.id":
		return func(s *Subject) string { return s.Subscription.ID }
	case "subscription.name":
		return func(s *Subject) string { return s.Subscription.Name }
	case "subscription.key":
		return func(s *Subject) string { return s.Subscription.Key }
	case "user.id":
		return func(s *Subject) string { return s.User.ID }
	case "user.name":
		return func(s *Subject) string { return s.User.Name }
	}
	return nil
}

// count returns the reader of a name that stands for a number.
func count(name string) func(*Subject) int64 {
	switch name {
	case "response.status":
		return func(s *Subject) int64 { return int64(s.Response.Status) }
	case "response.bytes":
		return func(s *Subject) int64 { return s.Response.Bytes }
	}
	return nil
}

// entryOf returns the reader of name["key"].
func entryOf(name, key string) func(*Subject) string {
	switch name {
	case "request.header":
		key = textproto.CanonicalMIMEHeaderKey(key)
		return func(s *Subject) string { return s.Header.Get(key) }
	case "response.header":
		key = textproto.CanonicalMIMEHeaderKey(key)
		return func(s *Subject) string { return s.Response.Header.Get(key) }
	case "request.query":
		return func(s *Subject) string { return s.Query(key) }
	case "request.cookie":
		return func(s *Subject) string { return s.Cookie(key) }
	case "attr":
		return func(s *Subject) string { return s.Attr[key] }
	}
	return nil
}

// Names returns every name that an expression may read, sorted.
func Names() []string {
	names := []string{
		"request.method", "request.scheme", "request.host", "request.path", "request.ip", "request.basic_user",
		"request.header", "request.query", "request.cookie", "request.jwt",
		"api.id", "api.name", "operation.id", "operation.name", "product.id", "product.name",
		"subscription.id", "subscription.name", "subscription.key", "user.id", "user.name",
		"attr", "response.status", "response.header", "response.bytes",
	}
	slices.Sort(names)
	return names
}

// typeOf returns the type that a name has in CEL.
func typeOf(name string) *cel.Type {
	switch {
	case scalar(name) != nil:
		return cel.StringType
	case count(name) != nil:
		return cel.IntType
	case name == "request.jwt":
		return cel.MapType(cel.StringType, cel.DynType)
	}
	return cel.MapType(cel.StringType, cel.StringType)
}

// vars is a Subject as CEL asks for it. Subtle: a pointer converts to it
// without an allocation, where a struct around it would need one.
type vars Subject

// ResolveName returns the value of a name.
func (v *vars) ResolveName(name string) (any, bool) {
	s := (*Subject)(v)
	if read := scalar(name); read != nil {
		return bounded(read(s)), true
	}
	if read := count(name); read != nil {
		return types.Int(read(s)), true
	}
	switch name {
	case "request.header":
		return fields(s.Header), true
	case "response.header":
		return fields(s.Response.Header), true
	case "request.query":
		return texts(s.query, s.queryNames), true
	case "request.cookie":
		return texts(s.cookie, s.cookieNames), true
	case "attr":
		return texts(func(k string) (string, bool) { v, ok := s.Attr[k]; return v, ok }, func() []string { return sortedKeys(s.Attr) }), true
	case "request.jwt":
		return object(s.claims()), true
	}
	return nil, false
}

// Parent returns nil: there is no scope around.
func (v *vars) Parent() cel.Activation { return nil }

func (s *Subject) queryNames() (names []string) {
	for _, pair := range strings.Split(s.RawQuery, "&") {
		if name, _, ok := parameter(pair); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *Subject) cookieNames() (names []string) {
	for _, line := range s.Header["Cookie"] {
		for _, pair := range strings.Split(line, ";") {
			if name, _, ok := strings.Cut(pair, "="); ok {
				names = append(names, strings.TrimSpace(name))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
