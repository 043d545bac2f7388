package script

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad holds that no file makes Load panic or hang, and that an error has words.
func FuzzLoad(f *testing.F) {
	paths, _ := filepath.Glob(examples + "/*.star")
	for _, p := range paths {
		if b, err := os.ReadFile(p); err == nil {
			f.Add(string(b))
		}
	}
	for _, s := range []string{
		"def f(user): pass\nU = HttpUser(tasks = [f])", "U = HttpUser(tasks = {1: 2})", "class A: pass", "x = f\"{a}\"",
		"load(\"fuzz.star\", \"x\")", "feed.csv(\"fuzz.star\")", "while True: pass", "def f(u): f(u)\nf(1)", "profile(stages = \"0..3:1s\")",
		"random.choices([1], weights = [0])", "random.randrange(-9223372036854775807, 9223372036854775807)", "between(-1, 1e308)",
		"url.parse(\"://\")", "jwt.decode(\"a.b.c\")", "html.inputs(\"<input\")", "json.decode(\"[\")", "S = TaskSet([])",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if big(src) {
			return
		}
		read := func(name string) ([]byte, error) {
			if filepath.Base(name) == "fuzz.star" {
				return []byte(src), nil
			}
			return nil, fs.ErrNotExist
		}
		sc, err := Load("fuzz.star", Options{ReadFile: read, Getenv: func(string) (string, bool) { return "value", true }})
		switch {
		case err != nil && strings.TrimSpace(err.Error()) == "":
			t.Error("the error has no words")
		case err == nil && sc.Describe() == "":
			t.Error("a scenario has nothing to describe")
		}
	})
}

// big leaves out what is slow or large without being wrong: loops, and products of texts and lists.
func big(src string) bool {
	return strings.ContainsAny(src, "*") || strings.Contains(src, "while") || strings.Contains(src, "range") || len(src) > 10_000
}
