//go:build unix

package runfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestReadOnlyDirectory reads, without the right to write beside it, a run that
// was killed, a copy without its log, one under way, and a finished one.
func TestReadOnlyDirectory(t *testing.T) {
	killed := func(t *testing.T, path string) int { return killedRun(t, path, 15) }
	for name, test := range map[string]struct {
		make  func(t *testing.T, path string) int
		least func(stored int) int
	}{
		"killed": {killed, func(n int) int { return n }},
		"killed, without the index of the log": {func(t *testing.T, path string) int {
			n := killed(t, path)
			if err := os.Remove(path + "-shm"); err != nil {
				t.Fatal(err)
			}
			return n
		}, func(n int) int { return n }},
		"killed, the file alone": {func(t *testing.T, path string) int {
			n := killed(t, path)
			if err := removeAll(path+"-shm", path+"-wal"); err != nil {
				t.Fatal(err)
			}
			return n
		}, func(n int) int { return n - 2*checkpointEvery }},
		"under way": {func(t *testing.T, path string) int {
			w := newWriter(t, path)
			for i := range 15 {
				appendAll(t, w, busyTick(i, 1))
			}
			return 15
		}, func(n int) int { return n }},
		"finished": {func(t *testing.T, path string) int {
			w := newWriter(t, path)
			appendAll(t, w, busyTick(0, 1))
			if err := w.Finish(testEnd); err != nil {
				t.Fatal(err)
			}
			return 1
		}, func(n int) int { return n }},
	} {
		t.Run(name, func(t *testing.T) {
			// Outside t.TempDir, whose upper directory others may not enter.
			home, err := os.MkdirTemp("", "weir-read-only-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.RemoveAll(home); err != nil {
					t.Error(err)
				}
			})
			bin, dir := filepath.Join(home, "reader"), filepath.Join(home, "runs")
			if err := firstError(copyFile(bin, os.Args[0]), os.Chmod(bin, 0o755), os.Chmod(home, 0o755), os.Mkdir(dir, 0o755)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "r.weir")
			stored := test.make(t, path)
			files, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if err := os.Chmod(filepath.Join(dir, f.Name()), 0o444); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Error(err)
				}
			})
			cmd := exec.Command(bin)
			cmd.Env = append(os.Environ(), childReads+"="+path, "TMPDIR="+os.TempDir())
			cmd.Dir = home
			if os.Geteuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
			out, err := cmd.CombinedOutput()
			var n int
			if _, serr := fmt.Sscanf(string(out), "read %d", &n); err != nil || serr != nil {
				t.Fatalf("the reader says %q, %v", out, err)
			}
			if n < test.least(stored) {
				t.Errorf("read %d of %d ticks, want at least %d", n, stored, test.least(stored))
			}
		})
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
