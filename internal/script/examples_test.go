package script

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.starlark.net/syntax"

	"github.com/weir-dev/weir/internal/hit"
)

const examples = "../../examples"

// anything answers the requests of all examples.
func anything(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/accounts/login/" && r.Method == "GET":
		http.SetCookie(w, &http.Cookie{Name: "csrftoken", Value: "c", Path: "/"})
		fmt.Fprint(w, `<form><input type="hidden" name="csrfmiddlewaretoken" value="m"></form>`)
	case r.URL.Path == "/accounts/login/":
		http.SetCookie(w, &http.Cookie{Name: "sessionid", Value: "s", Path: "/"})
		http.Redirect(w, r, "/", http.StatusFound)
	case r.URL.Path == "/oauth2/token":
		fmt.Fprint(w, `{"access_token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9."}`)
	case r.URL.Path == "/api/auth/login":
		django(w, r)
	case strings.HasPrefix(r.URL.Path, "/header/X-Shelf/"):
		w.Header().Set("X-Shelf", path.Base(r.URL.Path))
	case strings.HasPrefix(r.URL.Path, "/stock/"):
		w.WriteHeader(404)
	case r.Method == "POST":
		w.WriteHeader(201)
		fmt.Fprint(w, `{"id": 17, "token": "t", "state": "done"}`)
	default:
		fmt.Fprint(w, `{"results": []}`)
	}
}

// TestExamplesRun holds that every example loads, runs without an error, and
// runs every one of its tasks.
func TestExamplesRun(t *testing.T) {
	paths, err := filepath.Glob(examples + "/*.star")
	if err != nil || len(paths) < 8 {
		t.Fatalf("found %d examples (%v)", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			getenv := func(name string) (string, bool) {
				return "word-" + name, strings.HasSuffix(name, "PASSWORD") || strings.HasSuffix(name, "KEY")
			}
			sc, err := Load(path, Options{Getenv: getenv, Log: func(s string) { t.Error("it logged: " + s) }})
			if err != nil {
				t.Fatal(err)
			}
			o := run(t, sc, play{users: 3, runTime: 5 * time.Minute, handler: anything, delay: 10 * time.Millisecond, seed: 1})
			if o.err != nil || len(o.errors) > 0 || len(o.log) < 50 || o.totals.Outcome(hit.Throttled).Count > 0 {
				t.Errorf("%d requests, errors %v, %v", len(o.log), o.errors, o.err)
			}
			if sc.Describe() == "" {
				t.Error("Describe is empty")
			}
		})
	}
}

// TestExamplesStyle holds the style of Starlark files that other tools' formatters agree on.
func TestExamplesStyle(t *testing.T) {
	paths, _ := filepath.Glob(examples + "/*.star")
	libs, _ := filepath.Glob(examples + "/*/*.star")
	keyword := regexp.MustCompile(`[(,]\s*\w+=\S|[(,]\s*\w+ =\S|[(,]\s*\w+= `)
	checked := 0
	for _, path := range append(paths, libs...) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		checked++
		f, err := options().Parse(path, src, syntax.RetainComments)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(f.Stmts) == 0 || !strings.HasPrefix(string(src), "# ") || !strings.HasSuffix(string(src), "\n") || strings.HasSuffix(string(src), "\n\n") {
			t.Errorf("%s: begin with a comment that says what it shows, end with one line end", path)
		}
		for i, line := range strings.Split(string(src), "\n") {
			indent := len(line) - len(strings.TrimLeft(line, " "))
			switch {
			case strings.ContainsRune(line, '\t'), strings.TrimRight(line, " ") != line:
				t.Errorf("%s:%d: a tab, or a space at the end", path, i+1)
			case indent%4 != 0:
				t.Errorf("%s:%d: indented by %d, want a multiple of 4", path, i+1, indent)
			case utf8.RuneCountInString(line) > 110:
				t.Errorf("%s:%d: longer than 110 characters", path, i+1)
			case !strings.HasPrefix(strings.TrimSpace(line), "#") && keyword.MatchString(line):
				t.Errorf("%s:%d: write name = value", path, i+1)
			case strings.Contains(line, "'") && !strings.Contains(line, "\"") && !strings.HasPrefix(strings.TrimSpace(line), "#"):
				t.Errorf("%s:%d: write texts in double quotes", path, i+1)
			}
		}
	}
	if checked < 9 {
		t.Fatalf("checked only %d files", checked)
	}
}
