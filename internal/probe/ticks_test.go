package probe

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// clocked is a limiter whose clock shows whole ticks only, from an instant on.
type clocked struct {
	of   limit.Limiter
	tick time.Duration
	from time.Time
}

func (l *clocked) Take(at time.Time, cost int64) limit.Decision {
	past := at.Sub(l.from)
	return l.of.Take(l.from.Truncate(l.tick).Add(past-past%l.tick), cost)
}

func (l *clocked) Clone() limit.Limiter { c := *l; c.of = l.of.Clone(); return &c }

// coarsely is a policy whose clock shows whole ticks.
func coarsely(t *testing.T, p limit.Policy, tick time.Duration, from time.Time) limit.Limiter {
	l, err := p.New(from)
	if err != nil {
		t.Fatal(err)
	}
	return &clocked{of: l, tick: tick, from: from}
}

// unequal is the share of a random load that two limiters answer differently.
func unequal(a, b limit.Limiter, from time.Time, n int64, width time.Duration, seed uint64) float64 {
	r := rand.New(rand.NewPCG(seed, 9))
	at, all, other := from, 0, 0
	for all < 20000 {
		at = at.Add(time.Duration(r.Float64() * r.Float64() * 2 * float64(width)))
		for range 1 + r.Int64N(n+n/4+1) {
			at = at.Add(time.Microsecond)
			x, y := a.Take(at, 1), b.Take(at, 1)
			if all++; x.Allowed != y.Allowed {
				other++
			}
		}
	}
	return float64(other) / float64(all)
}

// TestTicks: a limit whose clock shows whole seconds only is named with its figures, or
// nothing is said for certain.
func TestTicks(t *testing.T) {
	t.Parallel()
	named, ran := 0, 0
	for i, p := range []limit.Policy{
		{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 5, Window: 2 * time.Second},
		{Algorithm: limit.SlidingLog, CountDenied: true, Limit: 8, Window: 5 * time.Second},
		{Algorithm: limit.SlidingWindow, Limit: 10, Window: 4 * time.Second},
		{Limit: 3, Window: 2 * time.Second, Burst: 10},
		{Algorithm: limit.SlidingLog, Limit: 20, Window: time.Second},
		{Limit: 14, Window: 4 * time.Second, Burst: 14},
		{Limit: 20, Window: 3 * time.Second, Burst: 20},
	} {
		ran++
		tick := time.Second
		if p.Window == tick { // as Sentinel's two halves
			tick /= 2
		}
		w := newWorld(p, 3*time.Millisecond, uint64(i))
		r := rand.New(rand.NewPCG(uint64(i), 3))
		w.now = w.now.Add(time.Duration(r.Int64N(3e9)))
		from := w.now.Add(-time.Hour).Truncate(time.Second).Add(time.Duration(i%2) * time.Duration(r.Int64N(1e9)))
		truth := coarsely(t, p, tick, from)
		w.limiter = truth.Clone()
		v, err := New(w, w, Options{Seed: uint64(i + 1)}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		off := 1.0
		if len(v.Policies) == 1 {
			said, base := v.Policies[0], from.Truncate(time.Second).Add(v.TickPhase)
			if v.Tick > 0 && said.Phase > 0 {
				said.Phase = (said.Phase - v.TickPhase + said.Window) % said.Window
			}
			l, err := said.New(base)
			if err != nil {
				t.Fatal(err)
			}
			if v.Tick > 0 {
				l = &clocked{of: l, tick: v.Tick, from: base}
			}
			off = unequal(truth, l, w.now.Add(time.Hour), p.Limit, p.Window, 1)
		}
		if v.Sure && off > 0.06 {
			t.Errorf("%v: sure, and wrong: %v %v, tick %v; %.3f of the answers differ", p, v.Family, v.Policies, v.Tick, off)
		}
		if v.Sure && v.Tick == tick {
			named++
		}
		t.Logf("%v: %v %v tick %v %v, others %v, sure %v, off %.3f, %d requests, %d refused, %v", p, v.Family, v.Policies, v.Tick, v.TickPhase, v.Others, v.Sure, off, v.Requests, v.Refused, v.Elapsed)
	}
	if ran != 7 || named < 6 {
		t.Errorf("%d of %d were named for certain", named, ran)
	}
}

// TestTicksExplain: such a clock leaves nothing unexplained, however it is asked, and the
// bounds of what is admitted hold.
func TestTicksExplain(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		fam := rapid.SampledFrom([]Family{FixedFirst, SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied, TokenBucket}).Draw(t, "family")
		h := hypothesis{family: fam, tick: 1, n: float64(rapid.IntRange(1, 40).Draw(t, "limit")), w: float64(rapid.IntRange(2, 9).Draw(t, "window"))}
		p := limit.Policy{Limit: int64(h.n), Window: seconds(h.w)}
		switch fam {
		case FixedFirst:
			p.Algorithm, p.Align = limit.FixedWindow, limit.AlignFirst
		case SlidingLog, SlidingLogDenied:
			p.Algorithm, p.CountDenied = limit.SlidingLog, fam == SlidingLogDenied
		case SlidingWindow, SlidingWindowDenied:
			p.Algorithm, p.CountDenied = limit.SlidingWindow, fam == SlidingWindowDenied
		case TokenBucket:
			p.Burst = int64(h.n)
			if h.w /= h.n; !h.valid() {
				t.Skip("a limit that cannot be: another is drawn")
			}
		}
		w := newWorld(p, time.Duration(rapid.IntRange(2, 80).Draw(t, "network"))*time.Millisecond, rapid.Uint64().Draw(t, "seed"))
		from := w.now.Add(-time.Hour).Truncate(time.Second).Add(time.Duration(rapid.IntRange(0, 999).Draw(t, "ms")) * time.Millisecond)
		l, err := p.New(from)
		if err != nil {
			t.Fatal(err)
		}
		w.limiter = &clocked{of: l, tick: time.Second, from: from}
		pr := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20, MaxTime: 1000 * time.Hour})
		for i := range 25 {
			n := rapid.IntRange(1, 30).Draw(t, "n")
			idle := rapid.Float64Range(0, 1.2*p.Window.Seconds()).Draw(t, "idle")
			if i == 0 { // the windows of this one are of a clock
				h.ph = math.Mod(from.Sub(w.now).Seconds(), 1)
				if h.family.gridded() {
					h.ph = from.Add(-time.Duration(from.Unix()%int64(h.w)) * time.Second).Sub(w.now).Seconds()
				}
			}
			q := &particle{hypothesis: h}
			q.see(pr.sights, 1e9)
			if _, err := pr.wave(context.Background(), boolTo(i > 0, idle), n, ""); err != nil {
				t.Fatal(err)
			}
			last := &pr.sights[len(pr.sights)-1]
			if least, most := q.state.room(last.since, last.d); last.r > 0 && pr.base() == 0 && (float64(last.a) < min(least, float64(n)) || float64(last.a) > most) {
				t.Fatalf("%d of %d were admitted, foreseen %v to %v", last.a, n, least, most)
			}
		}
		refused += pr.v.Refused
		least := math.Inf(1)
		for _, early := range pr.shifts() { // what each request takes to arrive is left out of the times
			q := &particle{hypothesis: h}
			q.ph -= early
			q.see(pr.sights, 1e9)
			least = min(least, q.cost)
		}
		if least > 0 {
			t.Fatalf("%+v leaves %v unexplained", h, least)
		}
	})
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

