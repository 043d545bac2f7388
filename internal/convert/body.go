package convert

import "strings"

// bodyOf reads a body that a source has as text, in the nicest form that gives
// the same on the wire. Whitespace between the parts of a JSON value is not kept.
func (b *builder) bodyOf(contentType, text string) body {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	switch {
	case text == "":
		return body{}
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		// Subtle: an escape could spell a mark; such a body stays as it is.
		odd := strings.Contains(strings.ToLower(text), `\ue0f`)
		if n, err := readJSON("", []byte(text), true); err == nil && !odd && sameJSON(n) && n.kind != isNull {
			return body{json: n}
		}
	case kind == "application/x-www-form-urlencoded":
		if form := pairsOf(text); form != nil {
			return body{form: form}
		}
	}
	return body{raw: &text}
}

// mergeHeaders joins headers of one name, which a dict cannot hold twice.
func (b *builder) mergeHeaders(at *node, headers []pair) []pair {
	var out []pair
	for _, h := range headers {
		found := false
		for i := range out {
			if strings.EqualFold(out[i].name, h.name) {
				out[i].value += ", " + h.value
				found = true
				b.note(at, "the header %s comes twice: its values are joined by a comma", short(h.name, 40))
			}
		}
		if !found {
			out = append(out, h)
		}
	}
	return out
}

// header returns the value of a header and whether it is there.
func header(headers []pair, name string) (string, bool) {
	for _, h := range headers {
		if strings.EqualFold(h.name, name) {
			return h.value, true
		}
	}
	return "", false
}

// goodName says whether a text can be the name of a header.
func goodName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' })
}

// goodValue says whether a text can be the value of a header.
func goodValue(value string) bool { return !strings.ContainsAny(value, "\r\n\x00") }
