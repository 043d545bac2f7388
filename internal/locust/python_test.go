package locust

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// besides is the interpreter that .ci/setup makes for these tests.
const besides = "../../.cache/locust/bin/python"

// suite is an interpreter and the tests it runs: modules, or none for all.
type suite struct {
	python  string
	modules []string
	least   int // tests
}

// pythons returns the interpreters that the Python tests run with: the usual
// one, the one of .cache/locust, in which greenlet, gevent and Locust itself are
// installed, and where nobody waits for a pipeline whatever other version there is.
func pythons(t *testing.T) map[string]suite {
	t.Helper()
	found := map[string]suite{}
	for _, name := range []string{"python3", besides} {
		path, err := exec.LookPath(name)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		switch {
		case err == nil:
			found[name] = suite{python: path, least: 60}
		case os.Getenv("CI") != "":
			t.Fatalf("%s cannot be started: %v; run .ci/setup", name, err)
		default:
			t.Logf("skipped: %s cannot be started: %v; .ci/setup installs it", name, err)
		}
	}
	// What the ways to hold users, and the real requests, make different.
	if s, ok := found[besides]; ok {
		found[besides] = suite{s.python, []string{"test_users.Tasks.test_orders", "test_users.Stops", "test_users.Many", "test_gevent.Face.test_face_and_gevent",
			"test_ways.Threads", "test_events.Run", "test_http_same"}, 12}
	}
	if os.Getenv("CI") == "" {
		for _, name := range []string{"python3.9", "python3.10", "python3.12", "python3.13", "python3.14"} {
			if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "pass").Run() == nil {
				found[name] = suite{path, nil, 60}
			}
		}
	}
	return found
}

// TestPython runs the tests of the Python side, each interpreter by itself.
func TestPython(t *testing.T) {
	if testing.Short() {
		t.Skip("interpreters are started often: not with -short")
	}
	ran := regexp.MustCompile(`(?m)^Ran (\d+) tests in`)
	for name, s := range pythons(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
			defer cancel()
			args := []string{"-m", "unittest", "discover", "-q", "-s", ".", "-t", "."}
			if s.modules != nil {
				args = append([]string{"-m", "unittest", "-q"}, s.modules...)
			}
			c := exec.CommandContext(ctx, s.python, args...)
			c.Dir = filepath.Join("python", "tests")
			// Compiled once for all interpreters that the tests start, and not into the source tree.
			c.Env = append(os.Environ(), "PYTHONPYCACHEPREFIX="+t.TempDir())
			if s.modules != nil {
				c.Env = append(c.Env, "WEIR_TEST_WAYS=greenlet,gevent")
			}
			c.WaitDelay = 5 * time.Second
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			m := ran.FindSubmatch(out)
			if m == nil {
				t.Fatalf("no count of tests in:\n%s", out)
			}
			if n, _ := strconv.Atoi(string(m[1])); n < s.least {
				t.Errorf("%d tests were run", n)
			}
			if strings.Contains(string(out), "skipped=") {
				t.Logf("%s", out)
			}
		})
	}
}
