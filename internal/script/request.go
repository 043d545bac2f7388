package script

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
)

const (
	// keptBody is the most memory a user keeps for making and reading bodies.
	keptBody = 4 << 10
	// maxBody bounds the body of a request.
	maxBody = 256 << 20
)

// send makes the request, sends it and returns its *response.
func (u *user) send(verb string, p *params) (starlark.Value, error) {
	if err := u.build(verb, p); err != nil {
		return nil, fmt.Errorf("%s %s: %w", verb, limit(p.url, 100), err)
	}
	if u.last != nil {
		u.last.keep()
		u.last, u.mark = nil, nil
	}
	if p.timeout > 0 || p.noFollow {
		u.wire.Tune(p.timeout, p.noFollow)
	}
	u.sent++
	r := u.receive(u.s.Send(&u.req))
	if p.cookies != nil {
		u.wire.jar.Extra("", nil)
	}
	if cap(u.body) > keptBody {
		u.body = nil
	}
	if r == nil {
		return nil, errOver
	}
	return r, nil
}

// build fills in u.req.
func (u *user) build(verb string, p *params) error {
	u.req = hit.Request{Method: verb, Replay: p.replay}
	if err := u.address(p); err != nil {
		return err
	}
	u.fields = u.fields[:0]
	if u.headed != nil {
		u.fields = append(u.fields, u.headed.fields...)
	}
	if err := u.putHeaders(p.headers); err != nil {
		return err
	}
	u.body = u.body[:0]
	contentType, err := u.putBody(p)
	if err != nil {
		return err
	}
	if len(u.body) > maxBody {
		return fmt.Errorf("the body is larger than %d MB", maxBody>>20)
	}
	if contentType != "" && !u.hasField("Content-Type") {
		u.fields = append(u.fields, hit.Field{Name: "Content-Type", Value: contentType})
	}
	auth := u.auth
	if p.auth != nil {
		if auth, err = basicAuth(p.auth); err != nil {
			return err
		}
	}
	if auth != "" && !u.hasField("Authorization") {
		u.fields = append(u.fields, hit.Field{Name: "Authorization", Value: auth})
	}
	if p.cookies != nil {
		if err := u.putCookies(p.cookies); err != nil {
			return err
		}
	}
	u.req.Header, u.req.Body = u.fields, u.body
	return nil
}

// address fills in URL and Name.
func (u *user) address(p *params) error {
	full := p.url
	start := 0 // of the path in full
	if i := strings.Index(full, "://"); i >= 0 && i < 10 {
		start = i + len("://")
		if slash := strings.IndexAny(full[start:], "/?#"); slash >= 0 {
			start += slash
		} else {
			start = len(full)
		}
	} else {
		if u.class.host == "" {
			return errors.New(`there is no host: write host = "http://127.0.0.1:8000" at the top of the file, or give --host`)
		}
		if strings.HasPrefix(full, "/") {
			full = u.class.host + full
		} else {
			full = u.class.host + "/" + full
		}
		start = len(u.class.host)
	}
	if i := strings.IndexByte(full, '#'); i >= 0 {
		full = full[:i]
	}
	end := len(full)
	if i := strings.IndexByte(full[start:], '?'); i >= 0 {
		end = start + i
	}
	name := full[start:end]
	if p.query != nil {
		u.scrap = append(u.scrap[:0], full...)
		mark := len(u.scrap)
		var err error
		if u.scrap, err = appendForm(u.scrap, "params", p.query); err != nil {
			return err
		}
		if len(u.scrap) > mark {
			sep := "?"
			if end < len(full) {
				sep = "&"
			}
			full = string(u.scrap[:mark]) + sep + string(u.scrap[mark:])
		}
	}
	u.req.URL = full
	switch {
	case p.name != "":
		u.req.Name = p.name
	case name == "":
		u.req.Name = "/"
	default:
		u.req.Name = name
	}
	u.req.Name = u.sc.secrets.mask(u.req.Name)
	u.name = u.req.Name
	return nil
}

func (u *user) hasField(name string) bool {
	for i := range u.fields {
		if strings.EqualFold(u.fields[i].Name, name) {
			return true
		}
	}
	return false
}

// putHeaders lays the headers of one request over those of the user. None
// takes one away.
func (u *user) putHeaders(v starlark.Value) error {
	if v == nil {
		return nil
	}
	d, ok := v.(starlark.IterableMapping)
	if !ok {
		return fmt.Errorf(`headers is a %s, want a dict: headers = {"X-Name": "value"}`, v.Type())
	}
	own := len(u.fields)
	for _, kv := range d.Items() {
		name, ok := kv[0].(starlark.String)
		if !ok {
			return fmt.Errorf("the name of a header is %s, want a text", kv[0])
		}
		// A default of the user is replaced where it is; its place may be empty afterwards.
		found := false
		for i := 0; i < own; i++ {
			if strings.EqualFold(u.fields[i].Name, string(name)) {
				if found || kv[1] == starlark.None {
					u.fields = append(u.fields[:i], u.fields[i+1:]...)
					own--
					i--
					continue
				}
				value, err := headerText(string(name), kv[1])
				if err != nil {
					return err
				}
				u.fields[i].Value, found = value, true
			}
		}
		if found || kv[1] == starlark.None {
			continue
		}
		value, err := headerText(string(name), kv[1])
		if err != nil {
			return err
		}
		u.fields = append(u.fields, hit.Field{Name: string(name), Value: value})
	}
	return nil
}

