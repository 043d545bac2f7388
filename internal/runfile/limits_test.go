package runfile

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/tally"
)

func limitsTick(index int) *tally.Tick {
	h := func(d time.Duration) *hist.Hist {
		x := &hist.Hist{}
		x.Record(d)
		return x
	}
	k := busyTick(index, 1)
	k.Limits = &tally.Limits{
		Told: []tally.Told{{Method: "GET", Name: "/a", Limit: "minute", Dialect: "kong", Quota: 100, Left: 40, Least: 39, Window: time.Minute,
			Reset: time.Second, Read: 20, Used: 12.5, Binds: true, Forecast: "within", Soonest: time.Second, Latest: 2 * time.Second}},
		Clashes: []tally.Clash{{Method: "GET", Name: "/a", Kind: "untrue", Text: "more is left than the quota allows", Count: 3, First: 7}},
		Waits:   []tally.Waits{{Method: "GET", Name: "/a", Told: 4, Untold: 1, Longest: time.Second, KeptPassed: 2, EarlyRefused: 1}},
		Work: []tally.Work{
			{Method: "GET", Name: "/a", Done: 5, GaveUp: 1, Requests: 9, Again: 2, Last: 6, Total: h(time.Second)},
			{Method: "GET", Name: "/b", Held: 5, Unsent: 1, HeldFor: h(time.Minute)},
		},
	}
	return k
}

func TestLimitsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.weir")
	w := newWriter(t, path)
	want := []*tally.Tick{limitsTick(0), busyTick(1, 1), limitsTick(2)}
	appendAll(t, w, limitsTick(0), busyTick(1, 1), limitsTick(2))
	if err := w.Finish(testEnd); err != nil {
		t.Fatalf("Finish: %v", err)
	}
	_, ticks := readAll(t, path)
	if diff := cmp.Diff(want, ticks, equalTicks); diff != "" {
		t.Errorf("ticks (-want +got):\n%s", diff)
	}
	db, err := database(path, "mode=rw")
	if err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.QueryRow("SELECT limits ->> '$.told[0].left' FROM told WHERE tick = 2").Scan(&left); err != nil || left != 40 {
		t.Errorf("by SQL %d are left, %v", left, err)
	}
	// A file as it was written before limits were read.
	if _, err := db.ExecContext(context.Background(), "DROP TABLE told"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, ticks = readAll(t, path)
	for _, k := range want {
		k.Limits = nil
	}
	if diff := cmp.Diff(want, ticks, equalTicks); diff != "" {
		t.Errorf("without the table (-want +got):\n%s", diff)
	}
}
