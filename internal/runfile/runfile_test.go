package runfile

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
)

var testMeta = Meta{
	ID: "r1", Started: time.Date(2026, 11, 21, 10, 0, 0, 5, time.UTC), Weir: "0.1.0", Args: []string{"run", "http://127.0.0.1:1/", "-u", "3"},
	Target: "GET http://127.0.0.1:1/", Plan: json.RawMessage(`{"users":3}`), Host: "h", OS: "linux/amd64", CPUs: 2, Seed: 1<<64 - 1,
	FailIf: []string{"failed.count > 0"}, Labels: map[string]string{"branch": "main"},
}

var testEnd = End{
	Ended: time.Date(2026, 11, 21, 10, 1, 0, 0, time.UTC), Reason: "the plan was done", Unfinished: 2, Verdict: "failed", ExitCode: 1, Notes: []string{"n"},
	Statements: []tally.Statement{{Source: "PostgreSQL", ID: "-7", Text: "select ?", Calls: 3, Time: 5 * time.Millisecond, Rows: 9}},
	Checks: []threshold.Check{
		{Expr: "failed.count > 0", Verdict: threshold.Fail, Value: "3", At: 21 * time.Second},
		{Expr: "admitted.p95 > 1s", Verdict: threshold.NoData, Value: "there were no admitted hits"},
		{Expr: "missed.count > 0", Verdict: threshold.Pass, Value: "0"},
	},
}

func newWriter(t testing.TB, path string, opts ...Option) *Writer {
	t.Helper()
	w, err := Create(path, testMeta, opts...)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

func appendAll(t testing.TB, w *Writer, ticks ...*tally.Tick) {
	t.Helper()
	for _, k := range ticks {
		if err := w.Append(k); err != nil {
			t.Fatalf("Append(%d): %v", k.Index, err)
		}
	}
}

func TestRoundTripOfEverythingRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name %41?mode=ro#x 'y.weir")
	w := newWriter(t, path)
	appendAll(t, w, busyTick(0, 2), busyTick(1, 3))
	if err := w.Finish(testEnd); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	r, ticks := readAll(t, path)
	if diff := cmp.Diff(testMeta, r.Meta); diff != "" {
		t.Errorf("Meta (-want +got):\n%s", diff)
	}
	if r.End == nil {
		t.Fatal("End = nil, want the end")
	}
	if diff := cmp.Diff(testEnd, *r.End); diff != "" {
		t.Errorf("End (-want +got):\n%s", diff)
	}
	if r.Partial() {
		t.Error("Partial = true for a finished run")
	}
	if diff := cmp.Diff([]*tally.Tick{busyTick(0, 2), busyTick(1, 3)}, ticks, equalTicks); diff != "" {
		t.Errorf("Ticks (-want +got):\n%s", diff)
	}
}

func TestTicksComeBackAsTheyWere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	r, _ := readAll(t, path)
	next := 0
	rapid.Check(t, func(t *rapid.T) {
		after := int64(next - 1)
		var want []*tally.Tick
		for range rapid.IntRange(1, 3).Draw(t, "ticks") {
			want = append(want, genTick(t, next))
			next += 1 + rapid.IntRange(0, 2).Draw(t, "gap")
		}
		for _, k := range want {
			if err := w.Append(k); err != nil {
				t.Fatalf("Append: %v", err)
			}
		}
		got, err := r.some(context.Background(), after)
		if err != nil {
			t.Fatalf("some: %v", err)
		}
		if diff := cmp.Diff(want, got, equalTicks); diff != "" {
			t.Errorf("ticks (-want +got):\n%s", diff)
		}
	})
}

func TestMoreTicksThanAreReadAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	const n = 2*readAhead + 3
	for i := range n {
		appendAll(t, w, busyTick(i, 1))
	}
	r, ticks := readAll(t, path)
	if len(ticks) != n {
		t.Fatalf("read %d ticks, want %d", len(ticks), n)
	}
	for i, k := range ticks {
		if diff := cmp.Diff(busyTick(i, 1), k, equalTicks); diff != "" {
			t.Fatalf("tick %d (-want +got):\n%s", i, diff)
		}
	}
	seen := 0
	for range r.Ticks() {
		if seen++; seen == 3 {
			break
		}
	}
	if again := collect(t, r); len(again) != n {
		t.Errorf("after a broken-off range, read %d ticks, want %d", len(again), n)
	}
}

func TestOneFileIsLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.weir")
	w := newWriter(t, path)
	appendAll(t, w, busyTick(0, 1))
	if err := w.Finish(End{}); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || files[0].Name() != "r.weir" {
		t.Errorf("files = %v, want r.weir alone", files)
	}
	header, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// https://www.sqlite.org/fileformat2.html, 1.3 "The Database Header": 1 is rollback journal, 2 is WAL.
	if header[18] != 1 || header[19] != 1 {
		t.Errorf("file format versions = %d %d, want 1 1 (no log needed)", header[18], header[19])
	}
}

func TestReaderBesideWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	r, ticks := readAll(t, path)
	if len(ticks) != 0 || r.End != nil || !r.Partial() {
		t.Errorf("before the first tick: %d ticks, End %v, Partial %v", len(ticks), r.End, r.Partial())
	}
	for i := range 25 {
		appendAll(t, w, busyTick(i, 1))
		if got := len(collect(t, r)); got != i+1 {
			t.Fatalf("a reader saw %d ticks after %d were appended", got, i+1)
		}
	}
	if err := w.Finish(testEnd); err != nil {
		t.Fatalf("Finish beside a reader: %v", err)
	}
	r2, ticks := readAll(t, path)
	if len(ticks) != 25 || r2.End == nil {
		t.Errorf("after Finish: %d ticks, End %v; want 25 and an end", len(ticks), r2.End)
	}
}

func TestCloseWithoutFinishIsPartial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	appendAll(t, w, busyTick(0, 1))
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	r, ticks := readAll(t, path)
	if r.End != nil || !r.Partial() || len(ticks) != 1 {
		t.Errorf("End = %v, Partial = %v, %d ticks; want nil, true, 1", r.End, r.Partial(), len(ticks))
	}
	if err := w.Append(busyTick(1, 1)); err == nil {
		t.Error("Append after Close: no error")
	}
	if err := w.Finish(End{}); err == nil {
		t.Error("Finish after Close: no error")
	}
}

func TestCreateWhereSomethingIs(t *testing.T) {
	foreign := func(t *testing.T, path string) {
		db, err := database(path, "mode=rwc")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("CREATE TABLE t (a)"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	finished := func(t *testing.T, path string) {
		w := newWriter(t, path)
		appendAll(t, w, busyTick(0, 1))
		if err := w.Finish(testEnd); err != nil {
			t.Fatal(err)
		}
	}
	killed := func(t *testing.T, path string) {
		finished(t, path)
		// as a killed writer leaves them
		write("stale")(t, path+"-wal")
		write("stale")(t, path+"-shm")
	}
	live := func(t *testing.T, path string) { appendAll(t, newWriter(t, path), busyTick(0, 1)) }
	for name, test := range map[string]struct {
		make      func(*testing.T, string)
		overwrite bool
		want      error
		text      string
	}{
		"nothing":                     {func(*testing.T, string) {}, false, nil, ""},
		"nothing, a stale log":        {func(t *testing.T, p string) { write("stale")(t, p+"-wal") }, false, nil, ""},
		"an empty file":               {write(""), false, nil, ""},
		"a run file":                  {finished, false, ErrExists, "another name"},
		"a run file, overwrite":       {finished, true, nil, ""},
		"a killed run, overwrite":     {killed, true, nil, ""},
		"a run under way":             {live, false, ErrInUse, ""},
		"a run under way, overwrite":  {live, true, ErrInUse, ""},
		"a text":                      {write("do not lose this\n"), true, ErrNotRunFile, "not replaced"},
		"a long text":                 {write(strings.Repeat("do not lose this\n", 1000)), true, ErrNotRunFile, ""},
		"another database, overwrite": {foreign, true, ErrNotRunFile, "not replaced"},
		"a directory": {func(t *testing.T, p string) {
			if err := os.Mkdir(p, 0o700); err != nil {
				t.Fatal(err)
			}
		}, true, nil, "directory"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.weir")
			test.make(t, path)
			before, _ := os.ReadFile(path)
			var opts []Option
			if test.overwrite {
				opts = append(opts, Overwrite())
			}
			w, err := Create(path, Meta{ID: "new"}, opts...)
			if test.want == nil && test.text == "" {
				if err != nil {
					t.Fatalf("Create: %v", err)
				}
				if err := w.Finish(End{}); err != nil {
					t.Fatalf("Finish: %v", err)
				}
				r, ticks := readAll(t, path)
				if r.Meta.ID != "new" || len(ticks) != 0 {
					t.Errorf("read %q with %d ticks, want the new run", r.Meta.ID, len(ticks))
				}
				return
			}
			if err == nil {
				w.Close()
				t.Fatal("Create: no error")
			}
			if test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), path) {
				t.Errorf("Create: %v, want %v with %q and the path", err, test.want, test.text)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the refused Create changed the file")
			}
		})
	}
}

