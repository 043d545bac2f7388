package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// watchedTicks is a run with one figure, one reading a second; NaN is a missing one.
func watchedTicks(w tally.Watched, values ...float64) []*tally.Tick {
	var ticks []*tally.Tick
	for i, v := range values {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second}
		if !math.IsNaN(v) {
			w.At, w.Value = k.Start, v
			k.Watched = []tally.Watched{w}
		}
		ticks = append(ticks, k)
	}
	return ticks
}

func TestTheBottleneckIsNamed(t *testing.T) {
	db := tally.Watched{Source: "PostgreSQL", Group: "connections", Name: "connections", Limit: 97, LimitName: "max_connections 100 less 3 reserved"}
	cpu := tally.Watched{Source: "Prometheus", Group: "CPU", Name: "instance=a", Unit: "%", Limit: 100, LimitName: "limit"}
	full := tally.Watched{Source: "PostgreSQL", Group: "connections", Name: "connections", Refused: true}
	dead := tally.Watched{Source: "PostgreSQL", Group: "locks", Name: "deadlocks since the start"}
	repeat := func(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }
	cases := []struct {
		name   string
		figure tally.Watched
		values []float64
		want   string // "": nothing is said of it
	}{
		{"to the end", db, append(repeat(31, 50), repeat(29, 97)...), "Bottleneck: PostgreSQL connections reached 97 of 97 (max_connections 100 less 3 reserved) from 31.0 s on."},
		{"for a while", db, slices.Concat(repeat(10, 50), repeat(5, 95), repeat(10, 20)), "Bottleneck: PostgreSQL connections reached 95 of 97 (max_connections 100 less 3 reserved) from 10.0 s to 14.0 s."},
		{"twice", db, slices.Concat(repeat(5, 97), repeat(5, 10), repeat(5, 97)), "from 0.0 s to 4.0 s, and 1 more time."},
		{"a moment", db, slices.Concat(repeat(10, 50), repeat(2, 97), repeat(10, 20)), ""},
		{"never", db, repeat(20, 80), ""},
		{"with a unit", cpu, repeat(9, 99.5), "Bottleneck: Prometheus CPU, instance=a, reached 99.5 % of 100 % from 0.0 s on."},
		{"refused from the start", full, repeat(9, 0), "Bottleneck: PostgreSQL connections had none left from 0.0 s on. It refused further connections."},
		{"one", dead, []float64{0, 0, 1, 1}, "PostgreSQL counted 1 deadlock."},
		{"several", dead, []float64{0, 3, 3, 4}, "PostgreSQL counted 4 deadlocks."},
		{"none", dead, []float64{0, 0, 0, 0}, ""},
	}
	for _, c := range cases {
		s := build(t, Run{Ticks: each1(watchedTicks(c.figure, c.values...))})
		all := strings.Join(s.Answer, " ")
		if c.want != "" && !strings.Contains(all, c.want) {
			t.Errorf("%s: the answer is %q, want %q in it", c.name, all, c.want)
		}
		if c.want == "" && (strings.Contains(all, "Bottleneck") || strings.Contains(all, "counted")) {
			t.Errorf("%s: the answer is %q, want nothing of a bottleneck", c.name, all)
		}
	}
	if len(cases) < 10 {
		t.Fatal("cases are missing")
	}
}

func TestManyBottlenecksAreCounted(t *testing.T) {
	var ticks []*tally.Tick
	for i := range 10 {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second}
		for n := range 6 {
			if i >= 6-n {
				k.Watched = append(k.Watched, tally.Watched{At: k.Start, Source: "P", Group: "g", Name: fmt.Sprint("n", n), Value: 10, Limit: 10})
			}
		}
		ticks = append(ticks, k)
	}
	s := build(t, Run{Ticks: each1(ticks)})
	got := bottleneckWords(s)
	if len(got) != mostBottlenecks+1 || !strings.Contains(got[0], "n5, reached") || got[mostBottlenecks] != "3 more watched figures were at their limits." {
		t.Errorf("bottlenecks %q, want the three that began first and a count", got)
	}
}

