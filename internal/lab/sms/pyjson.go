package sms

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file reads JSON as Python's json module does, because Django REST
// Framework's answer to malformed JSON is that module's error message, with its
// line, column and character. testdata/pyjson.json holds it to CPython 3.11.
//
// A value is nil, bool, pyInt, float64, string, []any or map[string]any. A
// string may contain lone surrogates, which Python keeps: each is three bytes as
// if it were an ordinary code point (and so is not valid UTF-8 in Go).

// pyInt is an integer of any size, in decimal as Python prints it.
type pyInt string

// maxDepth bounds nesting. Python's own bound, its recursion limit of 1000, ends
// in a server error; so does this one.
const maxDepth = 900

// errDepth is nesting beyond maxDepth.
var errDepth = errors.New("JSON nested too deeply")

// parseJSON reads raw. Its errors other than errDepth are what Python says.
func parseJSON(raw []byte) (any, error) {
	text, err := decodeUTF8(raw)
	if err != nil {
		return nil, err
	}
	p := pyParser{text: text}
	if len(text) > 0 && text[0] == '\ufeff' {
		return nil, p.wrong("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0)
	}
	p.spaces()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.spaces()
	if p.at < len(text) {
		return nil, p.wrong("Extra data", p.at)
	}
	return v, nil
}

type pyParser struct {
	text []rune
	at   int
}

// wrong is a JSONDecodeError at a character.
func (p *pyParser) wrong(what string, at int) error {
	line, column := 1, at+1
	for i := range min(at, len(p.text)) {
		if p.text[i] == '\n' {
			line, column = line+1, at-i
		}
	}
	return fmt.Errorf("%s: line %d column %d (char %d)", what, line, column, at)
}

// peek is the character at the place, or -1 at the end.
func (p *pyParser) peek() rune {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return -1
}

func (p *pyParser) spaces() {
	for p.at < len(p.text) && strings.ContainsRune(" \t\n\r", p.text[p.at]) {
		p.at++
	}
}

func (p *pyParser) has(word string) bool {
	if len(p.text)-p.at < len(word) {
		return false
	}
	for i := range len(word) {
		if p.text[p.at+i] != rune(word[i]) {
			return false
		}
	}
	return true
}

func (p *pyParser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch p.peek() {
	case '"':
		p.at++
		return p.string()
	case '{':
		p.at++
		return p.object(depth)
	case '[':
		p.at++
		return p.array(depth)
	}
	for _, w := range []struct {
		word  string
		value any
	}{{"null", nil}, {"true", true}, {"false", false}} {
		if p.has(w.word) {
			p.at += len(w.word)
			return w.value, nil
		}
	}
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if p.has(word) {
			// The framework's strict setting.
			return nil, fmt.Errorf("%s: '%s'", "Out of range float values are not JSON compliant", word)
		}
	}
	return p.number()
}

func (p *pyParser) object(depth int) (any, error) {
	out := map[string]any{}
	p.spaces()
	if p.peek() == '}' {
		p.at++
		return out, nil
	}
	for {
		if p.peek() != '"' {
			return nil, p.wrong("Expecting property name enclosed in double quotes", p.at)
		}
		p.at++
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		p.spaces()
		if p.peek() != ':' {
			return nil, p.wrong("Expecting ':' delimiter", p.at)
		}
		p.at++
		p.spaces()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out[key] = v
		p.spaces()
		if p.peek() == '}' {
			p.at++
			return out, nil
		}
		if p.peek() != ',' {
			return nil, p.wrong("Expecting ',' delimiter", p.at)
		}
		p.at++
		p.spaces()
	}
}

func (p *pyParser) array(depth int) (any, error) {
	out := []any{}
	p.spaces()
	if p.peek() == ']' {
		p.at++
		return out, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		p.spaces()
		if p.peek() == ']' {
			p.at++
			return out, nil
		}
		if p.peek() != ',' {
			return nil, p.wrong("Expecting ',' delimiter", p.at)
		}
		p.at++
		p.spaces()
	}
}

// string reads what follows an opening quote.
func (p *pyParser) string() (string, error) {
	begin := p.at - 1
	var out []byte
	for {
		c := p.peek()
		switch {
		case c == -1:
			return "", p.wrong("Unterminated string starting at", begin)
		case c == '"':
			p.at++
			return string(out), nil
		case c <= 0x1f:
			return "", p.wrong("Invalid control character at", p.at)
		case c != '\\':
			out = utf8.AppendRune(out, c)
			p.at++
			continue
		}
		p.at++
		c = p.peek()
		if c == -1 {
			return "", p.wrong("Unterminated string starting at", begin)
		}
		p.at++
		if c == 'u' {
			r, ok := p.hex(p.at)
			if !ok {
				return "", p.wrong("Invalid \\uXXXX escape", p.at-1)
			}
			p.at += 4
			if r >= 0xd800 && r <= 0xdbff && p.at+6 < len(p.text) && p.text[p.at] == '\\' && p.text[p.at+1] == 'u' {
				low, ok := p.hex(p.at + 2)
				if !ok {
					return "", p.wrong("Invalid \\uXXXX escape", p.at+1)
				}
				if low >= 0xdc00 && low <= 0xdfff {
					r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
					p.at += 6
				}
			}
			out = appendCodePoint(out, r)
			continue
		}
		i := strings.IndexRune(`"\/bfnrt`, c)
		if i < 0 {
			return "", p.wrong("Invalid \\escape", p.at-2)
		}
		out = append(out, "\"\\/\b\f\n\r\t"[i])
	}
}

// hex reads four digits. Like Python it wants one character after them.
func (p *pyParser) hex(at int) (rune, bool) {
	if at+4 >= len(p.text) {
		return 0, false
	}
	n := rune(0)
	for _, c := range p.text[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | (c - '0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | (c - 'a' + 10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | (c - 'A' + 10)
		default:
			return 0, false
		}
	}
	return n, true
}

// appendCodePoint is utf8.AppendRune that keeps surrogates.
func appendCodePoint(b []byte, r rune) []byte {
	if r >= 0xd800 && r <= 0xdfff {
		return append(b, byte(0xe0|r>>12), byte(0x80|r>>6&0x3f), byte(0x80|r&0x3f))
	}
	return utf8.AppendRune(b, r)
}

func (p *pyParser) number() (any, error) {
	start, text := p.at, p.text
	digits := func() bool {
		from := p.at
		for p.at < len(text) && text[p.at] >= '0' && text[p.at] <= '9' {
			p.at++
		}
		return p.at > from
	}
	if p.peek() == '-' {
		p.at++
	}
	switch {
	case p.peek() == '0':
		p.at++
	case !digits():
		p.at = start
		return nil, p.wrong("Expecting value", start)
	}
	whole := p.at
	float := false
	if p.peek() == '.' {
		p.at++
		if float = digits(); !float {
			p.at = whole
		}
	}
	if mark := p.at; p.peek() == 'e' || p.peek() == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if digits() {
			float = true
		} else {
			p.at = mark
		}
	}
	word := string(text[start:p.at])
	if !float {
		if word == "-0" {
			word = "0"
		}
		return pyInt(word), nil
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return nil, p.wrong("Expecting value", start)
	}
	return f, nil
}
