package runfile

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	childWrites = "WEIR_TEST_WRITE" // path of a run file to write until killed
	childReads  = "WEIR_TEST_READ"  // path of a run file to read and count
)

// TestMain lets the test binary be a writer that is killed, or a reader without rights.
func TestMain(m *testing.M) {
	if path := os.Getenv(childWrites); path != "" {
		writeForEver(path)
	}
	if path := os.Getenv(childReads); path != "" {
		readAndCount(path)
	}
	os.Exit(m.Run())
}

func writeForEver(path string) {
	w, err := Create(path, testMeta)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for i := range 10_000 {
		if err := w.Append(busyTick(i, 3)); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("stored", i+1)
	}
	os.Exit(1)
}

func readAndCount(path string) {
	r, err := Open(path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	n := 0
	for _, err := range r.Ticks() {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		n++
	}
	fmt.Println("read", n)
	if err := r.Close(); err != nil {
		fmt.Println("error", err)
	}
	os.Exit(0)
}

// killedRun starts a writer, kills it after so many ticks were stored, and
// returns how many it said it had stored.
func killedRun(t *testing.T, path string, after int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childWrites+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stored := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word != "stored" {
			t.Fatalf("the writer says %q", lines.Text())
		}
		if stored, err = strconv.Atoi(rest); err != nil {
			t.Fatal(err)
		}
		if stored == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	return stored
}

func TestKilledRunCanBeRead(t *testing.T) {
	for _, after := range []int{1, 7, 33} {
		path := filepath.Join(t.TempDir(), "r.weir")
		stored := killedRun(t, path, after)
		r, ticks := readAll(t, path)
		if len(ticks) < stored {
			t.Errorf("killed after %d: %d ticks are left, want at least %d", after, len(ticks), stored)
		}
		if r.End != nil || r.Meta.ID != testMeta.ID {
			t.Errorf("End = %v, Meta.ID = %q; want no end, and the description", r.End, r.Meta.ID)
		}
		for i, k := range ticks {
			if diff := cmp.Diff(busyTick(i, 3), k, equalTicks); diff != "" {
				t.Fatalf("tick %d (-want +got):\n%s", i, diff)
			}
		}
	}
}

func TestKilledRunIsReadAgainAndReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	stored := killedRun(t, path, 5)
	for range 3 {
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(collect(t, r)); n < stored {
			t.Fatalf("read %d ticks, want at least %d", n, stored)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	w := newWriter(t, path, Overwrite())
	if err := w.Finish(End{}); err != nil {
		t.Fatal(err)
	}
	if _, ticks := readAll(t, path); len(ticks) != 0 {
		t.Errorf("%d old ticks are in the new run", len(ticks))
	}
}

func TestMainFileAloneWasCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	stored := killedRun(t, path, 3*checkpointEvery+5)
	alone := filepath.Join(t.TempDir(), "copy.weir")
	if err := copyFile(alone, path); err != nil {
		t.Fatal(err)
	}
	r, ticks := readAll(t, alone)
	if len(ticks) < stored-2*checkpointEvery || r.End != nil || r.Meta.ID != testMeta.ID {
		t.Errorf("%d ticks of %d, End %v, ID %q", len(ticks), stored, r.End, r.Meta.ID)
	}
	for i, k := range ticks {
		if diff := cmp.Diff(busyTick(i, 3), k, equalTicks); diff != "" {
			t.Fatalf("tick %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestReadOnlyDirectory reads, without the right to write beside it, a run that
// was killed, a copy without its log, one under way, and a finished one.
func TestReadOnlyDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("rights are different there")
	}
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
