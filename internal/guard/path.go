package guard

import (
	"path"
	"strings"
)

// Path returns the path of a request as policies compare it: with letters,
// digits and -._~ not escaped (RFC 3986 §6.2.2.2), dot segments removed
// (§6.2.2.3) and runs of slashes made one. Servers take those for the same path,
// so a client must not get another limit by writing it differently. sent is the
// path as it was sent, with or without a query.
func Path(sent string) string {
	sent, _, _ = strings.Cut(sent, "?")
	if sent == "" {
		return "/"
	}
	if !strings.Contains(sent, "%") && !strings.Contains(sent, "//") && !strings.Contains(sent, "/.") {
		return sent
	}
	sent = plain(sent)
	clean := path.Clean("/" + sent)
	if clean != "/" && (strings.HasSuffix(sent, "/") || strings.HasSuffix(sent, "/.") || strings.HasSuffix(sent, "/..")) {
		clean += "/"
	}
	return clean
}

// plain resolves the escapes that need not be, and writes the others one way.
func plain(p string) string {
	if !strings.Contains(p, "%") {
		return p
	}
	digit := func(c byte) int {
		if 'A' <= c && c <= 'F' {
			c += 'a' - 'A'
		}
		return strings.IndexByte("0123456789abcdef", c)
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] != '%' || i+2 >= len(p) || digit(p[i+1]) < 0 || digit(p[i+2]) < 0 {
			b.WriteByte(p[i])
			continue
		}
		c := byte(digit(p[i+1])<<4 | digit(p[i+2]))
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString(strings.ToUpper(p[i : i+3]))
		}
		i += 2
	}
	return b.String()
}
