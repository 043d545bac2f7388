package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// Key says what a policy counts by. The zero value is Global.
type Key struct {
	Kind KeyKind
	Name string // of the header or the query parameter; "" for the other kinds
}

// KeyKind is a part of a request.
type KeyKind uint8

const (
	Global    KeyKind = iota // one counter for every request
	IP                       // the client's address
	BasicUser                // the user of HTTP Basic authentication: an OAuth client's id
	Header                   // the first value of a header
	Query                    // the first value of a query parameter
	Path                     // the path of the request
)

// supported is what an error lists.
const supported = `global, request.ip, request.basic_user, request.path, request.header["Name"], request.query["name"]`

// ParseKey reads the text form, one of: global (or nothing), request.ip,
// request.basic_user, request.path, request.header["X-Api-Key"],
// request.query["tenant"]. The error begins with the column and says what is supported.
func ParseKey(s string) (Key, error) {
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
			return Key{}, err
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
	at := 1
	if strings.HasPrefix(s, "request.") {
		at = len("request.") + 1
	}
	return Key{}, placed(at, "the key %s is not understood; supported are %s", show(s), supported)
}

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
			return "", placed(at+1, "nothing can follow the name; supported are %s", supported)
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
	return fmt.Sprintf("unknown(%s)", strconv.Itoa(int(k.Kind)))
}

// isToken tells whether c may stand in a field name: RFC 9110 §5.6.2.
func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
