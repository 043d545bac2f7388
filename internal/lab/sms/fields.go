package sms

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// nonField is where errors go that belong to no field.
const nonField = "non_field_errors"

// form is a serializer at work: it reads fields of the body and collects what is
// wrong with them, in the order in which they are read.
type form struct {
	fields map[string]any
	errors *object
	failed bool
}

// newForm wants an object.
func newForm(v any) (*form, *refusal) {
	f := &form{errors: newObject()}
	switch v := v.(type) {
	case map[string]any:
		f.fields = v
		return f, nil
	case nil:
		f.wrong(nonField, "No data provided")
	default:
		f.wrong(nonField, "Invalid data. Expected a dictionary, but got "+pyType(v)+".")
	}
	return nil, f.refusal()
}

// wrong notes the errors of a field.
func (f *form) wrong(name string, texts ...string) {
	list := []byte{'['}
	for i, t := range texts {
		if i > 0 {
			list = append(list, ',')
		}
		list = appendString(list, t)
	}
	f.errors.raw(name, append(list, ']'))
	f.failed = true
}

// refusal is the answer 400 with what is wrong, or nil.
func (f *form) refusal() *refusal {
	if !f.failed {
		return nil
	}
	return &refusal{status: http.StatusBadRequest, body: f.errors.done()}
}

// field is a serializer's CharField.
type field struct {
	name       string
	max        int // in characters; 0 means none
	optional   bool
	allowBlank bool
	keepSpace  bool
	check      func(string) string // an error, or ""
}

// text reads a CharField.
func (f *form) text(c field) string {
	v, ok := f.fields[c.name]
	switch {
	case !ok && c.optional:
		return ""
	case !ok:
		f.wrong(c.name, "This field is required.")
		return ""
	case v == nil:
		f.wrong(c.name, "This field may not be null.")
		return ""
	}
	s := ""
	switch v := v.(type) {
	case string:
		s = v
	case pyInt:
		s = string(v)
	case float64:
		s = pyFloat(v)
	default:
		f.wrong(c.name, "Not a valid string.")
		return ""
	}
	if !c.keepSpace {
		s = strings.TrimFunc(s, pySpace)
	}
	if s == "" {
		if !c.allowBlank {
			f.wrong(c.name, "This field may not be blank.")
		}
		return ""
	}
	var wrong []string
	if c.check != nil {
		if text := c.check(s); text != "" {
			wrong = append(wrong, text)
		}
	}
	if c.max > 0 && utf8.RuneCountInString(s) > c.max {
		wrong = append(wrong, "Ensure this field has no more than "+strconv.Itoa(c.max)+" characters.")
	}
	if strings.IndexByte(s, 0) >= 0 {
		wrong = append(wrong, "Null characters are not allowed.")
	}
	if text := surrogate(s); text != "" {
		wrong = append(wrong, text)
	}
	if wrong != nil {
		f.wrong(c.name, wrong...)
		return ""
	}
	return s
}

// surrogate names the first lone surrogate of a parsed string.
func surrogate(s string) string {
	for i, r := range s {
		if r == utf8.RuneError && len(s)-i >= 3 && s[i] == 0xed && s[i+1] >= 0xa0 {
			point := int64(s[i]&0xf)<<12 | int64(s[i+1]&0x3f)<<6 | int64(s[i+2]&0x3f)
			return "Surrogate characters are not allowed: U+" + strings.ToUpper(strconv.FormatInt(point, 16)) + "."
		}
	}
	return ""
}

// key reads a PrimaryKeyRelatedField. shown is how an error names it. When the
// number is beyond 64 bits, id is one that does not exist.
func (f *form) key(name string) (id int64, shown string, refused *refusal) {
	v, ok := f.fields[name]
	if !ok {
		f.wrong(name, "This field is required.")
		return 0, "", nil
	}
	switch v := v.(type) {
	case nil:
		f.wrong(name, "This field may not be null.")
		return 0, "", nil
	case pyInt:
		return clamp(string(v)), string(v), nil
	case float64:
		if v > 1e300 || v < -1e300 {
			if v-v != 0 { // infinite: Python's int() raises what nobody catches
				return 0, "", broken()
			}
		}
		return clamp(strconv.FormatFloat(truncate(v), 'f', 0, 64)), pyFloat(v), nil
	case string:
		if v == "" {
			f.wrong(name, "This field may not be null.")
			return 0, "", nil
		}
		if n, ok := pyAtoi(v); ok {
			return clamp(n), strings.ToValidUTF8(v, "�"), nil
		}
	}
	f.wrong(name, "Incorrect type. Expected pk value, received "+pyType(v)+".")
	return 0, "", nil
}

// noSuchKey is the error for an object that is not there.
func (f *form) noSuchKey(name, shown string) {
	f.wrong(name, `Invalid pk "`+shown+`" - object does not exist.`)
}

func truncate(v float64) float64 {
	if v < 0 {
		return -truncate(-v)
	}
	if v < 1<<53 {
		return float64(int64(v))
	}
	return v
}

// phoneError checks a number: international with a plus, or a Japanese mobile one
// with or without hyphens.
func phoneError(s string) string {
	if rest, ok := strings.CutPrefix(s, "+"); ok {
		if len(rest) >= 7 && len(rest) <= 15 && rest[0] != '0' && digitsOnly(rest) {
			return ""
		}
	} else if len(s) >= 11 && len(s) <= 13 && s[0] == '0' && s[1] >= '6' && s[1] <= '9' && s[2] == '0' {
		rest := strings.TrimPrefix(s[3:], "-")
		if len(rest) > 4 && digitsOnly(rest[:4]) {
			if rest = strings.TrimPrefix(rest[4:], "-"); len(rest) == 4 && digitsOnly(rest) {
				return ""
			}
		}
	}
	return "Enter a valid phone number."
}

func digitsOnly(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// international turns a valid number into the form that SNS takes (E.164).
func international(number string) string {
	if strings.HasPrefix(number, "+") {
		return number
	}
	return "+81" + strings.ReplaceAll(number, "-", "")[1:]
}
