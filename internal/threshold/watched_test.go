package threshold

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// beside is a run with one reading of each figure a second.
func beside(n int, figures ...func(i int) tally.Watched) []*tally.Tick {
	run := even(n, 1)
	for i, k := range run {
		for _, f := range figures {
			if w := f(i); w.Name != "" {
				w.At = k.Start
				k.Watched = append(k.Watched, w)
			}
		}
		tally.SortWatched(k.Watched)
	}
	return run
}

func figure(w tally.Watched, values ...float64) func(int) tally.Watched {
	return func(i int) tally.Watched {
		if i >= len(values) || values[i] < 0 {
			return tally.Watched{}
		}
		w.Value = values[i]
		return w
	}
}

func TestWatchedFigures(t *testing.T) {
	pg := func(group, name, unit string, limit float64) tally.Watched {
		return tally.Watched{Source: "PostgreSQL", Group: group, Name: name, Unit: unit, Limit: limit}
	}
	db := beside(10,
		figure(pg("connections", "connections", "", 97), 10, 10, 50, 92, 92, 92, 92, 30, 30, 30),
		figure(pg("connections", "idle in transaction", "", 0), 1, 2, 3, 4, 4, 4, 4, 4, 4, 4),
		figure(pg("longest time", "idle in transaction", "s", 0), 0, 0, 7, 0, 0, 0, 0, 0, 0, 0),
		figure(pg("cache", "hit ratio", "%", 0), -1, 99, 98, 97, 99, 99, 99, 99, 99, 99),
		figure(pg("transactions", "committed", "/s", 0), -1, 100, 100, 100, 100, 100, 100, 100, 100, 40),
	)
	cpu := func(instance string) tally.Watched {
		return tally.Watched{Source: "Prometheus", Group: "CPU", Name: instance, Unit: "%", Limit: 200}
	}
	mon := beside(3, figure(cpu("a"), 20, 30, 40), figure(cpu("b"), 20, 190, 20))
	full := tally.Watched{Source: "PostgreSQL", Group: "connections", Name: "connections", Refused: true}
	refused := beside(4, figure(full, 0, 0, 0, 0))
	cases := []struct {
		expr string
		run  []*tally.Tick
		want Verdict
		text string
		at   time.Duration
	}{
		{"watch{connections}.used > 90%", db, Fail, "94.85% of 97 (PostgreSQL connections)", 4 * time.Second},
		{"watch{connections}.used > 95%", db, Pass, "94.85% of 97", 0},
		{"watch{PostgreSQL connections}.max >= 92", db, Fail, "92 (PostgreSQL connections)", 4 * time.Second},
		{"watch{postgresql Connections}.last > 30", db, Pass, "30", 0},
		{"watch{connections: connections}.min < 11", db, Fail, "10", time.Second},
		{"watch{connections}.mean > 53", db, Pass, "52.8", 0},
		{"watch{connections}.max > 90 for 4s", db, Fail, "held for 4s, from 3s", 7 * time.Second},
		{"watch{connections}.used > 90% for 5s", db, Pass, "held for 4s at most", 0},
		{"watch{idle in transaction}.max > 3", db, NoData, "write one of these", 0},
		{"watch{longest time: idle in transaction}.max > 5s", db, Fail, "7 s (PostgreSQL longest time: idle in transaction)", 3 * time.Second},
		{"watch{longest time: idle in transaction}.max > 5", db, Fail, "7 s", 3 * time.Second},
		{"watch{longest time: idle in transaction}.max > 5%", db, NoData, "cannot be compared with 5%", 0},
		{"watch{connections}.max > 5s", db, NoData, "a number without a unit", 0},
		{"watch{hit ratio}.min < 97.5%", db, Fail, "97% (PostgreSQL cache: hit ratio)", 4 * time.Second},
		{"watch{hit ratio}.used > 97.5%", db, NoData, "has no limit", 0},
		{"watch{committed}.min < 50/s", db, Fail, "40/s", 10 * time.Second},
		{"expect watch{committed}.min >= 50/s", db, Fail, "40/s", 0},
		{"expect watch{connections}.used < 95%", db, Pass, "94.85%", 0},
		{"watch{CPU}.max > 150%", mon, Fail, "190% (Prometheus CPU: b)", 2 * time.Second},
		{"watch{CPU}.used >= 95%", mon, Fail, "95% of 200 (Prometheus CPU: b)", 2 * time.Second},
		{"watch{CPU}.last < 30", mon, Fail, "20% (Prometheus CPU: b)", 3 * time.Second},
		{"expect watch{CPU}.last >= 30", mon, Fail, "20%", 0},
		{"watch{CPU}.max < 50%", mon, Fail, "40% (Prometheus CPU: a)", time.Second},
		{"watch{CPU: a}.max > 40", mon, Pass, "40%", 0},
		{"watch{memory}.max > 1", mon, NoData, `nothing that is watched is called "memory"`, 0},
		{"watch{CPU}.max > 1 for 2s", even(5, 1), NoData, "nothing that is watched", 0},
		{"watch{connections}.used >= 100%", refused, Fail, "100% (PostgreSQL connections)", time.Second},
		{"watch{connections}.max > 1", refused, NoData, "was not read", 0},
		{"watch{connections}.used > 90%", ticksOf(nil), NoData, "nothing that is watched", 0},
	}
	for _, c := range cases {
		got, stopped := judge(t, c.expr, c.run)
		if got.Verdict != c.want || !strings.Contains(got.Value, c.text) || got.At != c.at {
			t.Errorf("%s: %v (%s) at %v, want %v (%s) at %v", c.expr, got.Verdict, got.Value, got.At, c.want, c.text, c.at)
		}
		if got.Verdict == NoData && stopped >= 0 {
			t.Errorf("%s: stops the run without data", c.expr)
		}
	}
	if len(cases) < 25 {
		t.Fatal("cases are missing")
	}
}
