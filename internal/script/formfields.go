package script

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// inputs is html.inputs(text, form=None): what a browser would send for a form that
// nobody has touched, without its buttons and files. form is the id or the name of
// one of several. A name that is sent more than once has a list.
func inputs(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	var form string
	if err := starlark.UnpackArgs("html.inputs", args, kwargs, "text", &v, "form?", &form); err != nil {
		return nil, err
	}
	text, err := page(v)
	if err != nil {
		return nil, err
	}
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("html.inputs: %v", err)
	}
	if form != "" {
		if root, err = findForm(root, form); err != nil {
			return nil, err
		}
	}
	out := starlark.NewDict(0)
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || attr(n, "name") == "" || has(n, "disabled") {
			continue
		}
		for _, value := range successful(n) {
			if err := add(out, attr(n, "name"), value); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func findForm(root *html.Node, form string) (*html.Node, error) {
	var others []string
	for n := range root.Descendants() {
		if n.DataAtom != atom.Form {
			continue
		}
		id, name := attr(n, "id"), attr(n, "name")
		if id == form || name == form {
			return n, nil
		}
		for _, s := range []string{id, name} {
			if s != "" {
				others = append(others, s)
			}
		}
	}
	return nil, fmt.Errorf("html.inputs: the page has no form %q%s", form, suggest(form, others))
}

// successful returns the values that a control has without anybody's doing
// ("successful controls" of the HTML standard): none for a box that is not ticked.
func successful(n *html.Node) []string {
	switch n.DataAtom {
	case atom.Input:
		switch strings.ToLower(attr(n, "type")) {
		case "submit", "button", "reset", "image", "file":
			return nil
		case "checkbox", "radio":
			if !has(n, "checked") {
				return nil
			}
			if !has(n, "value") {
				return []string{"on"}
			}
		}
		return []string{attr(n, "value")}
	case atom.Textarea:
		return []string{inside(n)}
	case atom.Select:
		return chosen(n)
	}
	return nil
}

// chosen returns the values of the options that are selected; a list of which one
// is shown has its first one when none is.
func chosen(list *html.Node) []string {
	var values []string
	first, found := "", false
	for n := range list.Descendants() {
		if n.DataAtom != atom.Option || has(n, "disabled") {
			continue
		}
		value := attr(n, "value")
		if !has(n, "value") {
			value = strings.Join(strings.Fields(inside(n)), " ")
		}
		if !found {
			first, found = value, true
		}
		if has(n, "selected") {
			values = append(values, value)
		}
	}
	switch {
	case has(list, "multiple"):
		return values
	case len(values) > 0:
		return values[len(values)-1:]
	case found:
		return []string{first}
	}
	return nil
}

func add(d *starlark.Dict, name, value string) error {
	old, found, err := d.Get(str(name))
	switch list, many := old.(*starlark.List); {
	case err != nil:
		return err
	case !found:
		return d.SetKey(str(name), str(value))
	case many:
		return list.Append(str(value))
	default:
		return d.SetKey(str(name), starlark.NewList([]starlark.Value{old, str(value)}))
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// inside returns the text in an element.
func inside(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}
