package weir

import (
	"errors"
	"strconv"

	"github.com/weir-dev/weir/internal/form"
)

// File adds a file to the body, which is then a multipart form as browsers send
// it, with the fields of Form before the files. field is the name of the field,
// name that of the file; contentType "" is application/octet-stream. content is
// not copied, and must not change while the request is under way.
func File(field, name, contentType string, content []byte) Option {
	if contentType == "" {
		contentType = form.DefaultType
	}
	return Option{kind: optFile, name: field, value: name, data: contentType, body: content}
}

// hasFiles says whether the body is a multipart form.
func hasFiles(opts []Option) bool {
	for i := range opts {
		if opts[i].kind == optFile {
			return true
		}
	}
	return false
}

// multipart makes the body of the fields and files in opts, and returns its
// Content-Type.
func (u *User) multipart(opts []Option) (contentType string, err error) {
	line := "weir-" + strconv.FormatUint(u.Rand().Uint64(), 36) + strconv.FormatUint(u.Rand().Uint64(), 36)
	b := u.body.b[:0]
	for i := range opts {
		switch o := &opts[i]; o.kind {
		case optForm:
			b = form.Append(b, line, form.Part{Name: o.name, Content: o.value})
		case optJSON, optBody:
			return "", errors.New("JSON, Body and File each give a body; keep one")
		}
	}
	for i := range opts {
		if o := &opts[i]; o.kind == optFile {
			kind, _ := o.data.(string)
			b = form.Append(b, line, form.Part{Name: o.name, File: o.value, Type: kind, Content: string(o.body)})
		}
	}
	u.body.b = form.End(b, line)
	return form.ContentType(line), nil
}