// headerText checks a header before it is sent, so that the error has a line.
func headerText(name string, v starlark.Value) (string, error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) {
		return "", fmt.Errorf("%q is not the name of a header", name)
	}
	var text string
	switch v := v.(type) {
	case starlark.String:
		text = string(v)
	case starlark.Bytes:
		text = string(v)
	case starlark.Int:
		text = v.String()
	default:
		return "", fmt.Errorf("header %s is a %s, want a text", name, v.Type())
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return "", fmt.Errorf("header %s has a line break in it", name)
	}
	return text, nil
}

// putCookies sends cookies with this request only.
func (u *user) putCookies(v starlark.Value) error {
	d, ok := v.(starlark.IterableMapping)
	if !ok {
		return fmt.Errorf(`cookies is a %s, want a dict: cookies = {"name": "value"}`, v.Type())
	}
	var pairs []cookie.Pair
	for _, kv := range d.Items() {
		name, ok1 := starlark.AsString(kv[0])
		value, ok2 := starlark.AsString(kv[1])
		if !ok1 || !ok2 {
			return fmt.Errorf("cookie %s = %s: name and value are texts", kv[0], kv[1].Type())
		}
		if err := checkCookie(name, value); err != nil {
			return err
		}
		pairs = append(pairs, cookie.Pair{Name: name, Value: value})
	}
	u.wire.jar.Extra(hostOf(u.req.URL), pairs)
	return nil
}

func checkCookie(name, value string) error {
	if name == "" || strings.ContainsAny(name, " ;=,\t\r\n\x00") || strings.ContainsAny(value, ";\r\n\x00") {
		return fmt.Errorf("cookie %q: neither name nor value may have a semicolon or a line break, nor the name a space or an equals sign", name)
	}
	return nil
}

// hostOf returns the host of a URL as package cookie wants it.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// basicAuth reads auth = ("user", "password").
func basicAuth(v starlark.Value) (string, error) {
	if v == nil || v == starlark.None {
		return "", nil
	}
	pair, ok := v.(starlark.Indexable)
	if ok && pair.Len() == 2 {
		name, ok1 := starlark.AsString(pair.Index(0))
		pass, ok2 := starlark.AsString(pair.Index(1))
		if _, isText := v.(starlark.String); ok1 && ok2 && !isText {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+pass)), nil
		}
	}
	return "", errors.New(`auth wants ("user", "password"); a token goes into headers = {"Authorization": "Bearer " + token}`)
}

// appendForm appends a dict or a list of pairs as key=value&key=value. A list
// as value repeats its key; None leaves it out.
func appendForm(b []byte, what string, v starlark.Value) ([]byte, error) {
	first := true
	put := func(k, v starlark.Value) error {
		key, err := formText(k)
		if err != nil {
			return fmt.Errorf("%s: a name is a %s", what, k.Type())
		}
		text, err := formText(v)
		if err != nil {
			return fmt.Errorf("%s: %s is a %s, want a text or a number", what, key, v.Type())
		}
		if !first {
			b = append(b, '&')
		}
		first = false
		b = append(b, url.QueryEscape(key)...)
		b = append(b, '=')
		b = append(b, url.QueryEscape(text)...)
		return nil
	}
	var items []starlark.Tuple
	switch v := v.(type) {
	case starlark.IterableMapping:
		items = v.Items()
	case starlark.String:
		return append(b, v...), nil
	case starlark.Iterable:
		for e := range starlark.Elements(v) {
			pair, ok := e.(starlark.Indexable)
			if !ok || pair.Len() != 2 {
				return b, fmt.Errorf("%s: %s is no pair of name and value", what, e)
			}
			items = append(items, starlark.Tuple{pair.Index(0), pair.Index(1)})
		}
	default:
		return b, fmt.Errorf("%s is a %s, want a dict", what, v.Type())
	}
	for _, kv := range items {
		var err error
		if list, ok := kv[1].(starlark.Iterable); ok {
			for e := range starlark.Elements(list) {
				if err == nil {
					err = put(kv[0], e)
				}
			}
		} else if kv[1] != starlark.None {
			err = put(kv[0], kv[1])
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// formText writes a value as Python's str() does.
func formText(v starlark.Value) (string, error) {
	switch v := v.(type) {
	case starlark.String:
		return string(v), nil
	case starlark.Bytes:
		return string(v), nil
	case starlark.Int:
		return v.String(), nil
	case starlark.Float:
		return v.String(), nil
	case starlark.Bool:
		if v {
			return "True", nil
		}
		return "False", nil
	}
	return "", errors.New("not a text")
}

// newBoundary returns a line between the parts of a form.
func (u *user) newBoundary() string {
	return "weir-" + strconv.FormatUint(u.rand().Uint64(), 36) + strconv.FormatUint(u.rand().Uint64(), 36)
}
