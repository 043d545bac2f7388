package policy

import "strings"

// Match selects requests by method and path. The zero value selects all.
type Match struct {
	Methods []string // any of these; any method when empty
	// Path is a pattern that starts with "/", "" for any path. A segment "*" or
	// "{name}" stands for any one segment that is not empty, a last segment "**"
	// for any number of them, none included. All else stands for itself; case
	// matters.
	Path string
}

// ParseMatch reads the text form: "POST /oauth2/token", "GET,HEAD /api/*",
// "/files/**", "* /x" and "DELETE". The error begins with the column.
func ParseMatch(s string) (Match, error) {
	var m Match
	methods, path, both := strings.Cut(s, " ")
	if !both && strings.HasPrefix(s, "/") {
		methods, path = "", s
	}
	at := len(methods) + 2
	if methods == "" {
		at = 1
		if both {
			return m, placed(1, "starts with a space; write METHOD /path")
		}
		if path == "" {
			return m, placed(1, `empty; write for example "POST /oauth2/token", or leave match out for every request`)
		}
	}
	column := 1
	for _, method := range strings.Split(methods, ",") {
		if methods == "" || methods == "*" {
			break
		}
		for i := range len(method) {
			if c := method[i]; (c < 'A' || c > 'Z') && c != '-' && c != '_' {
				return m, placed(column+i, "a method has capital letters only; write for example POST or GET,HEAD, then a space and the path")
			}
		}
		if method == "" {
			return m, placed(column, "a method is missing beside the comma")
		}
		m.Methods = append(m.Methods, method)
		column += len(method) + 1
	}
	if !both && path == "" {
		return m, nil // methods alone
	}
	if !strings.HasPrefix(path, "/") {
		return m, placed(at, `a path starts with "/"`)
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return m, placed(at+i, "a path has no query; match does not look at it")
	}
	for i := range len(path) {
		if path[i] <= ' ' || path[i] == 0x7f {
			return m, placed(at+i, "a path has no white space; write it as %%20")
		}
	}
	segments := strings.Split(path[1:], "/")
	column = at + 1
	for i, segment := range segments {
		named := strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") && strings.Count(segment, "{")+strings.Count(segment, "}") == 2
		switch {
		case segment == "**" && i < len(segments)-1:
			return m, placed(column, "** stands for the rest of the path and must be its last segment")
		case segment == "*", segment == "**", named:
		case strings.ContainsAny(segment, "*{}"):
			return m, placed(column+strings.IndexAny(segment, "*{}"), "* and {name} stand for a whole segment; a part of one cannot be left open")
		}
		column += len(segment) + 1
	}
	m.Path = path
	return m, nil
}

// String returns the text that ParseMatch reads. Of the zero value it is "*".
func (m Match) String() string {
	switch {
	case len(m.Methods) == 0 && m.Path == "":
		return "*"
	case len(m.Methods) == 0:
		return m.Path
	case m.Path == "":
		return strings.Join(m.Methods, ",")
	}
	return strings.Join(m.Methods, ",") + " " + m.Path
}

// Matches tells whether a request with this method and path is selected. It
// does not allocate.
func (m *Match) Matches(method, path string) bool {
	if len(m.Methods) > 0 {
		found := false
		for _, one := range m.Methods {
			found = found || one == method
		}
		if !found {
			return false
		}
	}
	return m.Path == "" || matchPath(m.Path, path)
}

func matchPath(pattern, path string) bool {
	for {
		// Both start with the "/" of their next segment, or are at their end.
		if pattern == "" || path == "" {
			return pattern == path || path == "" && pattern == "/**"
		}
		if pattern[0] != '/' || path[0] != '/' {
			return false
		}
		want, restPattern := segment(pattern[1:])
		have, restPath := segment(path[1:])
		switch {
		case want == "**":
			return true
		case want == "*" || strings.HasPrefix(want, "{"):
			if have == "" {
				return false
			}
		case want != have:
			return false
		}
		pattern, path = restPattern, restPath
	}
}

// segment cuts s before its first "/".
func segment(s string) (first, rest string) {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
