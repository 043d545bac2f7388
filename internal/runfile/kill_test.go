package runfile

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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

func TestCopyOfAKilledRunIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "r.weir")
	stored := killedRun(t, path, 12)
	r, err := openCopy(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(collect(t, r)); n < stored || r.Path != path {
		t.Errorf("read %d of %d ticks of %s", n, stored, r.Path)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := openCopy(path + "-none"); err == nil {
		t.Error("openCopy of nothing: no error")
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind after an error: %v, %v", left, err)
	}
}
