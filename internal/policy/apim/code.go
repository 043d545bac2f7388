package apim

import "strings"

// startsCode tells whether an expression begins here: @( or @{.
func startsCode(s string) bool {
	return strings.HasPrefix(s, "@(") || strings.HasPrefix(s, "@{")
}

// skipCode returns where the expression that begins at s[i] ends, just behind
// its last bracket. It matches brackets outside strings, characters and
// comments. Quotes may be written as entities, since one file has both forms.
// When the end is not found, ok is false and end the place that is to blame.
func skipCode(s string, i int) (end int, ok bool) {
	return skipBrackets(s, i+1, 0)
}

// skipBrackets returns the place behind the bracket that closes s[i].
func skipBrackets(s string, i, depth int) (end int, ok bool) {
	if depth > maxDepth {
		return i, false
	}
	start := i
	var open []byte
	for i < len(s) {
		if n := quoteAt(s, i); n > 0 {
			if i, ok = skipString(s, i, "", depth); !ok {
				return i, false
			}
			continue
		}
		switch c := s[i]; c {
		case '@', '$':
			n := 1
			if i+1 < len(s) && (s[i+1] == '@' || s[i+1] == '$') {
				n = 2
			}
			if quoteAt(s, i+n) > 0 {
				if i, ok = skipString(s, i+n, s[i:i+n], depth); !ok {
					return i, false
				}
				continue
			}
		case '\'':
			i += charLength(s[i:]) - 1
		case '&':
			if strings.HasPrefix(s[i:], "&apos;") {
				i += len("&apos;") - 1 // a character between two of these has no bracket worth matching
			}
		case '/':
			if strings.HasPrefix(s[i:], "//") {
				n := strings.IndexByte(s[i:], '\n')
				if n < 0 {
					return i, false
				}
				i += n
			} else if strings.HasPrefix(s[i:], "/*") {
				n := strings.Index(s[i+2:], "*/")
				if n < 0 {
					return i, false
				}
				i += n + 3
			}
		case '(', '[', '{':
			if len(open) >= maxDepth {
				return i, false
			}
			open = append(open, c)
		case ')', ']', '}':
			if len(open) == 0 || closer(open[len(open)-1]) != c {
				return i, false
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return i + 1, true
			}
		}
		i++
	}
	return start, false
}

func closer(open byte) byte {
	switch open {
	case '(':
		return ')'
	case '[':
		return ']'
	}
	return '}'
}

// quoteAt returns the length of the quotation mark at s[i], 0 when there is none.
func quoteAt(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '"':
		return 1
	case strings.HasPrefix(s[i:], "&quot;"):
		return len("&quot;")
	case strings.HasPrefix(s[i:], "&#34;"):
		return len("&#34;")
	}
	return 0
}

// charLength returns the length of the character literal that s begins with, or
// 1 when it is none.
func charLength(s string) int {
	i := 1
	if strings.HasPrefix(s, `'\`) {
		i = 3
	} else {
		for i < len(s) && i < 8 && s[i] != '\'' && s[i] != '\n' {
			i++
		}
	}
	for j := i; j < len(s) && j < i+6; j++ {
		if s[j] == '\'' {
			return j + 1
		}
	}
	return 1
}

// skipString returns the place behind the string whose opening quote is s[i].
// prefix is "", "@", "$" or both.
func skipString(s string, i int, prefix string, depth int) (end int, ok bool) {
	start := i
	verbatim, holes := strings.Contains(prefix, "@"), strings.Contains(prefix, "$")
	i += quoteAt(s, i)
	for i < len(s) {
		if n := quoteAt(s, i); n > 0 {
			if m := quoteAt(s, i+n); verbatim && m > 0 {
				i += n + m
				continue
			}
			return i + n, true
		}
		switch c := s[i]; {
		case c == '\\' && !verbatim:
			i++
			if n := quoteAt(s, i); n > 0 {
				i += n
				continue
			}
		case c == '\n' && !verbatim:
			return start, false
		case c == '{' && holes:
			if i+1 < len(s) && s[i+1] == '{' {
				i++
				break
			}
			if i, ok = skipBrackets(s, i, depth+1); !ok {
				return i, false
			}
			continue
		}
		i++
	}
	return start, false
}

// unescape replaces the entities of XML. What is no entity stays as it is: && and
// & are common in raw expressions.
func unescape(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		text, n := entity(s)
		b.WriteString(text)
		s = s[n:]
	}
	return b.String()
}

// entity returns the text at the beginning of s up to its next piece: a decoded
// entity, or everything before the next &. n is how much of s that was.
func entity(s string) (text string, n int) {
	if s[0] != '&' {
		if n = strings.IndexByte(s, '&'); n < 0 {
			n = len(s)
		}
		return s[:n], n
	}
	end := strings.IndexByte(s, ';')
	if end < 2 || end > 10 {
		return "&", 1
	}
	switch name := s[1:end]; name {
	case "lt":
		return "<", end + 1
	case "gt":
		return ">", end + 1
	case "amp":
		return "&", end + 1
	case "quot":
		return `"`, end + 1
	case "apos":
		return "'", end + 1
	default:
		if r, ok := charRef(name); ok {
			return string(r), end + 1
		}
	}
	return "&", 1
}

// charRef reads #34 and #x22.
func charRef(name string) (rune, bool) {
	if len(name) < 2 || name[0] != '#' {
		return 0, false
	}
	digits, base := name[1:], rune(10)
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	if digits == "" {
		return 0, false
	}
	var r rune
	for i := range len(digits) {
		d := strings.IndexByte("0123456789abcdef", digits[i]|0x20)
		if digits[i] >= '0' && digits[i] <= '9' {
			d = int(digits[i] - '0')
		}
		if d < 0 || rune(d) >= base {
			return 0, false
		}
		if r = r*base + rune(d); r > 0x10ffff {
			return 0, false
		}
	}
	if r == 0 || r >= 0xd800 && r < 0xe000 {
		return 0, false
	}
	return r, true
}

// rawOffset returns where in raw the byte at offset of unescape(raw) comes from.
func rawOffset(raw string, offset int) int {
	at := 0
	for at < len(raw) && offset > 0 {
		text, n := entity(raw[at:])
		if offset < len(text) {
			if text == raw[at:at+n] {
				at += offset
			}
			return at
		}
		offset -= len(text)
		at += n
	}
	return at
}
