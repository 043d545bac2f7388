package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestWireIsLocusts sends every request shape of bench/locust/wire through the
// real command and compares what arrives with what Locust was seen to send.
func TestWireIsLocusts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts interpreters, and without -short")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no python3: run .ci/setup")
		}
		t.Skip("skipped: there is no python3")
	}
	script, err := filepath.Abs("../../bench/locust/wire/probe.py")
	if err != nil {
		t.Fatal(err)
	}
	count := regexp.MustCompile(`(?m)^(\d+) shapes, (\d+) requests, exit code 0$`)
	for kind, class := range map[string]string{"http": "HttpProbe", "fast": "FastProbe"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			out := runProgram(t, t.TempDir(), python, script, "--against", kind,
				weirProgram(t), "locust", "-f", "shapes.py", class, "--headless", "-u", "1", "-t", "240s", "--only-summary")
			m := count.FindStringSubmatch(out.stdout)
			if out.code != 0 || m == nil {
				t.Fatalf("exit code %d\n%s\n%s", out.code, out.stdout, out.stderr)
			}
			if n, _ := strconv.Atoi(m[1]); n < 70 {
				t.Errorf("only %d shapes", n)
			}
		})
	}
}
