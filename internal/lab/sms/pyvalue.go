package sms

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// pyFloat prints a float as Python's repr does.
func pyFloat(f float64) string {
	if math.IsInf(f, 0) {
		return strings.TrimPrefix(strings.ToLower(fmt.Sprint(f)), "+")
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// pyType is the name of a value's type in Python.
func pyType(v any) string {
	switch v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case pyInt:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case []any:
		return "list"
	}
	return "dict"
}

// pySpace is what Python's str.strip removes.
func pySpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// pyAtoi is Python's int() of a text: spaces around it, a sign, digits of any
// script with single underscores between them. It returns plain digits.
func pyAtoi(s string) (string, bool) {
	s = strings.TrimFunc(s, pySpace)
	out := make([]byte, 0, len(s))
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			out = append(out, '-')
		}
		s = s[1:]
	}
	digit := false // the character before is one
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Nd, r):
			out = append(out, '0'+byte(digitValue(r)))
			digit = true
		case r == '_' && digit:
			digit = false
		default:
			return "", false
		}
	}
	return string(out), digit
}

// digitValue of a decimal digit. The digits of every script stand in blocks of
// ten, which lie side by side in some places.
func digitValue(r rune) rune {
	first := r
	for unicode.Is(unicode.Nd, first-1) {
		first--
	}
	return (r - first) % 10
}

// clamp is a decimal number, or the nearest one that fits.
func clamp(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64) // out of range gives the nearest
	return n
}
