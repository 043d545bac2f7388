// Package form writes multipart forms, RFC 7578, as browsers do: a Part is one
// field or file of them.
package form

import "strings"

// Part is one part of a form. It is a file when Type is not empty.
type Part struct {
	Name    string
	File    string // name of the file
	Type    string // Content-Type of the file
	Content string
}

// DefaultType is the Content-Type of a file of which nothing is known.
const DefaultType = "application/octet-stream"

// Append appends a part of a form with that boundary.
func Append(b []byte, boundary string, p Part) []byte {
	b = append(b, "--"+boundary+"\r\nContent-Disposition: form-data; name=\""+quoted(p.Name)+"\""...)
	if p.Type != "" {
		b = append(b, "; filename=\""+quoted(p.File)+"\"\r\nContent-Type: "+oneLine(p.Type)...)
	}
	b = append(b, "\r\n\r\n"...)
	b = append(b, p.Content...)
	return append(b, "\r\n"...)
}

// End appends the end of a form.
func End(b []byte, boundary string) []byte { return append(b, "--"+boundary+"--\r\n"...) }

// ContentType is that of the whole form.
func ContentType(boundary string) string { return "multipart/form-data; boundary=" + boundary }

// quoted escapes a name as browsers do, WHATWG HTML "multipart/form-data encoding
// algorithm", 2026-11-21.
func quoted(s string) string {
	return strings.NewReplacer("\"", "%22", "\r", "%0D", "\n", "%0A").Replace(s)
}

func oneLine(s string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(s) }
