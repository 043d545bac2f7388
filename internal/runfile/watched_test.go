package runfile

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/internal/tally"
)

// TestFileWithoutWatchedTables opens a file as it was written before there were
// watches: the same schema number, without the tables.
func TestFileWithoutWatchedTables(t *testing.T) {
	for _, drop := range [][]string{{"watched", "watch"}, {"watched"}} {
		path := filepath.Join(t.TempDir(), "old.weir")
		w := newWriter(t, path)
		appendAll(t, w, busyTick(0, 1), busyTick(1, 1))
		if err := w.Finish(testEnd); err != nil {
			t.Fatalf("Finish: %v", err)
		}
		db, err := database(path, "mode=rw")
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range drop {
			if _, err := db.ExecContext(context.Background(), "DROP TABLE "+table); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, ticks := readAll(t, path)
		want := []*tally.Tick{busyTick(0, 1), busyTick(1, 1)}
		for _, k := range want {
			k.Watched = nil
		}
		if diff := cmp.Diff(want, ticks, equalTicks); diff != "" {
			t.Errorf("without %v: ticks (-want +got):\n%s", drop, diff)
		}
	}
}

func TestWatchedForSQLUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.weir")
	w := newWriter(t, path)
	k := busyTick(0, 1)
	k.Watched = append(k.Watched,
		tally.Watched{At: time.Second, Source: "PostgreSQL", Group: "locks", Name: "deadlocks", Value: 2},
		tally.Watched{At: 2 * time.Second, Source: "PostgreSQL", Group: "connections", Name: "connections", LimitName: "max_connections", Refused: true})
	appendAll(t, w, k)
	if err := w.Finish(testEnd); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	db, err := database(path, "mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		query string
		want  float64
	}{
		{"SELECT count(*) FROM watch", 2}, // the name of a figure is kept once
		{"SELECT count(*) FROM watched", 3},
		{"SELECT max(value / limit_value) FROM watched", 1},
		{"SELECT count(*) FROM watched WHERE limit_value IS NULL", 2},
		{"SELECT sum(refused) FROM watched", 1},
		{"SELECT value FROM watched JOIN watch ON id = watch WHERE chart = 'locks' AND name = 'deadlocks'", 2},
	} {
		var got float64
		if err := db.QueryRow(c.query).Scan(&got); err != nil {
			t.Errorf("%s: %v", c.query, err)
		} else if got != c.want {
			t.Errorf("%s = %v, want %v", c.query, got, c.want)
		}
	}
}
