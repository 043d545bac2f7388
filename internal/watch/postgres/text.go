package postgres

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// statementLength is how much of a statement is shown.
const statementLength = 120

// reason is what the network said, without the addresses around it; "" when it
// was not the network.
func reason(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "there is no host of this name"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return ""
}

// hide removes a password, as it is and as it stands in a URL.
func hide(text, password string) string {
	if password == "" {
		return text
	}
	for _, p := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
		text = strings.ReplaceAll(text, p, "***")
	}
	return text
}

// oneLine makes runs of white space and control characters one space, and cuts.
func oneLine(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// withoutValues writes ? for every literal of an SQL statement and leaves
// comments out, then makes one line of it. What a session is just doing comes
// with its values, and those are somebody's data. Statements that do not end (the
// server cuts them) are read to their end; what is not understood is taken for a value.
func withoutValues(sql string) string {
	var b strings.Builder
	for i := 0; i < len(sql); {
		c := sql[i]
		rest := sql[i:]
		switch {
		case c == '\'':
			i += quoted(rest, escaping(sql[:i]))
			dropPrefix(&b)
			b.WriteByte('?')
		case c == '"':
			n := quotedName(rest)
			b.WriteString(rest[:n])
			i += n
		case strings.HasPrefix(rest, "--"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			i += n
			b.WriteByte(' ')
		case strings.HasPrefix(rest, "/*"):
			i += comment(rest)
			b.WriteByte(' ')
		case c == '$' && !inWord(sql, i):
			if n := dollarQuoted(rest); n > 0 {
				i += n
				b.WriteByte('?')
				continue
			}
			n := 1
			for n < len(rest) && digit(rest[n]) {
				n++ // $1 is no value
			}
			b.WriteString(rest[:n])
			i += n
		case digit(c) && !inWord(sql, i):
			n := 1
			for n < len(rest) && (wordByte(rest[n]) || rest[n] == '.' || (rest[n] == '+' || rest[n] == '-') && (rest[n-1] == 'e' || rest[n-1] == 'E')) {
				n++
			}
			b.WriteByte('?')
			i += n
		default:
			b.WriteByte(c)
			i++
		}
	}
	return oneLine(b.String(), statementLength)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func wordByte(c byte) bool {
	return digit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

// inWord says that the byte at i goes on with a name.
func inWord(sql string, i int) bool {
	return i > 0 && (wordByte(sql[i-1]) || sql[i-1] == '$')
}

// escaping says that the literal which follows has backslashes: E'…'.
func escaping(before string) bool {
	n := len(before)
	return n > 0 && (before[n-1] == 'E' || before[n-1] == 'e') && !inWord(before, n-1)
}

// dropPrefix takes back the E, B, X or N that belonged to a literal.
func dropPrefix(b *strings.Builder) {
	s := b.String()
	if n := len(s); n > 0 && strings.IndexByte("EeBbXxNn", s[n-1]) >= 0 && !inWord(s, n-1) {
		b.Reset()
		b.WriteString(s[:n-1])
	}
}

// quoted returns the length of the literal at the start of s. Whether \' ends one
// without E depends on a setting of the session, so everything after it is taken
// for a value.
func quoted(s string, backslash bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && backslash:
			i++
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '\'':
			return len(s)
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == '\'':
			return i + 1
		}
	}
	return len(s)
}

func quotedName(s string) int {
	if end := strings.IndexByte(s[1:], '"'); end >= 0 {
		return end + 2
	}
	return len(s)
}

// comment returns the length of the comment at the start of s; comments nest.
func comment(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// dollarQuoted returns the length of the literal $tag$…$tag$ at the start of s,
// 0 when there is none.
func dollarQuoted(s string) int {
	end := strings.IndexByte(s[1:], '$')
	if end < 0 {
		return 0
	}
	tag := s[:end+2]
	for i := 1; i < len(tag)-1; i++ {
		if !wordByte(tag[i]) || i == 1 && digit(tag[i]) {
			return 0
		}
	}
	if stop := strings.Index(s[len(tag):], tag); stop >= 0 {
		return len(tag) + stop + len(tag)
	}
	return len(s)
}
