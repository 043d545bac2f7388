package hit

import (
	"bytes"
	"iter"
)

// Fields is a header block as received: "Name: value" lines, each ended by
// CRLF (a bare LF is tolerated), without the status line. The block ends at the
// first empty line or with the slice. Lines without a colon are skipped; a line
// that starts with a space or a tab continues the one before (the obsolete
// folding of RFC 9112 §5.2) and is joined to it with one space.
//
// The zero value is an empty block. Reading never panics, whatever the bytes.
// Names are compared without regard to ASCII case.
type Fields []byte

// Find returns the value of the first field called name. The bytes are part of
// f unless the field was folded, and must not be changed. It does not allocate
// for a field that is absent or not folded.
func (f Fields) Find(name string) (value []byte, ok bool) {
	for rest := []byte(f); len(rest) > 0; {
		var l line
		l, rest = nextLine(rest)
		if l.end {
			return nil, false
		}
		if l.is(name) {
			return l.unfolded(), true
		}
	}
	return nil, false
}

// Get returns the value of the first field called name, without the white space
// around it, or "" when there is none. It does not allocate when there is none.
func (f Fields) Get(name string) string {
	v, _ := f.Find(name)
	return string(v)
}

// Has tells whether there is a field called name, be its value empty. It does
// not allocate.
func (f Fields) Has(name string) bool {
	for rest := []byte(f); len(rest) > 0; {
		var l line
		l, rest = nextLine(rest)
		if l.end {
			return false
		}
		if l.is(name) {
			return true
		}
	}
	return false
}

// Values returns the values of all fields called name in their order, nil when
// there is none.
func (f Fields) Values(name string) []string {
	var out []string
	for rest := []byte(f); len(rest) > 0; {
		var l line
		l, rest = nextLine(rest)
		if l.end {
			break
		}
		if l.is(name) {
			out = append(out, string(l.unfolded()))
		}
	}
	return out
}

// All yields name and value of every field in order, names as they were written.
func (f Fields) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := []byte(f); len(rest) > 0; {
			var l line
			l, rest = nextLine(rest)
			if l.end {
				return
			}
			if l.name != nil && !yield(string(l.name), string(l.unfolded())) {
				return
			}
		}
	}
}

// Append adds a field to the end of the block and returns the extended block.
// It cannot be used to smuggle a second field: control characters in value
// become spaces, and what may not stand in a name becomes "-". A field with an
// empty name is not added.
func (f Fields) Append(name, value string) Fields {
	if name == "" {
		return f
	}
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c == ':' || c >= 0x7f {
			c = '-'
		}
		f = append(f, c)
	}
	f = append(f, ": "...)
	for i := range len(value) {
		c := value[i]
		if c < ' ' && c != '\t' || c == 0x7f {
			c = ' '
		}
		f = append(f, c)
	}
	return append(f, "\r\n"...)
}

// line is one field of a block. name is nil for a line that is no field.
type line struct {
	name   []byte
	value  []byte // white space trimmed; with line ends inside when folded
	folded bool
	end    bool // the empty line that ends a block
}

// is compares the field's name; a line that is no field has none, not even "".
func (l line) is(name string) bool { return l.name != nil && equalFold(l.name, name) }

// nextLine reads one field with its continuation lines from the start of b.
func nextLine(b []byte) (l line, rest []byte) {
	raw, rest := cutLine(b)
	if len(raw) == 0 {
		return line{end: true}, nil
	}
	start := len(b) - len(rest)
	stop := start
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		_, rest = cutLine(rest)
		stop = len(b) - len(rest)
		l.folded = true
	}
	if l.folded {
		raw = b[:stop]
	}
	colon := bytes.IndexByte(raw, ':')
	// Subtle: a colon found only in a continuation line does not make a field
	// of a line that has none itself.
	if colon <= 0 || l.folded && colon >= start {
		return line{}, rest
	}
	// White space before the colon is an error in RFC 9112 §5.1; it is read as
	// the sender meant it, because this is a measuring tool and no gateway.
	l.name = trim(raw[:colon])
	if len(l.name) == 0 {
		return line{}, rest
	}
	l.value = trim(raw[colon+1:])
	return l, rest
}

// cutLine splits b after its first line end and returns the line without it.
func cutLine(b []byte) (raw, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		raw, rest = b, nil
	} else {
		raw, rest = b[:i], b[i+1:]
	}
	if n := len(raw); n > 0 && raw[n-1] == '\r' {
		raw = raw[:n-1]
	}
	return raw, rest
}

// unfolded returns the value in one line.
func (l line) unfolded() []byte {
	if !l.folded || bytes.IndexByte(l.value, '\n') < 0 {
		return l.value
	}
	out := make([]byte, 0, len(l.value))
	for rest := l.value; len(rest) > 0; {
		var part []byte
		part, rest = cutLine(rest)
		part = trim(part)
		if len(part) == 0 {
			continue
		}
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = append(out, part...)
	}
	return out
}

// trim cuts spaces, tabs and line ends from both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// equalFold compares two names without regard to ASCII case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// containsFold tells whether needle, which must be in lower case, occurs in b
// without regard to ASCII case. An empty needle occurs nowhere.
func containsFold(b []byte, needle string) bool {
	if needle == "" {
		return false
	}
	first := needle[0]
	for i := 0; i+len(needle) <= len(b); i++ {
		if lower(b[i]) == first && equalFold(b[i:i+len(needle)], needle) {
			return true
		}
	}
	return false
}