func TestCreateInNoDirectory(t *testing.T) {
	for path, want := range map[string]string{
		"": "empty",
		filepath.Join(t.TempDir(), "missing", "r.weir"): "there is no directory",
		"/dev/null": "not a regular file",
	} {
		if w, err := Create(path, Meta{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Create(%q): %v, want %q", path, err, want)
			if w != nil {
				w.Close()
			}
		}
	}
}

func TestNewerSchemaSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	if _, err := w.conn.ExecContext(context.Background(), "PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(End{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "schema is 2") {
		t.Errorf("Open: %v, want ErrNewer that names schema 2", err)
	}
}

func TestFullDiskIsReportedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	appendAll(t, w, busyTick(0, 1))
	ctx := context.Background()
	var pages int
	if err := w.conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := w.conn.QueryRowContext(ctx, "PRAGMA max_page_count = 1").Scan(&pages); err != nil { // the least it can be: what is there
		t.Fatal(err)
	}
	err := w.Append(busyTick(1, 200))
	if err == nil || !strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), "tick 1") {
		t.Fatalf("Append on a full disk: %v, want the reason and the tick", err)
	}
	for i := 2; i < 5; i++ {
		if err := w.Append(busyTick(i, 1)); err != nil {
			t.Errorf("Append(%d) after the failure: %v, want nil", i, err)
		}
	}
	if !errors.Is(w.Err(), err) {
		t.Errorf("Err() = %v, want %v", w.Err(), err)
	}
	if got := w.Finish(End{Reason: "done"}); !errors.Is(got, err) {
		t.Errorf("Finish = %v, want the reason again", got)
	}
	r, ticks := readAll(t, path)
	if len(ticks) != 1 || ticks[0].Index != 0 {
		t.Errorf("%d ticks are left, want the unbroken beginning: tick 0", len(ticks))
	}
	if r.End == nil || r.End.LostTicks != 4 || !r.Partial() {
		t.Errorf("End = %+v, Partial = %v; want 4 lost ticks and true", r.End, r.Partial())
	}
}

func TestUnknownOutcomeIsAnError(t *testing.T) {
	w := newWriter(t, filepath.Join(t.TempDir(), "r.weir"))
	if err := w.Append(&tally.Tick{Series: []tally.Series{{Outcome: 9}}}); err == nil {
		t.Error("Append: no error")
	}
}

func TestNumbersForSQLUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	appendAll(t, w, busyTick(0, 3), busyTick(1, 3))
	if err := w.Finish(testEnd); err != nil {
		t.Fatal(err)
	}
	db, err := database(path, "mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for query, want := range map[string]int64{
		"SELECT sum(sent) FROM tick":                                                                    2 * 295,
		"SELECT sum(admitted) FROM tick":                                                                300,
		"SELECT sum(throttled + failed + missed) FROM tick":                                             900,
		"SELECT sum(count) FROM code WHERE status = 429 AND outcome = 'throttled'":                      150,
		"SELECT count(*) FROM series WHERE p50_ns IS NULL":                                              6,
		"SELECT max(max_ns) FROM series":                                                                int64(2402*100*time.Microsecond) + 1,
		"SELECT sum(f.count) FROM failed f JOIN error e ON e.id = f.error WHERE e.text LIKE '%refused'": 6,
		"SELECT count(*) FROM error":                                                                    1,
		"SELECT count(*) FROM name":                                                                     3,
		"SELECT count(*) FROM event WHERE json_extract(data, '$.rate') = 200":                           2,
		"SELECT count(*) FROM verdict WHERE verdict = 'no-data'":                                        1,
		"SELECT json_extract(value, '$.exit_code') FROM run WHERE key = 'end'":                          1,
		"SELECT json_extract(value, '$.users') FROM run WHERE key = 'plan'":                             3,
		"SELECT count(*) FROM outbox":                                                                   0,
	} {
		var got int64
		if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %d, %v; want %d", query, got, err, want)
		}
	}
}

// What a tick costs at 20 names with four outcomes each: 80 series rows.
func BenchmarkAppend(b *testing.B) {
	path := filepath.Join(b.TempDir(), "r.weir")
	w := newWriter(b, path)
	n := 0
	for b.Loop() {
		b.StopTimer()
		k := busyTick(n, 20)
		b.StartTimer()
		appendAll(b, w, k)
		n++
	}
	if err := w.Finish(End{}); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/float64(n), "file-B/tick")
}

// A file that another program began to fill in the same moment is that
// program's: Create gives up, and does not take it away.
func TestCreateLeavesAFileThatIsBeingFilled(t *testing.T) {
	t.Parallel() // it waits five seconds for the other one
	path := filepath.Join(t.TempDir(), "r.weir")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := database(path, "mode=rw")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, Meta{}, Overwrite()); !errors.Is(err, ErrInUse) {
		t.Errorf("Create: %v, want ErrInUse", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file of the other program is gone: %v", err)
	}
}
