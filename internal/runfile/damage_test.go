package runfile

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// finishedFile returns the bytes of a run file with that many ticks.
func finishedFile(t testing.TB, ticks int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	for i := range ticks {
		appendAll(t, w, busyTick(i, 2))
	}
	if err := w.Finish(testEnd); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tryRead opens and reads bytes as a run file. It returns the number of ticks
// before the first error.
func tryRead(t testing.TB, b []byte) (ticks int, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.weir")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for _, err := range r.Ticks() {
		if err != nil {
			return ticks, err
		}
		ticks++
	}
	return ticks, nil
}

func TestOpenOfOtherThings(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "one byte": "x", "text": "hello, world\n", "long text": strings.Repeat("hello, world\n", 5000),
		"zeroes": strings.Repeat("\x00", 8192), "magic alone": "SQLite format 3\x00", "magic and zeroes": "SQLite format 3\x00" + strings.Repeat("\x00", 8192),
		"magic and noise": "SQLite format 3\x00" + strings.Repeat("\xa5\x17\xff", 4000),
	} {
		if _, err := tryRead(t, []byte(content)); !errors.Is(err, ErrNotRunFile) {
			t.Errorf("Open of %s: %v, want ErrNotRunFile", name, err)
		}
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("Open of a directory: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.weir")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("Open of nothing: %v", err)
	}
}

func TestCutShort(t *testing.T) {
	whole := finishedFile(t, 30)
	if n, err := tryRead(t, whole); n != 30 || err != nil {
		t.Fatalf("the whole file: %d ticks, %v", n, err)
	}
	cuts := 0
	for size := len(whole) - 1; size > 0; size -= 1 + len(whole)/40 {
		n, err := tryRead(t, whole[:size])
		if err == nil {
			t.Errorf("cut to %d of %d bytes: no error, %d ticks", size, len(whole), n)
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotRunFile) {
			t.Errorf("cut to %d of %d bytes: %v, want ErrDamaged", size, len(whole), err)
		}
		cuts++
	}
	if cuts < 20 {
		t.Fatalf("tried %d cuts", cuts)
	}
}

func TestWrittenOver(t *testing.T) {
	whole := finishedFile(t, 3)
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range 300 {
		b := append([]byte(nil), whole...)
		at := rng.IntN(len(b))
		if i%2 == 0 { // the heads of pages are where structure is
			at = at/4096*4096 + rng.IntN(100)
		}
		for j := range min(1+rng.IntN(8), len(b)-at) {
			b[at+j] = byte(rng.Uint32())
		}
		_, err := tryRead(t, b)
		if err == nil {
			continue // a byte that nobody reads, or one value for another
		}
		refused++
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotRunFile) && !errors.Is(err, ErrNewer) {
			t.Errorf("written over at %d: %v, want a reason that callers know", at, err)
		}
	}
	if refused < 30 {
		t.Fatalf("%d of 300 damaged files were refused: the test does not damage enough", refused)
	}
}

// FuzzOpen writes over parts of a good file.
func FuzzOpen(f *testing.F) {
	whole := finishedFile(f, 3)
	for i := range 40 {
		f.Add(uint32(i*i*i*7), []byte{byte(i), 0xff, 0x00, byte(255 - i)})
	}
	f.Add(uint32(100), []byte("\x0d\x00\x00\x00\x7f\x7f\xff"))
	f.Fuzz(func(t *testing.T, at uint32, over []byte) {
		b := append([]byte(nil), whole...)
		copy(b[int(at)%len(b):], over)
		_, _ = tryRead(t, b) // an error or not, never a panic, never for ever
	})
}
