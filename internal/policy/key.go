package policy

import (
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/expr"
)

// Key says what a policy counts by. The zero value is Global.
type Key struct {
	Kind KeyKind
	Name string     // of the header or the query parameter; "" for the other kinds
	Expr *expr.Expr // of kind Expression: String that does not read the response
}

// KeyKind is a part of a request.
type KeyKind uint8

const (
	Global     KeyKind = iota // one counter for every request
	IP                        // the client's address
	BasicUser                 // the user of HTTP Basic authentication: an OAuth client's id
	Header                    // the first value of a header
	Query                     // the first value of a query parameter
	Path                      // the path of the request
	Expression                // what an expression gives
)

// ParseKey reads the text form: global (or nothing), or an expression that gives
// text, such as request.ip, request.header["X-Api-Key"] or
// request.jwt.sub + "/" + api.id. The error begins with the column.
func ParseKey(s string) (Key, error) {
	var c expr.Compiler
	return parseKey(&c, s)
}

func parseKey(c *expr.Compiler, s string) (Key, error) {
	switch s {
	case "", "global":
		return Key{}, nil
	case "request.ip":
		return Key{Kind: IP}, nil
	case "request.basic_user":
		return Key{Kind: BasicUser}, nil
	case "request.path":
		return Key{Kind: Path}, nil
	}
	for _, k := range []struct {
		head string
		kind KeyKind
	}{{"request.header", Header}, {"request.query", Query}} {
		rest, ok := strings.CutPrefix(s, k.head)
		if !ok || rest != "" && rest[0] != '[' {
			continue
		}
		name, err := index(rest, len(k.head)+1, k.head)
		if err != nil {
			key, wrong := expression(c, s)
			nameless := strings.HasPrefix(rest, `[""]`) || strings.HasPrefix(rest, "['']")
			if errors.Is(err, errLonger) || wrong == nil && !nameless {
				return key, wrong
			}
			return Key{}, err // it says more than CEL does
		}
		if k.kind == Header {
			for i := range len(name) {
				if !isToken(name[i]) {
					return Key{}, placed(len(k.head)+3+i, "%s cannot be in the name of a header", show(name[i:i+1]))
				}
			}
		}
		return Key{Kind: k.kind, Name: name}, nil
	}
	return expression(c, s)
}

// expression reads a key that is not of a simple form.
func expression(c *expr.Compiler, s string) (Key, error) {
	e, err := c.Compile(s, expr.String)
	if err != nil {
		return Key{}, err
	}
	if e.ReadsResponse() {
		return Key{}, placed(1, "a key cannot read the response: it must be known before there is one")
	}
	return Key{Kind: Expression, Expr: e}, nil
}

// Of returns the value of the key for a request. The error is an *expr.Error;
// only an Expression has one.
func (k Key) Of(s *expr.Subject) (string, error) {
	switch k.Kind {
	case IP:
		return s.IP, nil
	case BasicUser:
		return s.BasicUser(), nil
	case Header:
		return s.Header.Get(textproto.CanonicalMIMEHeaderKey(k.Name)), nil
	case Query:
		return s.Query(k.Name), nil
	case Path:
		return s.Path, nil
	case Expression:
		return k.Expr.String(s)
	}
	return "", nil
}

// errLonger says that more follows than the name of an entry.
var errLonger = errors.New("an expression")

// index reads ["name"] or ['name'] at column.
func index(s string, column int, head string) (string, error) {
	if s == "" {
		return "", placed(column, `a name is missing: write %s["name"]`, head)
	}
	if len(s) < 2 || s[1] != '"' && s[1] != '\'' {
		return "", placed(column+1, `a quote is missing: write %s["name"]`, head)
	}
	end := strings.IndexByte(s[2:], s[1])
	if end < 0 {
		return "", placed(column+len(s), "the name is not closed by a quote")
	}
	name, rest := s[2:2+end], s[3+end:]
	if name == "" {
		return "", placed(column+2, "the name is empty")
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] == 0x7f || name[i] == '\\' {
			return "", placed(column+2+i, "control characters and backslashes cannot be in a name")
		}
	}
	if rest != "]" {
		at := column + 3 + end
		if strings.HasPrefix(rest, "]") {
			return "", errLonger
		}
		return "", placed(at, "the bracket is not closed")
	}
	return name, nil
}

// String returns the text that ParseKey reads.
func (k Key) String() string {
	quote := func(name string) string {
		if strings.Contains(name, `"`) {
			return "'" + name + "'"
		}
		return `"` + name + `"`
	}
	switch k.Kind {
	case Global:
		return "global"
	case IP:
		return "request.ip"
	case BasicUser:
		return "request.basic_user"
	case Path:
		return "request.path"
	case Header:
		return "request.header[" + quote(k.Name) + "]"
	case Query:
		return "request.query[" + quote(k.Name) + "]"
	}
	if k.Kind == Expression && k.Expr != nil {
		return k.Expr.Source()
	}
	return fmt.Sprintf("unknown(%s)", strconv.Itoa(int(k.Kind)))
}

// isToken tells whether c may stand in a field name: RFC 9110 §5.6.2.
func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
