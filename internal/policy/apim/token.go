package apim

import (
	"strings"
	"unicode/utf8"
)

// kind is what a token of C# is.
type kind uint8

const (
	endToken kind = iota
	nameToken
	numberToken
	textToken   // a string without holes; text is its value
	holesToken  // $"...": parts
	letterToken // a character; text is it
	markToken   // an operator or a bracket
)

// token is one token of C#.
type token struct {
	kind  kind
	at    int // offset in the source
	end   int
	text  string
	parts []part
}

// part is a piece of an interpolated string: text, or the source of a hole.
type part struct {
	text string
	hole string
	at   int // of the hole
}

// marks are the operators, longest first.
func marks() []string {
	return []string{
		"??=", "<<=", ">>=", "...", "=>", "??", "?.", "?[", "==", "!=", "<=", ">=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "<<",
		"(", ")", "[", "]", "{", "}", ".", ",", ";", ":", "?", "!", "=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~",
	}
}

// SyntaxError is a C# expression that is not translated.
type SyntaxError struct {
	Offset int    // in the expression, in bytes
	Column int    // in characters from its start, from 1, line ends counted
	Reason string // what is wrong and what to do
}

// Error returns column and reason.
func (e *SyntaxError) Error() string {
	var b strings.Builder
	b.WriteString("column ")
	b.WriteString(itoa(e.Column))
	b.WriteString(": " + e.Reason)
	return b.String()
}

// lex cuts source into tokens. base is added to the offsets.
func (t *translator) lex(source string, base int) []token {
	var out []token
	i := 0
	for i < len(source) {
		c := source[i]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case strings.HasPrefix(source[i:], "//"):
			if n := strings.IndexByte(source[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(source)
			}
			continue
		case strings.HasPrefix(source[i:], "/*"):
			n := strings.Index(source[i+2:], "*/")
			if n < 0 {
				t.fail(base+i, "a comment is not closed")
			}
			i += n + 4
			continue
		}
		k := t.token(source, i, base)
		k.at, k.end = base+i, base+k.end
		i = k.end - base
		out = append(out, k)
		if len(out) > maxNodes {
			t.fail(base+i, "the expression is too long")
		}
	}
	return append(out, token{kind: endToken, at: base + len(source), end: base + len(source)})
}

// token reads the token at i; its end is an offset in source.
func (t *translator) token(source string, i, base int) token {
	c := source[i]
	prefix := 0
	for i+prefix < len(source) && prefix < 2 && (source[i+prefix] == '@' || source[i+prefix] == '$') {
		prefix++
	}
	switch {
	case i+prefix < len(source) && source[i+prefix] == '"':
		return t.str(source, i, prefix, base)
	case c == '@' && i+1 < len(source) && isNameStart(source[i+1]):
		k := t.token(source, i+1, base) // @class is the name class
		return k
	case isNameStart(c):
		end := i
		for end < len(source) && (isNameStart(source[end]) || '0' <= source[end] && source[end] <= '9') {
			end++
		}
		return token{kind: nameToken, text: source[i:end], end: end}
	case '0' <= c && c <= '9':
		end := i
		for end < len(source) && (isNameStart(source[end]) || '0' <= source[end] && source[end] <= '9') {
			end++
		}
		if end+1 < len(source) && source[end] == '.' && '0' <= source[end+1] && source[end+1] <= '9' {
			t.fail(base+i, "a number with a fraction is not translated; counts are whole numbers")
		}
		return token{kind: numberToken, text: source[i:end], end: end}
	case c == '\'':
		n := charLength(source[i:])
		if n < 3 {
			t.fail(base+i, "a character is not closed by a quote; text goes into double quotes")
		}
		text, ok := unescapeString(source[i+1 : i+n-1])
		if !ok || utf8.RuneCountInString(text) != 1 {
			t.fail(base+i, "this is not one character; text goes into double quotes")
		}
		return token{kind: letterToken, text: text, end: i + n}
	}
	for _, m := range marks() {
		if strings.HasPrefix(source[i:], m) {
			if m == "?." && i+2 < len(source) && '0' <= source[i+2] && source[i+2] <= '9' {
				continue // a ?.5 : b
			}
			return token{kind: markToken, text: m, end: i + len(m)}
		}
	}
	t.fail(base+i, "%q does not belong in an expression", firstRune(source[i:]))
	return token{}
}

// str reads a string whose prefix ($, @ or both) is at i.
func (t *translator) str(source string, i, prefix, base int) token {
	marks := source[i : i+prefix]
	end, ok := skipString(source, i+prefix, marks, 0)
	if !ok {
		t.fail(base+i, "this text is not closed by a quote")
	}
	body, at := source[i+prefix+1:end-1], i+prefix+1
	verbatim := strings.Contains(marks, "@")
	plain := func(s string, at int) string {
		if verbatim {
			return strings.ReplaceAll(s, `""`, `"`)
		}
		text, ok := unescapeString(s)
		if !ok {
			t.fail(base+at, "a backslash in this text is not followed by anything that C# knows")
		}
		return text
	}
	if !strings.Contains(marks, "$") {
		return token{kind: textToken, text: plain(body, at), end: end}
	}
	k := token{kind: holesToken, end: end}
	from := 0
	braces := strings.NewReplacer("{{", "{", "}}", "}")
	for j := 0; j < len(body); j++ {
		switch {
		case strings.HasPrefix(body[j:], "{{"), strings.HasPrefix(body[j:], "}}"):
			j++
		case body[j] == '\\' && !verbatim:
			j++
		case body[j] == '{':
			close, ok := skipBrackets(body, j, 0)
			if !ok {
				t.fail(base+at+j, "this { is not closed")
			}
			k.parts = append(k.parts, part{text: braces.Replace(plain(body[from:j], at+from))}, part{hole: body[j+1 : close-1], at: base + at + j + 1})
			j, from = close-1, close
		}
	}
	k.parts = append(k.parts, part{text: braces.Replace(plain(body[from:], at+from))})
	return k
}

// unescapeString replaces the escapes of a C# string.
func unescapeString(s string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i >= len(s) {
			return "", false
		}
		switch s[i] {
		case '\\', '"', '\'':
			b.WriteByte(s[i])
		case '0':
			b.WriteByte(0)
		case 'a':
			b.WriteByte('\a')
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'v':
			b.WriteByte('\v')
		case 'u', 'x', 'U':
			most := map[byte]int{'u': 4, 'x': 4, 'U': 8}[s[i]]
			n := 0
			for n < most && i+1+n < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i+1+n]) >= 0 {
				n++
			}
			if n == 0 || s[i] != 'x' && n < most {
				return "", false
			}
			r, ok := charRef("#x" + strings.TrimLeft(s[i+1:i+n], "0") + s[i+n:i+n+1])
			if !ok {
				return "", false
			}
			b.WriteRune(r)
			i += n
		default:
			return "", false
		}
	}
	return b.String(), true
}
