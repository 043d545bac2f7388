package script

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	sjson "go.starlark.net/lib/json"
	"go.starlark.net/starlark"
)

const maxJSONDepth = 500

// decodeJSON turns JSON into dicts, lists and so on.
func decodeJSON(t *starlark.Thread, text starlark.String) (starlark.Value, error) {
	if len(text) > maxJSONDepth && tooDeep(string(text)) {
		return nil, errDeep
	}
	return sjson.Module.Members["decode"].(*starlark.Builtin).CallInternal(t, starlark.Tuple{text}, nil)
}

var errDeep = fmt.Errorf("the JSON is nested more than %d deep", maxJSONDepth)

// tooDeep looks at the brackets before the decoder, which calls itself for each.
func tooDeep(text string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > maxJSONDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// appendJSON appends v as JSON without spaces, keys in the order of the dict.
func appendJSON(b []byte, v starlark.Value, depth int) ([]byte, error) {
	if depth > maxJSONDepth {
		return b, errors.New("json: the value is nested too deeply, or within itself")
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return append(b, "null"...), nil
	case starlark.Bool:
		return strconv.AppendBool(b, bool(v)), nil
	case starlark.String:
		return appendQuoted(b, string(v)), nil
	case starlark.Int:
		if n, ok := v.Int64(); ok {
			return strconv.AppendInt(b, n, 10), nil
		}
		return append(b, v.String()...), nil
	case starlark.Float:
		f := float64(v)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return b, fmt.Errorf("json: %s cannot be written in JSON", v)
		}
		from := len(b)
		b = strconv.AppendFloat(b, f, 'g', -1, 64)
		if !bytes.ContainsAny(b[from:], ".e") {
			b = append(b, ".0"...) // 2.0 stays a number with a fraction, as in Python
		}
		return b, nil
	case starlark.IterableMapping:
		b = append(b, '{')
		for i, kv := range v.Items() {
			key, ok := kv[0].(starlark.String)
			if !ok {
				return b, fmt.Errorf("json: the key %s is a %s, want a text", kv[0], kv[0].Type())
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = appendQuoted(b, string(key))
			b = append(b, ':')
			var err error
			if b, err = appendJSON(b, kv[1], depth+1); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	case starlark.Iterable:
		b = append(b, '[')
		first := true
		for e := range starlark.Elements(v) {
			if !first {
				b = append(b, ',')
			}
			first = false
			var err error
			if b, err = appendJSON(b, e, depth+1); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	}
	return b, fmt.Errorf("json: a %s cannot be written in JSON", v.Type())
}

// appendQuoted appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			b = append(append(b, s[done:i]...), "\ufffd"...)
			i++
			done = i
			continue
		}
		b = append(b, s[done:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		done = i
	}
	return append(append(b, s[done:]...), '"')
}
