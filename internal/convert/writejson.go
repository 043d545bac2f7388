package convert

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// json writes a JSON value as Starlark.
func (w *writer) json(n *node) expr {
	switch n.kind {
	case isNull:
		return atom("None")
	case isBool:
		if n.text == "true" {
			return atom("True")
		}
		return atom("False")
	case isNumber:
		if hasMark(n.text) {
			return atom("int(" + w.text(n.text) + ")")
		}
		return atom(n.text)
	case isText:
		return atom(w.text(n.text))
	case isList:
		e := expr{open: "[", close: "]"}
		for _, c := range n.items {
			e.items = append(e.items, w.json(c))
		}
		return e
	}
	e := expr{open: "{", close: "}"}
	for i, c := range n.items {
		e.items = append(e.items, w.json(c).led(w.key(n.keys[i])+": "))
	}
	return e
}

// sameJSON says whether a value that is written as Starlark comes out of the
// scenario as it was: same keys once each, same spelling of numbers.
func sameJSON(n *node) bool {
	if n.twice {
		return false
	}
	if n.kind == isNumber && !hasMark(n.text) {
		if _, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return n.text != "-0"
		}
		f, err := strconv.ParseFloat(n.text, 64)
		return err == nil && !math.IsInf(f, 0) && strings.Contains(n.text, ".") && strconv.FormatFloat(f, 'g', -1, 64) == n.text
	}
	for _, c := range n.items {
		if !sameJSON(c) {
			return false
		}
	}
	return true
}

// sharedHeaders are those that every request has with the same value; on_start
// sets them once.
func (w *writer) sharedHeaders() []pair {
	var shared []pair
	first, count := true, 0
	for _, f := range w.functions {
		for _, s := range f.steps {
			if s.call != "" {
				continue
			}
			count++
			if first {
				first = false
				for _, h := range s.headers {
					if !strings.Contains(h.value, string(markOpen)+"user.") && !strings.EqualFold(h.name, "Content-Type") && !strings.EqualFold(h.name, "Referer") {
						shared = append(shared, h)
					}
				}
				continue
			}
			shared = slices.DeleteFunc(shared, func(h pair) bool { return !slices.Contains(s.headers, h) })
		}
	}
	if count < 3 {
		return nil
	}
	return shared
}

// jsonQuote writes a JSON string.
func jsonQuote(s string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always encodes
		return `""`
	}
	return strings.TrimSuffix(out.String(), "\n")
}
