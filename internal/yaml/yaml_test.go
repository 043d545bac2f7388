package yaml

import (
	"strings"
	"testing"
)

var bounds = Bounds{Bytes: 1000, Levels: 5, Keys: 20}

func TestOpen(t *testing.T) {
	text, err := Open([]byte("\ufeffa: &x 1\r\nb: *x\r---\nc: [d]\n"), bounds)
	if err != nil || len(text.Docs) != 2 || len(text.Lines) != 5 || text.Lines[1] != "b: *x" {
		t.Fatalf("%d documents, lines %q, %v", len(text.Docs), text.Lines, err)
	}
	if a := Anchors(text.Docs[0]); len(a) != 1 || a["x"] == nil || a["x"].String() != "1" {
		t.Errorf("anchors %v", a)
	}
	if text, err := Open([]byte("# nothing\n"), bounds); err != nil || len(text.Docs) != 0 {
		t.Errorf("a comment alone: %d documents, %v", len(text.Docs), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		line           int
	}{
		{"too large", strings.Repeat("#", 1001), "more than 1000", 0},
		{"brackets", "a: b\nc: [[[[[[", "more than 5 levels", 2},
		{"marks", strings.Repeat("- ", 41), "more than 5 levels", 1},
		{"keys", strings.Repeat("a: b\n", 21), "more than 20 keys", 21},
		{"keys in brackets", "{" + strings.Repeat("a: b,", 21), "more than 20 keys", 1},
		{"not YAML", "a: b\nc: 'd\n", "not YAML: ", 2},
		{"an expression inside { }", "a: b\nc: {d: e[\"f\"], g: 1}\n", "must stand in quotes", 2},
	} {
		text, err := Open([]byte(tt.in), bounds)
		if err == nil || !strings.Contains(err.Reason, tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			continue
		}
		line := 0
		if err.At != nil {
			line = err.At.Position.Line
		}
		if line != tt.line || line > 0 && len(text.Lines) < line {
			t.Errorf("%s: in line %d of %d, want %d", tt.name, line, len(text.Lines), tt.line)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, s := range []string{"a: b", "- &x {a: *x}", "? [\n", "a: |\n  b", "!!binary x: \x00", "%TAG ! x\n---\n..."} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := Open(data, bounds)
		if err != nil && err.Reason == "" {
			t.Error("refused without a reason")
		}
		for _, d := range text.Docs {
			Anchors(d)
		}
	})
}
