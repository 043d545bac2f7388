package form

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"testing"

	"pgregory.net/rapid"
)

// TestFormsAreRead compares what is written with what Go's own reader makes of it.
func TestFormsAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const boundary = "weir-abc"
		// The reader does not undo the browsers' escapes, so names have none here.
		word := rapid.StringMatching(`[a-zA-Z0-9 ._-]{1,12}`)
		var parts []Part
		for range rapid.IntRange(1, 5).Draw(t, "parts") {
			p := Part{Name: word.Draw(t, "name"), Content: string(rapid.SliceOf(rapid.Byte()).Draw(t, "content"))}
			if rapid.Bool().Draw(t, "file") {
				p.File, p.Type = word.Draw(t, "file name"), "text/csv"
			}
			parts = append(parts, p)
		}
		var b []byte
		for _, p := range parts {
			b = Append(b, boundary, p)
		}
		b = End(b, boundary)
		_, params, err := mime.ParseMediaType(ContentType(boundary))
		if err != nil {
			t.Fatal(err)
		}
		r := multipart.NewReader(bytes.NewReader(b), params["boundary"])
		for _, want := range parts {
			p, err := r.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(p)
			if err != nil || string(content) != want.Content || p.FormName() != want.Name || p.Header.Get("Content-Type") != want.Type {
				t.Fatalf("%q %q %q %v, want %+v", p.FormName(), p.Header.Get("Content-Type"), content, err, want)
			}
		}
		if _, err := r.NextRawPart(); err != io.EOF {
			t.Fatalf("after the last part: %v", err)
		}
	})
}

// TestNamesCannotBreakOut holds that a name or a type with quotes or line breaks
// does not make further lines.
func TestNamesCannotBreakOut(t *testing.T) {
	got := string(Append(nil, "b", Part{Name: "a\"\r\nX: 1", File: "f\"\n", Type: "text/plain\r\nX: 2", Content: "c"}))
	want := "--b\r\nContent-Disposition: form-data; name=\"a%22%0D%0AX: 1\"; filename=\"f%22%0A\"\r\nContent-Type: text/plain  X: 2\r\n\r\nc\r\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
