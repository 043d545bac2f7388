package script

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/weir-dev/weir/internal/hit"
)

// pairs is what the dict-like views below have in common: names and values of
// text, read in their order.
type pairs interface {
	starlark.Mapping
	all() []starlark.Tuple
}

// iterator walks over the names of a view.
type iterator struct{ items []starlark.Tuple }

func (i *iterator) Next(p *starlark.Value) bool {
	if len(i.items) == 0 {
		return false
	}
	*p = i.items[0][0]
	i.items = i.items[1:]
	return true
}

func (i *iterator) Done() {}

// viewAttrs are the methods of every view.
var viewAttrs = []string{"get", "items", "keys", "values"}

// viewAttr returns the dict methods that reading needs, nil for other names.
func viewAttr(v pairs, name string) starlark.Value {
	var fn func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)
	switch name {
	case "get":
		fn = func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var key, standard starlark.Value = nil, starlark.None
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "key", &key, "default?", &standard); err != nil {
				return nil, err
			}
			if got, found, err := v.Get(key); err != nil || found {
				return got, err
			}
			return standard, nil
		}
	case "items", "keys", "values":
		fn = func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
				return nil, err
			}
			var out []starlark.Value
			for _, kv := range v.all() {
				switch b.Name() {
				case "items":
					out = append(out, kv)
				case "keys":
					out = append(out, kv[0])
				default:
					out = append(out, kv[1])
				}
			}
			return starlark.NewList(out), nil
		}
	default:
		return nil
	}
	return starlark.NewBuiltin(name, fn)
}

func textKey(k starlark.Value) (string, error) {
	s, ok := k.(starlark.String)
	if !ok {
		return "", fmt.Errorf("the name is a %s, want a text", k.Type())
	}
	return string(s), nil
}

func str(s string) starlark.Value { return starlark.String(s) }

func showPairs(items []starlark.Tuple) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, kv := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(kv[0].String() + ": " + kv[1].String())
	}
	b.WriteByte('}')
	return b.String()
}

// answerHeaders is r.headers: names in any case.
type answerHeaders struct{ r *response }

func (h answerHeaders) String() string                           { return showPairs(h.all()) }
func (h answerHeaders) Type() string                             { return "the headers of this answer" }
func (h answerHeaders) Freeze()                                  {}
func (h answerHeaders) Truth() starlark.Bool                     { return len(h.r.header()) > 0 }
func (h answerHeaders) Hash() (uint32, error)                    { return 0, errors.New("unhashable type: headers") }
func (h answerHeaders) Iterate() starlark.Iterator               { return &iterator{h.all()} }
func (h answerHeaders) Items() []starlark.Tuple                  { return h.all() }
func (h answerHeaders) AttrNames() []string                      { return viewAttrs }
func (h answerHeaders) Attr(name string) (starlark.Value, error) { return viewAttr(h, name), nil }

func (h answerHeaders) Get(k starlark.Value) (starlark.Value, bool, error) {
	name, err := textKey(k)
	if err != nil {
		return nil, false, err
	}
	v, ok := h.r.header().Find(name)
	return starlark.String(v), ok, nil
}

func (h answerHeaders) all() (out []starlark.Tuple) {
	for name, v := range h.r.header().All() {
		out = append(out, starlark.Tuple{str(name), str(v)})
	}
	return out
}

// answerCookies is r.cookies: what this answer set.
type answerCookies struct{ r *response }

func (c answerCookies) String() string { return showPairs(c.all()) }
func (c answerCookies) Type() string {
	return "the cookies of this answer (user.cookies has all that were set)"
}
func (c answerCookies) Freeze()                                  {}
func (c answerCookies) Truth() starlark.Bool                     { return len(c.all()) > 0 }
func (c answerCookies) Hash() (uint32, error)                    { return 0, errors.New("unhashable type: cookies") }
func (c answerCookies) Iterate() starlark.Iterator               { return &iterator{c.all()} }
func (c answerCookies) Items() []starlark.Tuple                  { return c.all() }
func (c answerCookies) AttrNames() []string                      { return viewAttrs }
func (c answerCookies) Attr(name string) (starlark.Value, error) { return viewAttr(c, name), nil }

func (c answerCookies) Get(k starlark.Value) (starlark.Value, bool, error) {
	name, err := textKey(k)
	if err != nil {
		return nil, false, err
	}
	for _, kv := range c.all() {
		if string(kv[0].(starlark.String)) == name {
			return kv[1], true, nil
		}
	}
	return nil, false, nil
}

func (c answerCookies) all() (out []starlark.Tuple) {
	for _, line := range c.r.header().Values("Set-Cookie") {
		if k, err := http.ParseSetCookie(line); err == nil && k.MaxAge >= 0 {
			out = append(out, starlark.Tuple{str(k.Name), str(k.Value)})
		}
	}
	return out
}

// userCookies is user.cookies: what is kept for the host of the class.
type userCookies struct{ u *user }

