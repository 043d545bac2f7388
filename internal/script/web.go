package script

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"golang.org/x/net/html"
)

func urlFuncs() map[string]builtinFunc {
	return map[string]builtinFunc{"quote": quoteURL, "unquote": unquoteURL, "encode": encodeQuery, "parse": parseURL, "join": joinURL}
}

func quoteURL(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "s")
	return starlark.String(url.PathEscape(s)), err
}

func unquoteURL(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "s")
	if err != nil {
		return nil, err
	}
	out, err := url.PathUnescape(s)
	if err != nil {
		return nil, fmt.Errorf("unquote: %v", err)
	}
	return starlark.String(out), nil
}

func encodeQuery(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "params", &v); err != nil {
		return nil, err
	}
	out, err := appendForm(nil, "url.encode", v)
	return starlark.String(out), err
}

// parseURL is url.parse(u): a struct of its parts; query is a dict, of the
// first value for each name.
func parseURL(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "url")
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("url.parse: this is not a URL")
	}
	query := starlark.NewDict(0)
	for _, name := range sortedKeys(u.Query()) {
		if err := query.SetKey(str(name), str(u.Query().Get(name))); err != nil {
			return nil, err
		}
	}
	return starlarkstruct.FromStringDict(starlark.String("url"), starlark.StringDict{
		"scheme": str(u.Scheme), "host": str(u.Hostname()), "port": str(u.Port()), "path": str(u.Path), "query": query, "fragment": str(u.Fragment),
	}), nil
}

func joinURL(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var base, ref string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "base", &base, "url", &ref); err != nil {
		return nil, err
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("url.join: the base is not a URL")
	}
	if u, err = u.Parse(ref); err != nil {
		return nil, errors.New("url.join: the second argument is not a URL")
	}
	return str(u.String()), nil
}

func htmlFuncs() map[string]builtinFunc {
	return map[string]builtinFunc{"input_value": inputValue, "inputs": inputs, "meta": metaContent, "escape": escapeHTML, "unescape": unescapeHTML}
}

func escapeHTML(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "s")
	return str(html.EscapeString(s)), err
}

func unescapeHTML(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "s")
	return str(html.UnescapeString(s)), err
}

// page reads the HTML of an argument that is a text or an answer.
func page(v starlark.Value) (string, error) {
	if r, ok := v.(*response); ok {
		return string(r.asText()), nil
	}
	if s, ok := textOf(v); ok {
		return s, nil
	}
	return "", fmt.Errorf("want a page: r.text, not a %s", v.Type())
}

// tags calls yield for every tag called name, with its attributes, until it
// returns false. Broken HTML has fewer tags, and is no error.
func tags(text, name string, yield func(attrs map[string]string) bool) {
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			tag, more := z.TagName()
			if string(tag) != name {
				continue
			}
			attrs := map[string]string{}
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				attrs[string(k)] = string(v)
			}
			if !yield(attrs) {
				return
			}
		}
	}
}

// inputValue is html.input_value(text, name): the value of a form's field.
func inputValue(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return findTag(b, args, kwargs, "input", "name", "value")
}

// metaContent is html.meta(text, name): the content of a meta tag.
func metaContent(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return findTag(b, args, kwargs, "meta", "name", "content")
}

func findTag(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple, tag, by, want string) (starlark.Value, error) {
	var v, standard starlark.Value
	var name string
	if err := starlark.UnpackArgs("html."+b.Name(), args, kwargs, "text", &v, "name", &name, "default?", &standard); err != nil {
		return nil, err
	}
	text, err := page(v)
	if err != nil {
		return nil, err
	}
	found, value := false, ""
	var names []string
	tags(text, tag, func(attrs map[string]string) bool {
		if n := attrs[by]; n != "" && n != name {
			names = append(names, n)
		}
		if attrs[by] == name {
			found, value = true, attrs[want]
		}
		return !found
	})
	if found {
		return str(value), nil
	}
	if standard != nil {
		return standard, nil
	}
	hint := suggest(name, names)
	if r, ok := v.(*response); ok {
		hint += "; the answer was " + r.summary()
	}
	return nil, fmt.Errorf("html.%s: the page has no %s %q%s", b.Name(), tag, name, hint)
}
