package locust

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The oldest Python that runs the embedded package.
const (
	leastMajor = 3
	leastMinor = 9
)

// probeWait bounds how long an interpreter may take to tell its version.
const probeWait = 20 * time.Second

// findPython returns the interpreter of a script: the one that was asked for, or
// that of the active virtual environment, or the first one of the path.
func findPython(ctx context.Context, c *Config) (string, error) {
	getenv := c.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	if c.Python != "" {
		path, err := exec.LookPath(c.Python)
		if err != nil {
			return "", &Error{Text: fmt.Sprintf("--python %s: %v", c.Python, bare(err)), Hint: "give the path of a Python interpreter, 3.9 or newer"}
		}
		return path, tooOld(ctx, path)
	}
	var names []string
	if env := getenv("VIRTUAL_ENV"); env != "" {
		if runtime.GOOS == "windows" {
			names = append(names, filepath.Join(env, "Scripts", "python.exe"))
		} else {
			names = append(names, filepath.Join(env, "bin", "python"))
		}
	}
	names = append(names, "python3", "python")
	var old error
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if err = tooOld(ctx, path); err == nil {
			return path, nil
		}
		if old == nil {
			old = err
		}
	}
	if old != nil {
		return "", old
	}
	return "", &Error{
		Text: "a locustfile is run by your own Python, and there is no python3 in PATH",
		Hint: "install Python 3.9 or newer, activate your virtual environment, or name an interpreter with --python",
	}
}

// tooOld says what is wrong with an interpreter.
func tooOld(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-S", "-E", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])")
	out, err := cmd.Output()
	if err != nil {
		why := err.Error()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			if line := lastLine(exit.Stderr); line != "" {
				why = line
			}
		}
		return &Error{Text: fmt.Sprintf("%s is no Python that works here: %s", path, why), Hint: "name another interpreter with --python"}
	}
	version := strings.TrimSpace(string(out))
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if err1 != nil || err2 != nil {
		return &Error{Text: fmt.Sprintf("%s does not tell its version as Python does", path), Hint: "name another interpreter with --python"}
	}
	if a < leastMajor || a == leastMajor && b < leastMinor {
		return &Error{
			Text: fmt.Sprintf("%s is Python %s, and locustfiles need %d.%d or newer", path, version, leastMajor, leastMinor),
			Hint: "activate an environment with a newer Python, or name one with --python",
		}
	}
	return nil
}

// lastLine returns the last line with something in it.
func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return cut(strings.TrimSpace(lines[len(lines)-1]), 200)
}

// bare leaves the name out that the caller tells anyway.
func bare(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
