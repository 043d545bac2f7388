package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A report that cannot be written is found out before the load, and the message
// names what was asked for, not the temporary file beside it.
func TestUnwritableReportIsFoundBeforeTheRun(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		if runtime.GOOS != "linux" {
			t.Skip("needs a folder that cannot be written in")
		}
	}
	locked := "/proc" // nobody can make a file there, root neither
	if os.Geteuid() != 0 {
		locked = t.TempDir()
		if err := os.Chmod(locked, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []renderFlags{
		{HTML: locked + "/r.x"}, {JSON: locked + "/r.x"}, {JUnit: locked + "/r.x"}, {Markdown: locked + "/r.x"}, {CSV: locked + "/r.x"},
	} {
		err := f.check("run.weir")
		if code, hint := exitCode(err); err == nil || code != exitCannotRun || hint == "" {
			t.Errorf("%+v: %v, exit code %d, hint %q", f, err, code, hint)
		}
		if err != nil && !strings.Contains(err.Error(), locked) || strings.Contains(err.Error(), ".weir-") {
			t.Errorf("%+v: the message is %q", f, err)
		}
	}
}

// A file whose writing fails leaves nothing behind, and the old one as it was.
func TestWriteFileIsWholeOrNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if err := writeFile(path, func(w io.Writer) error { _, err := io.WriteString(w, "old"); return err }); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := writeFile(path, func(w io.Writer) error { io.WriteString(w, "ne"); return full })
	if code, hint := exitCode(err); !errors.Is(err, full) && !strings.Contains(err.Error(), full.Error()) || code != exitCannotRun || hint == "" {
		t.Errorf("%v, exit code %d, hint %q", err, code, hint)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left, want 1", len(left))
	}
}

func TestReservedNamesDiffer(t *testing.T) {
	t.Chdir(t.TempDir())
	now := time.Date(2026, 11, 21, 20, 15, 3, 0, time.UTC)
	for _, want := range []string{"weir-20261121-201503.weir", "weir-20261121-201503-2.weir", "weir-20261121-201503-3.weir"} {
		got, err := reserve(now)
		if err != nil || got != want {
			t.Errorf("reserve: %q, %v, want %q", got, err, want)
		}
	}
	for _, want := range []string{"weir-probe-1.journal", "weir-probe-1-2.journal"} {
		if got, err := unused("weir-probe-1", ".journal"); err != nil || got != want {
			t.Errorf("unused: %q, %v, want %q", got, err, want)
		}
	}
}

// The hints of the run that the demonstration makes name flags that it does not have.
func TestDemoHintsNameItsOwnFlags(t *testing.T) {
	_, hint := exitCode(withHint(cannotRun("choose another place with --out", "the disk is full"), demoHint))
	if hint != demoHint {
		t.Errorf("hint %q", hint)
	}
	if err := withHint(verdict(exitFailed), demoHint); err != verdict(exitFailed) {
		t.Errorf("a verdict became %v", err)
	}
}