// inStep is when a probe sent how many to a window of 10 in 4 s from the first request whose clock
// shows whole seconds, 0.96 s after those of the first request: it was in step with it.
var inStep = []struct {
	at float64
	n  int
}{
	{0, 1}, {0.0053, 1}, {0.0059, 7}, {0.0083, 1}, {0.0088, 1}, {0.0094, 4}, {2.5154, 1}, {4.6169, 1}, {4.6173, 1},
	{4.6194, 1}, {4.6234, 2}, {5.7516, 1}, {5.756, 2}, {5.7564, 2}, {5.7575, 2}, {6.0915, 1}, {7.2063, 1}, {8.1954, 1},
	{8.243, 5}, {10.5899, 5}, {11.5554, 1}, {12.3296, 1}, {12.3304, 4}, {13.9539, 5}, {15.8679, 1}, {16.3236, 1}, {16.3243, 4},
	{18.0604, 5}, {20.0078, 1}, {20.0088, 4}, {21.7996, 5}, {23.5817, 1}, {23.6214, 1}, {23.661, 1}, {23.7013, 1}, {23.7414, 1},
	{23.781, 1}, {23.8217, 1}, {23.8652, 1}, {23.905, 1}, {23.9463, 1}, {23.9892, 1}, {23.9898, 4}, {25.7892, 5}, {27.98, 1},
	{27.9805, 4}, {29.7874, 5}, {32.2181, 1}, {34.2194, 3}, {34.2235, 3}, {34.2244, 3}, {34.2257, 1}, {36.3156, 1}, {36.3164, 1},
	{36.3166, 1}, {36.3169, 1},
}

// TestTicksSeldomSeen: a clock of whole seconds is sought where an opening was watched closely,
// though it be one of many.
func TestTicksSeldomSeen(t *testing.T) {
	w := newWorld(limit.Policy{Limit: 1, Window: time.Second}, 200*time.Microsecond, 1)
	w.hold, w.now = 0, time.Unix(0, 1795422269677964387)
	w.limiter = coarsely(t, limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 10, Window: 4 * time.Second}, time.Second, w.now.Add(-time.Hour-40*time.Millisecond))
	p, from := New(w, w, Options{Seed: 1}), w.now
	for _, s := range inStep {
		w.now = from.Add(seconds(s.at))
		if _, err := p.wave(context.Background(), 0, s.n, ""); err != nil {
			t.Fatal(err)
		}
	}
	p.fitAll()
	p.refit()
	p.ticks()
	ticks := func(h *herd) bool { return h.family == FixedFirst && h.tick == 1 && h.cost() < 0.5 }
	if !slices.ContainsFunc(p.herds, ticks) {
		t.Errorf("not thought of; %v is likeliest", p.shares()[0].Family)
	}
}