func (c userCookies) String() string             { return showPairs(c.all()) }
func (c userCookies) Type() string               { return "the user's cookies" }
func (c userCookies) Freeze()                    {}
func (c userCookies) Truth() starlark.Bool       { return len(c.all()) > 0 }
func (c userCookies) Hash() (uint32, error)      { return 0, errors.New("unhashable type: cookies") }
func (c userCookies) Iterate() starlark.Iterator { return &iterator{c.all()} }
func (c userCookies) Items() []starlark.Tuple    { return c.all() }
func (c userCookies) AttrNames() []string {
	return append([]string{"clear", "pop", "set"}, viewAttrs...)
}

func (c userCookies) host() string {
	if c.u.class.host != "" {
		return hostOf(c.u.class.host)
	}
	return hostOf(c.u.req.URL)
}

func (c userCookies) Get(k starlark.Value) (starlark.Value, bool, error) {
	name, err := textKey(k)
	if err != nil {
		return nil, false, err
	}
	v, ok := c.u.wire.jar.Get(c.host(), name, time.Now())
	if !ok {
		if why := c.u.wire.jar.Refused(name); why != "" {
			return nil, false, fmt.Errorf("the server set the cookie %s, and a browser would not keep it: %s", name, why)
		}
	}
	return starlark.String(v), ok, nil
}

func (c userCookies) SetKey(k, v starlark.Value) error {
	name, err := textKey(k)
	if err != nil {
		return err
	}
	value, ok := starlark.AsString(v)
	if !ok {
		return fmt.Errorf("cookie %s is a %s, want a text", name, v.Type())
	}
	if err := checkCookie(name, value); err != nil {
		return err
	}
	if c.host() == "" {
		return errors.New("there is no host that the cookie could belong to")
	}
	c.u.wire.jar.Put(c.host(), name, value)
	return nil
}

func (c userCookies) Attr(name string) (starlark.Value, error) {
	switch name {
	case "set":
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var k, v starlark.Value
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &k, "value", &v); err != nil {
				return nil, err
			}
			return starlark.None, c.SetKey(k, v)
		}), nil
	case "pop":
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var k string
			var standard starlark.Value = starlark.None
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &k, "default?", &standard); err != nil {
				return nil, err
			}
			if v, ok := c.u.wire.jar.Get(c.host(), k, time.Now()); ok && k != "" {
				standard = str(v)
				c.u.wire.jar.Drop(c.host(), k)
			}
			return standard, nil
		}), nil
	case "clear":
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
				return nil, err
			}
			c.u.wire.jar.Drop("", "")
			return starlark.None, nil
		}), nil
	}
	return viewAttr(c, name), nil
}

func (c userCookies) all() (out []starlark.Tuple) {
	for _, k := range c.u.wire.jar.For(c.host(), time.Now()) {
		out = append(out, starlark.Tuple{str(k.Name), str(k.Value)})
	}
	return out
}

// headers is user.headers: sent with every request of the user.
type headers struct{ fields []hit.Field }

// defaults returns user.headers.
func (u *user) defaults() *headers {
	if u.headed == nil {
		u.headed = &headers{}
	}
	return u.headed
}

func (h *headers) String() string             { return showPairs(h.all()) }
func (h *headers) Type() string               { return "the user's headers" }
func (h *headers) Freeze()                    {}
func (h *headers) Truth() starlark.Bool       { return len(h.fields) > 0 }
func (h *headers) Hash() (uint32, error)      { return 0, errors.New("unhashable type: headers") }
func (h *headers) Iterate() starlark.Iterator { return &iterator{h.all()} }
func (h *headers) Items() []starlark.Tuple    { return h.all() }
func (h *headers) AttrNames() []string        { return append([]string{"pop", "update"}, viewAttrs...) }

func (h *headers) find(name string) int {
	for i := range h.fields {
		if strings.EqualFold(h.fields[i].Name, name) {
			return i
		}
	}
	return -1
}

func (h *headers) Get(k starlark.Value) (starlark.Value, bool, error) {
	name, err := textKey(k)
	if err != nil {
		return nil, false, err
	}
	if i := h.find(name); i >= 0 {
		return str(h.fields[i].Value), true, nil
	}
	return nil, false, nil
}

func (h *headers) SetKey(k, v starlark.Value) error {
	name, err := textKey(k)
	if err != nil {
		return err
	}
	value, err := headerText(name, v)
	if err != nil {
		return err
	}
	if i := h.find(name); i >= 0 {
		h.fields[i].Value = value
		return nil
	}
	h.fields = append(h.fields, hit.Field{Name: name, Value: value})
	return nil
}

func (h *headers) Attr(name string) (starlark.Value, error) {
	switch name {
	case "update":
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var d starlark.IterableMapping
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "headers", &d); err != nil {
				return nil, err
			}
			for _, kv := range d.Items() {
				if err := h.SetKey(kv[0], kv[1]); err != nil {
					return nil, err
				}
			}
			return starlark.None, nil
		}), nil
	case "pop":
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var k string
			var standard starlark.Value = starlark.None
			if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &k, "default?", &standard); err != nil {
				return nil, err
			}
			if i := h.find(k); i >= 0 {
				standard = str(h.fields[i].Value)
				h.fields = append(h.fields[:i], h.fields[i+1:]...)
			}
			return standard, nil
		}), nil
	}
	return viewAttr(h, name), nil
}

func (h *headers) all() (out []starlark.Tuple) {
	for _, f := range h.fields {
		out = append(out, starlark.Tuple{str(f.Name), str(f.Value)})
	}
	return out
}
