package sms

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// refusal is an answer that ends a request early: an APIException of the
// framework.
type refusal struct {
	status int
	body   []byte // JSON
	after  string // Retry-After, or ""
}

// detail is the framework's usual {"detail": …}.
func detail(status int, text string) *refusal {
	b := append([]byte(`{"detail":`), appendString(nil, text)...)
	return &refusal{status: status, body: append(b, '}')}
}

// broken is a view that raised something unforeseen: Django's own 500.
func broken() *refusal { return &refusal{status: http.StatusInternalServerError} }

// htmlPage is the page of django.views.defaults without templates.
func htmlPage(title, text string) []byte {
	return []byte("\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>" + title + "</title>\n</head>\n<body>\n  <h1>" + title + "</h1><p>" + text + "</p>\n</body>\n</html>\n")
}

// Header values are shared between answers: net/http copies them.
var (
	jsonType   = []string{"application/json"}
	htmlType   = []string{"text/html; charset=utf-8"}
	deny       = []string{"DENY"}
	nosniff    = []string{"nosniff"}
	sameOrigin = []string{"same-origin"}
	cookieVary = []string{"Cookie"}
)

// send writes an answer with the headers of Django's standard middleware.
func (x *exchange) send(status int, contentType []string, body []byte) {
	h := x.w.Header()
	if contentType != nil {
		h["Content-Type"] = contentType
	}
	h["X-Frame-Options"] = deny
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = sameOrigin
	h["Cross-Origin-Opener-Policy"] = sameOrigin
	x.sendCookies(h)
	if x.vary {
		h["Vary"] = cookieVary
	}
	x.app.stand.Answer(x.w, x.r, x.fault, status, body)
}

// json writes an answer of the framework, indented when the client asked for it.
func (x *exchange) json(status int, body []byte) {
	if x.allow != nil {
		x.w.Header()["Allow"] = x.allow
	}
	if body == nil {
		x.send(status, nil, nil)
		return
	}
	if x.indent > 0 {
		var b bytes.Buffer
		if json.Indent(&b, body, "", strings.Repeat(" ", x.indent)) == nil {
			body = b.Bytes()
		}
	}
	x.send(status, jsonType, body)
}

// refuse writes a refusal.
func (x *exchange) refuse(f *refusal) {
	if f.body == nil {
		x.send(f.status, htmlType, htmlPage("Server Error (500)", ""))
		return
	}
	if f.after != "" {
		x.w.Header().Set("Retry-After", f.after)
	}
	x.json(f.status, f.body)
}

// object writes JSON objects as the framework renders them: compact, in the order
// of the fields, everything but control characters as it is.
type object struct{ b []byte }

func newObject() *object { return &object{b: make([]byte, 0, 256)} }

func (o *object) key(name string) {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) text(name, v string) *object {
	o.key(name)
	o.b = appendString(o.b, v)
	return o
}

func (o *object) number(name string, v int64) *object {
	o.key(name)
	o.b = strconv.AppendInt(o.b, v, 10)
	return o
}

func (o *object) raw(name string, v []byte) *object {
	o.key(name)
	o.b = append(o.b, v...)
	return o
}

// instant writes a time as the framework does: ISO 8601 in UTC with microseconds
// where there are any.
func (o *object) instant(name string, t time.Time) *object {
	layout := "2006-01-02T15:04:05.000000Z"
	if t.Nanosecond()/1000 == 0 {
		layout = "2006-01-02T15:04:05Z"
	}
	return o.text(name, t.UTC().Format(layout))
}

// orNull writes null for the empty text.
func (o *object) orNull(name, v string) *object {
	if v == "" {
		return o.raw(name, []byte("null"))
	}
	return o.text(name, v)
}

func (o *object) done() []byte { return append(o.b, '}') }

// appendString is json.dumps(ensure_ascii=False), and the two line separators that
// the framework's renderer escapes besides.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == '\u2028' || r == '\u2029':
				b = append(b, `\u202`...)
				b = append(b, hex[r&0xf])
			case r == utf8.RuneError && n == 1:
				b = append(b, "�"...)
			default:
				b = append(b, s[i:i+n]...)
			}
			i += n
			continue
		}
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		default:
			if c < ' ' {
				b = append(b, `\u00`...)
				b = append(b, hex[c>>4], hex[c&0xf])
			} else {
				b = append(b, c)
			}
		}
		i++
	}
	return append(b, '"')
}

// throttled is a refusal by the limit (rest_framework.exceptions.Throttled).
func throttled(after string) *refusal {
	if after == "" {
		return detail(http.StatusTooManyRequests, "Request was throttled.")
	}
	unit := " seconds."
	if after == "1" {
		unit = " second."
	}
	f := detail(http.StatusTooManyRequests, "Request was throttled. Expected available in "+after+unit)
	f.after = after
	return f
}