func TestWatchedSeries(t *testing.T) {
	s := build(t, watchedRun())
	type chart struct {
		title string
		lines []string
	}
	want := []chart{
		{"PostgreSQL: connections", []string{"connections", "active", "idle", "limit"}},
		{"PostgreSQL: locks", []string{"deadlocks since the start"}},
		{"PostgreSQL: longest", []string{"transaction"}},
		{"PostgreSQL: transactions per second", []string{"committed"}},
		{"Prometheus: CPU, %", []string{"instance=web-1", "instance=web-2", "limit"}},
		{"Prometheus: free memory", []string{"free memory"}},
	}
	charts, quiet, _ := watchCharts(s)
	if len(charts) != len(want) || !slices.Equal(quiet, []string{"PostgreSQL: temporary files"}) {
		t.Fatalf("%d charts, want %d; quiet %q", len(charts), len(want), quiet)
	}
	for i, c := range charts {
		var lines []string
		for _, l := range c.Lines {
			lines = append(lines, l.Name)
			if len(l.Data) != len(s.Series.At) {
				t.Errorf("%s, %s: %d points, want %d", c.title, l.Name, len(l.Data), len(s.Series.At))
			}
		}
		if c.title != want[i].title || !slices.Equal(lines, want[i].lines) {
			t.Errorf("chart %d is %s with %q, want %s with %q", i, c.title, lines, want[i].title, want[i].lines)
		}
	}
	if charts[0].Every != 1 || charts[4].Every != 5 {
		t.Errorf("readings every %v s and %v s, want 1 and 5", charts[0].Every, charts[4].Every)
	}
	data := charts[0].Lines[0].Data
	for i, v := range data {
		missing := i >= 40 && i < 43
		if (v == nil) != missing {
			t.Errorf("point %d is %v: what was not read must be missing, and nothing else", i, v)
		}
	}
	table := newPage(s).watchBlocks()[0].Table
	if got := table.Rows[41].Cells; !slices.Equal(got, []string{"–", "–", "–", "–"}) {
		t.Errorf("row of a second without a reading: %q, want dashes", got)
	}
	if got := table.Rows[31].Cells[:2]; !slices.Equal(got, []string{"97", "97"}) || table.Head[1] != "limit" {
		t.Errorf("row %q under %q, want 97 beside its limit 97", got, table.Head)
	}
}

// TestThinnedSeriesKeepTheHighest joins the seconds of a long run.
func TestThinnedSeriesKeepTheHighest(t *testing.T) {
	values := slices.Repeat([]float64{1}, 2*maxPoints+100)
	values[1001], values[2000] = 97, math.NaN()
	s := build(t, Run{Ticks: each1(watchedTicks(tally.Watched{Source: "P", Group: "g", Name: "n", Limit: 100}, values...))})
	if s.Series.Step < 2 || len(s.Series.Watched) != 1 {
		t.Fatalf("step %d with %d watched figures, want thinned points and one figure", s.Series.Step, len(s.Series.Watched))
	}
	w := s.Series.Watched[0]
	high := 0
	for i, v := range w.Values {
		if v == nil || w.Limits[i] == nil || *w.Limits[i] != 100 {
			t.Fatalf("point %d is %v of %v, want a value and 100", i, v, w.Limits[i])
		}
		if *v == 97 {
			high++
		}
	}
	if high != 1 || len(w.Values) != len(s.Series.At) {
		t.Errorf("%d points of %d show the highest reading, want one of %d", high, len(w.Values), len(s.Series.At))
	}
}

func TestFigUnit(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{97, "", "97"}, {0.25, "", "0.25"}, {99.5, "%", "99.5 %"}, {0.0042, "s", "4.20 ms"}, {75, "s", "1 min 15 s"}, {-1, "s", "-1.00 s"},
		{2.5e9, "bytes", "2.50 GB"}, {1e3, "bytes/s", "1.00 kB/s"}, {1234, "/s", "1,234/s"}, {3, "targets", "3 targets"}, {1e300, "s", figTime(secDuration(1e9))},
	} {
		if got := figUnit(c.v, c.unit); got != c.want {
			t.Errorf("figUnit(%v, %q) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}
