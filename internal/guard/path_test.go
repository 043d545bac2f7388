package guard_test

import (
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/guard"
)

func TestPath(t *testing.T) {
	for sent, want := range map[string]string{
		"": "/", "/": "/", "/a/b": "/a/b", "/a?b=/../c": "/a", "//a": "/a", "/a//b/": "/a/b/", "/a/./b": "/a/b", "/a/../b": "/b",
		"/../../a": "/a", "/a/..": "/", "/a/b/..": "/a/", "/%61%2Db": "/a-b", "/a%2fb": "/a%2Fb", "/%2e%2e/a": "/a", "/a%": "/a%", "/a%4": "/a%4",
		"/a%zz": "/a%zz", "/.a": "/.a", "/a/...": "/a/...", "/a%5cb": "/a%5Cb",
	} {
		if got := guard.Path(sent); got != want {
			t.Errorf("%q: %q, want %q", sent, got, want)
		}
	}
}

// FuzzPath: the form is its own form, starts with a slash where the path did,
// and holds no dot segment.
func FuzzPath(f *testing.F) {
	f.Add("/a/../%2e/%41//b")
	f.Fuzz(func(t *testing.T, sent string) {
		got := guard.Path("/" + sent)
		if again := guard.Path(got); again != got || !strings.HasPrefix(got, "/") || strings.Contains(got+"/", "/../") || strings.Contains(got, "//") {
			t.Fatalf("%q: %q, and again %q", sent, got, again)
		}
	})
}
