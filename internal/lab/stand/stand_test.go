package stand

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

func perSecond(n int64) *limit.Policy {
	return &limit.Policy{Algorithm: limit.SlidingLog, Limit: n, Window: time.Second}
}

// clock is a clock that tests set.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ns.Store(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) now() time.Time      { return time.Unix(0, c.ns.Load()) }
func (c *clock) add(d time.Duration) { c.ns.Add(int64(d)) }

func mustNew(t testing.TB, c Config) *Stand {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTakeCountsByMinute(t *testing.T) {
	c := newClock()
	s := mustNew(t, Config{Clock: c.now, Quotas: []Quota{{"A", perSecond(3)}, {"B", nil}}})
	// 5 calls in the first minute, of which 3 pass; 1 in the next; none in the
	// third; 2 in the fourth.
	for range 5 {
		s.Take(0, 1)
	}
	c.add(time.Minute)
	s.Take(0, 1)
	c.add(2 * time.Minute)
	s.Take(0, 1)
	s.Take(0, 1)
	s.Take(1, 1)

	st := s.Stats(-1)
	a, b := st.Categories[0], st.Categories[1]
	if a.CallCount != 8 || a.ThrottleCount != 2 {
		t.Errorf("A: calls %d throttled %d, want 8 and 2", a.CallCount, a.ThrottleCount)
	}
	if b.CallCount != 1 || b.ThrottleCount != 0 || b.Limit != 0 || b.Algorithm != "" {
		t.Errorf("B, without a quota: %+v", b)
	}
	want := []struct{ minute, calls, throttled int }{{0, 5, 2}, {1, 1, 0}, {3, 2, 0}}
	if len(a.Minutes) != len(want) {
		t.Fatalf("A has %d minutes, want %d: %+v", len(a.Minutes), len(want), a.Minutes)
	}
	for i, w := range want {
		m := a.Minutes[i]
		if m.Start != time.Date(2026, 11, 21, 10, w.minute, 0, 0, time.UTC) || m.CallCount != uint64(w.calls) || m.ThrottleCount != uint64(w.throttled) {
			t.Errorf("minute %d = %+v, want %+v", i, m, w)
		}
	}
	if got := s.Stats(1).Categories[0].Minutes; len(got) != 1 || got[0].CallCount != 2 {
		t.Errorf("Stats(1) minutes = %+v, want the latest one", got)
	}
	if got := s.Stats(0).Categories[0].Minutes; len(got) != 0 {
		t.Errorf("Stats(0) has %d minutes, want none", len(got))
	}
}

// TestMinutesAgainstTwin holds the ring against a plain list of every call.
func TestMinutesAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keep := rapid.IntRange(1, 5).Draw(t, "keep")
		m := minutes{keep: keep}
		type entry struct {
			minute int64
			calls  uint64
		}
		var twin []entry
		at := rapid.Int64Range(-10_000, 10_000).Draw(t, "start")
		for _, step := range rapid.SliceOfN(rapid.Int64Range(-90, 200), 0, 60).Draw(t, "steps") {
			at += step
			minute := at / 60
			if at%60 < 0 {
				minute--
			}
			if n := len(twin); n > 0 && minute <= twin[n-1].minute {
				twin[n-1].calls++
			} else {
				twin = append(twin, entry{minute, 1})
			}
			m.at(time.Unix(at, 0)).calls++
		}
		if len(twin) > keep {
			twin = twin[len(twin)-keep:]
		}
		got := m.latest(-1)
		if len(got) != len(twin) {
			t.Fatalf("%d minutes, want %d", len(got), len(twin))
		}
		for i, w := range twin {
			if got[i].Start.Unix() != w.minute*60 || got[i].CallCount != w.calls {
				t.Fatalf("minute %d = %+v, want %+v", i, got[i], w)
			}
		}
	})
}

// TestTakeConcurrently holds that many callers at one frozen instant get what
// one caller would: the limit, and nothing above it.
func TestTakeConcurrently(t *testing.T) {
	c := newClock()
	s := mustNew(t, Config{Clock: c.now, Quotas: []Quota{{"A", perSecond(100)}}})
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				if s.Take(0, 1).Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if admitted.Load() != 100 {
		t.Errorf("admitted %d, want 100", admitted.Load())
	}
	if a := s.Stats(-1).Categories[0]; a.CallCount != 800 || a.ThrottleCount != 700 {
		t.Errorf("calls %d throttled %d, want 800 and 700", a.CallCount, a.ThrottleCount)
	}
}

func TestReleaseOfConcurrencyQuota(t *testing.T) {
	s := mustNew(t, Config{Quotas: []Quota{{"A", &limit.Policy{Algorithm: limit.Concurrency, Limit: 1}}, {"B", nil}}})
	if !s.Take(0, 1).Allowed {
		t.Fatal("first refused")
	}
	d := s.Take(0, 1)
	if d.Allowed {
		t.Fatal("second admitted while the first is in progress")
	}
	if got := RetryAfter(d); got != "" {
		t.Errorf("RetryAfter of a wait for a release = %q, want none", got)
	}
	s.Release(0, 1)
	if !s.Take(0, 1).Allowed {
		t.Error("refused after the release")
	}
	s.Release(1, 1) // no quota: nothing to give back
}

func TestRetryAfter(t *testing.T) {
	cases := []struct {
		wait time.Duration
		want string
	}{
		{0, "0"}, {1, "1"}, {time.Second, "1"}, {time.Second + 1, "2"}, {90 * time.Second, "90"},
		{limit.Never, ""}, {limit.Unknown, ""},
	}
	for _, c := range cases {
		if got := RetryAfter(limit.Decision{RetryAfter: c.wait}); got != c.want {
			t.Errorf("RetryAfter(%v) = %q, want %q", c.wait, got, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	cases := []struct {
		cfg  Config
		want string
	}{
		{Config{Quotas: []Quota{{"Logins", perSecond(0)}}}, "quota Logins: limit"},
		{Config{History: -1}, "history"},
		{Config{Latency: Latency{Base: -1}}, "latency"},
		{Config{Faults: Faults{ErrorRate: 2}}, "error rate"},
	}
	for _, c := range cases {
		if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%+v) error = %v, want one about %q", c.cfg, err, c.want)
		}
	}
}

func TestTakeAllocates(t *testing.T) {
	s := mustNew(t, Config{Quotas: []Quota{{"A", perSecond(10)}}})
	if n := testing.AllocsPerRun(1000, func() { s.Take(0, 1) }); n != 0 {
		t.Errorf("Take allocates %v times, want none", n)
	}
}
