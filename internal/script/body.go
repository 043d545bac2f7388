package script

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"github.com/weir-dev/weir/internal/form"
)

// putBody makes the body in u.body and returns its Content-Type, "" for none.
func (u *user) putBody(p *params) (contentType string, err error) {
	switch {
	case p.json != nil:
		u.body, err = appendJSON(u.body, p.json, 0)
		return "application/json", err
	case p.files != nil:
		return u.putFiles(p)
	case p.data == nil:
		return "", nil
	}
	switch d := p.data.(type) {
	case starlark.String:
		u.body = append(u.body, d...)
		return "", nil
	case starlark.Bytes:
		u.body = append(u.body, d...)
		return "", nil
	}
	u.body, err = appendForm(u.body, "data", p.data)
	return "application/x-www-form-urlencoded", err
}

// putFiles makes a multipart form of data and files, RFC 7578.
func (u *user) putFiles(p *params) (contentType string, err error) {
	files, ok := p.files.(starlark.IterableMapping)
	if !ok {
		return "", fmt.Errorf(`files is a %s, want a dict: files = {"file": ("a.csv", content, "text/csv")}`, p.files.Type())
	}
	line := u.newBoundary()
	if p.data != nil {
		fields, ok := p.data.(starlark.IterableMapping)
		if !ok {
			return "", fmt.Errorf("data is a %s; beside files it is a dict", p.data.Type())
		}
		for _, kv := range fields.Items() {
			name, err1 := formText(kv[0])
			value, err2 := formText(kv[1])
			if err := errors.Join(err1, err2); err != nil {
				return "", fmt.Errorf("data: %s is a %s, want a text or a number", kv[0], kv[1].Type())
			}
			u.body = form.Append(u.body, line, form.Part{Name: name, Content: value})
		}
	}
	for _, kv := range files.Items() {
		name, ok := starlark.AsString(kv[0])
		if !ok {
			return "", fmt.Errorf("files: the name %s is no text", kv[0])
		}
		file, content, kind, err := fileParts(name, kv[1])
		if err != nil {
			return "", err
		}
		u.body = form.Append(u.body, line, form.Part{Name: name, File: file, Type: kind, Content: content})
	}
	u.body = form.End(u.body, line)
	return form.ContentType(line), nil
}

// fileParts reads content, ("name", content) or ("name", content, "type").
func fileParts(name string, v starlark.Value) (file, content, kind string, err error) {
	bad := fmt.Errorf(`files: %s wants (file name, content) or (file name, content, content type)`, name)
	if c, ok := textOf(v); ok {
		return name, c, form.DefaultType, nil
	}
	t, ok := v.(starlark.Indexable)
	if !ok || t.Len() < 2 || t.Len() > 3 {
		return "", "", "", bad
	}
	kind = form.DefaultType
	file, ok1 := starlark.AsString(t.Index(0))
	content, ok2 := textOf(t.Index(1))
	ok3 := true
	if t.Len() == 3 {
		kind, ok3 = starlark.AsString(t.Index(2))
	}
	if !ok1 || !ok2 || !ok3 {
		return "", "", "", bad
	}
	return file, content, kind, nil
}

func textOf(v starlark.Value) (string, bool) {
	switch v := v.(type) {
	case starlark.String:
		return string(v), true
	case starlark.Bytes:
		return string(v), true
	}
	return "", false
}

func oneLine(s string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(s) }
