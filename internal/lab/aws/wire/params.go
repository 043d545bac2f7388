package wire

import (
	"encoding/json"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Params reads the members of a structure. A member that is not there reads as the
// zero value; one of the wrong type does too, and is remembered: ask Err before
// acting on what was read. Not safe for concurrent use.
type Params struct {
	fields map[string]any
	path   string
	err    *error
}

func params(fields map[string]any) Params { return Params{fields: fields, err: new(error)} }

// NewParams is for callers that have a structure and no request, such as tests.
func NewParams(fields map[string]any) Params { return params(fields) }

// Err is the first member that had a wrong type, here or in a structure within.
func (p Params) Err() error {
	if p.err == nil {
		return nil
	}
	return *p.err
}

func (p Params) wrong(name, want string) {
	if p.err != nil && *p.err == nil {
		*p.err = Failf("SerializationException", "", "%s%s: want %s", p.path, name, want)
	}
}

// Has says whether a member is there.
func (p Params) Has(name string) bool { v, ok := p.fields[name]; return ok && v != nil }

// String reads a text.
func (p Params) String(name string) string {
	switch v := p.fields[name].(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	p.wrong(name, "a text")
	return ""
}

// Float reads a number, which may be NaN or infinite.
func (p Params) Float(name string) float64 {
	f, ok := number(p.fields[name])
	if !ok {
		p.wrong(name, "a number")
	}
	return f
}

// Int reads a whole number.
func (p Params) Int(name string) int64 {
	if n, ok := p.fields[name].(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			return i
		}
	}
	f, ok := number(p.fields[name])
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		p.wrong(name, "a whole number")
		return 0
	}
	return int64(f)
}

// Bool reads a truth value.
func (p Params) Bool(name string) bool {
	switch v := p.fields[name].(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b
		}
	}
	p.wrong(name, "true or false")
	return false
}

// Time reads an instant: a CBOR tag, seconds since the epoch, or ISO 8601. The zero
// Time means that there is none.
func (p Params) Time(name string) time.Time {
	switch v := p.fields[name].(type) {
	case nil:
		return time.Time{}
	case time.Time:
		return v
	case string:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-01-02T15:04:05Z0700"} {
			if t, err := time.Parse(layout, v); err == nil {
				return t
			}
		}
	}
	if f, ok := number(p.fields[name]); ok {
		if t, ok := fromSeconds(f); ok {
			return t
		}
	}
	p.wrong(name, "an instant")
	return time.Time{}
}

// fromSeconds is exact to the millisecond, which is what the services keep.
func fromSeconds(f float64) (time.Time, bool) {
	if !(math.Abs(f) < 253402300800) { // the year 10000; NaN fails too
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), true
}

// number reads a number of any protocol; nil is 0.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case nil:
		return 0, true
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string: // Query, and "NaN" in JSON
		f, err := strconv.ParseFloat(v, 64)
		if err != nil && !math.IsInf(f, 0) {
			return 0, false
		}
		return f, true
	}
	return 0, false
}

func (p Params) list(name string) []any {
	switch v := p.fields[name].(type) {
	case nil:
		return nil
	case []any:
		return v
	case string:
		if v == "" { // Query writes an empty list so
			return nil
		}
	}
	p.wrong(name, "a list")
	return nil
}

// Len is the length of a list.
func (p Params) Len(name string) int { return len(p.list(name)) }

// Strings reads a list of texts.
func (p Params) Strings(name string) []string {
	var out []string
	for i, v := range p.list(name) {
		s, ok := v.(string)
		if !ok {
			p.wrong(name+"["+strconv.Itoa(i)+"]", "a text")
			return nil
		}
		out = append(out, s)
	}
	return out
}

// Floats reads a list of numbers.
func (p Params) Floats(name string) []float64 {
	var out []float64
	for i, v := range p.list(name) {
		f, ok := number(v)
		if !ok || v == nil {
			p.wrong(name+"["+strconv.Itoa(i)+"]", "a number")
			return nil
		}
		out = append(out, f)
	}
	return out
}

// List reads a list of structures.
func (p Params) List(name string) []Params {
	var out []Params
	for i, v := range p.list(name) {
		path := p.path + name + "[" + strconv.Itoa(i) + "]."
		fields, ok := v.(map[string]any)
		if !ok {
			p.wrong(name+"["+strconv.Itoa(i)+"]", "a structure")
			return nil
		}
		out = append(out, Params{fields, path, p.err})
	}
	return out
}

// Struct reads a structure within; it has no members when it is not there.
func (p Params) Struct(name string) Params {
	fields, ok := p.fields[name].(map[string]any)
	if !ok && p.Has(name) {
		p.wrong(name, "a structure")
	}
	return Params{fields, p.path + name + ".", p.err}
}

// Entries reads a map of texts: an object, or in Query a list of key and value (or
// Name and Value).
func (p Params) Entries(name string) map[string]string {
	out := map[string]string{}
	if p.Has(name) {
		if _, ok := p.fields[name].(map[string]any); ok {
			inner := p.Struct(name)
			for _, k := range inner.Names() {
				out[k] = inner.String(k)
			}
			return out
		}
	}
	for _, e := range p.List(name) {
		key, value := e.String("key"), e.String("value")
		if e.Has("Name") {
			key, value = e.String("Name"), e.String("Value")
		}
		out[key] = value
	}
	return out
}

// Names lists the members, sorted.
func (p Params) Names() []string {
	out := make([]string, 0, len(p.fields))
	for k := range p.fields {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// unflatten makes a tree of a form: "A.member.2.B=x" becomes A[1].B. Numbers make
// lists, and the words "member" and "entry" before them say nothing.
func unflatten(form map[string][]string) (map[string]any, error) {
	root := map[string]any{}
	for key, values := range form {
		if len(values) > 1 {
			return nil, Failf("MalformedQueryString", "", "the parameter %s comes twice", short(key))
		}
		parts := strings.Split(key, ".")
		if len(parts) > maxDepth {
			return nil, Failf("MalformedQueryString", "", "the parameter %s is nested too deeply", short(key))
		}
		at := root
		for i, part := range parts {
			if i == len(parts)-1 {
				if _, taken := at[part]; taken {
					return nil, Failf("MalformedQueryString", "", "the parameter %s is a value and a structure at once", short(key))
				}
				at[part] = values[0]
				break
			}
			next, ok := at[part].(map[string]any)
			if !ok {
				if _, taken := at[part]; taken {
					return nil, Failf("MalformedQueryString", "", "the parameter %s is a value and a structure at once", short(key))
				}
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
	}
	out, _ := fold(root).(map[string]any)
	return out, nil
}

// fold turns structures whose members are all numbers into lists.
func fold(v any) any {
	fields, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if len(fields) == 1 {
		for _, word := range []string{"member", "entry"} {
			if inner, ok := fields[word]; ok {
				if list, ok := fold(inner).([]any); ok {
					return list
				}
			}
		}
	}
	var places []int
	for k := range fields {
		n, err := strconv.Atoi(k)
		if err != nil || n < 0 || strconv.Itoa(n) != k {
			places = nil
			break
		}
		places = append(places, n)
	}
	if len(places) > 0 {
		sort.Ints(places)
		list := make([]any, 0, len(places))
		for _, n := range places {
			list = append(list, fold(fields[strconv.Itoa(n)]))
		}
		return list
	}
	for k, inner := range fields {
		fields[k] = fold(inner)
	}
	return fields
}
