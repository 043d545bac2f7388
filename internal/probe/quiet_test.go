package probe

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// renewing lets through n, and as many again once it let nothing through for wait, or, where
// denied is set, once nobody asked; ticks is whether it keeps times as whole seconds. It stands
// in for a limiter: INCR and EXPIRE with each request is one that is denied.
type renewing struct {
	limit.Limiter
	n, count int64
	wait     time.Duration
	ticks    bool
	denied   bool
	last     time.Time
}

func (l *renewing) Clone() limit.Limiter { c := *l; return &c }

func (l *renewing) Take(now time.Time, n int64) limit.Decision {
	at := now
	if l.ticks {
		at = now.Truncate(time.Second)
	}
	if at.Sub(l.last) >= l.wait {
		l.count = 0
	}
	if l.count+n > l.n {
		if l.denied {
			l.last = at
		}
		return limit.Decision{}
	}
	l.count, l.last = l.count+n, at
	return limit.Decision{Allowed: true}
}

// TestQuiet: a limit whose expiry is set anew by each request let through is told from
// windows and logs by what they let through, and it is seen for what it is.
func TestQuiet(t *testing.T) {
	const n = 5
	clock := limit.Policy{Algorithm: limit.FixedWindow, Limit: n, Window: 3 * time.Second}
	first := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: n, Window: 2 * time.Second}
	log := limit.Policy{Algorithm: limit.SlidingLog, Limit: n, Window: 2 * time.Second}
	for _, c := range []struct {
		name    string
		policy  limit.Policy
		instead limit.Limiter
		want    bool
	}{
		{"an expiry set anew", clock, &renewing{n: n, wait: 2 * time.Second}, true},
		{"one of whole seconds", clock, &renewing{n: n, wait: 2 * time.Second, ticks: true}, true},
		{"a window of the clock", clock, nil, false},
		{"a window from the first request", first, nil, false},
		{"a log", log, nil, false},
	} {
		w := newWorld(c.policy, time.Millisecond, 3)
		if c.instead != nil {
			w.limiter = c.instead
		}
		p := New(w, w, Options{})
		now := 0.0
		for _, s := range []struct {
			at float64
			n  int
		}{{0, n + 1}, {1, n}, {3, 1}, {8, n + 1}, {9.7, 1}, {12, 1}, {13.8, n - 1}, {13.95, 1}, {14.05, 1}, {15.1, 1}, {16, 1}} {
			if _, err := p.wave(context.Background(), s.at-now, s.n, ""); err != nil {
				t.Fatal(err)
			}
			now = s.at
		}
		h := &herd{family: FixedClock, best: []*particle{{hypothesis: hypothesis{family: FixedClock, n: n, w: 3}}}}
		m, ok := p.quietAlike(h)
		if ok != c.want || ok && (m.w < 1.6 || m.w > 2.4) {
			t.Errorf("%s: it explains all is %v, with %v s", c.name, ok, m.w)
		}
		for _, none := range []hypothesis{{family: TokenBucket, n: n, w: 0.4}, {family: FixedFirst, n: 1, w: 2}} {
			if _, ok := p.quietAlike(&herd{family: none.family, best: []*particle{{hypothesis: none}}}); ok {
				t.Errorf("%s: it is asked of %v for %v", c.name, none.family, none.n)
			}
		}
	}
}

// TestQuietLost: a request without an answer may have been let through, and begun the time anew.
func TestQuietLost(t *testing.T) {
	at := func(s float64, a, r, lost int) sight {
		return sight{s: s, since: s, d: s + 0.01, last: s, done: s + 0.01, a: a, r: r, lost: lost}
	}
	for _, c := range []struct {
		sights []sight
		want   bool
	}{
		{[]sight{at(0, 4, 0, 0), at(1.5, 0, 0, 1), at(3, 0, 1, 0)}, true}, // the lost one was the fifth
		{[]sight{at(0, 4, 0, 0), at(1.5, 0, 0, 1), at(3, 1, 1, 0)}, false},
		{[]sight{at(0, 4, 0, 0), at(3, 0, 1, 0)}, false},
		{[]sight{at(0, 5, 1, 0), at(1, 1, 0, 0)}, false},
	} {
		q := &particle{hypothesis: hypothesis{family: FixedFirst, anew: true, n: 5, w: 2}}
		if got := q.look(c.sights, math.Inf(1), 0); got != c.want {
			t.Errorf("%+v: %v", c.sights, got)
		}
	}
}

// rhythm is when a probe sent how many to a limit of 5 in 2 s, in seconds, with an expiry set anew
// by each request let through and times kept as whole seconds.
var rhythm = []struct {
	at float64
	n  int
}{
	{0, 1}, {0.001, 1}, {0.002, 1}, {0.002, 1}, {0.006, 1}, {0.007, 1}, {0.008, 4}, {0.049, 1}, {0.215, 1}, {1.02, 1}, {2.03, 1},
	{2.031, 1}, {2.036, 1}, {2.49, 1}, {2.491, 1}, {2.491, 1}, {2.777, 1}, {3.279, 1}, {3.615, 1}, {4.113, 1}, {5.417, 1}, {5.445, 1},
	{5.446, 3}, {6.722, 2}, {7.769, 1}, {7.77, 1}, {8.827, 3}, {8.873, 1}, {9.136, 1}, {9.807, 1}, {10.18, 1}, {10.682, 1}, {10.731, 2},
	{11.955, 2}, {13.23, 1}, {13.563, 1}, {13.564, 1}, {14.787, 3}, {16.258, 1}, {16.258, 1}, {17.519, 3}, {18.933, 1}, {19.036, 1},
	{19.139, 1}, {19.244, 1}, {20.336, 1}, {22.468, 1}, {23.968, 3}, {23.969, 1}, {23.971, 1}, {25.532, 1}, {25.532, 1}, {25.534, 1},
	{25.534, 1}, {25.781, 1},
}

// TestQuietUnsure: a window of the clock of 3 s explains what such a limit of 2 s did. It is not
// certain, and what to send is said.
func TestQuietUnsure(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	w := newWorld(limit.Policy{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second}, 200*time.Microsecond, 1)
	w.hold, w.limiter = 0, &renewing{n: 5, wait: 2 * time.Second, ticks: true}
	w.now = time.Unix(1795408279, 746073252)
	p, from := New(w, w, Options{Seed: 1}), w.now
	for _, s := range rhythm {
		w.now = from.Add(seconds(s.at))
		if _, err := p.wave(context.Background(), 0, s.n, ""); err != nil {
			t.Fatal(err)
		}
	}
	p.from, p.made = p.start, 20
	p.fitAll()
	p.refit()
	p.overlooked()
	begun := func(h *herd) bool { return h.family == FixedFirst && h.anew }
	if i := slices.IndexFunc(p.herds, begun); i < 0 || p.herds[i].cost() > 0.5 {
		t.Error("the limit that it is was not thought of")
	}
	p.herds = slices.DeleteFunc(p.herds, begun) // as if it had been missed
	if !p.settled(p.shares()) || p.shares()[0].Family != FixedClock {
		t.Fatalf("%+v is likeliest, which is no trap", p.shares()[0])
	}
	p.conclude(false)
	if p.v.Sure || !strings.Contains(p.v.Settle, "nothing was let through for about 2 s") {
		t.Errorf("%v %v, sure %v: %q", p.v.Family, p.v.Policies, p.v.Sure, p.v.Settle)
	} // What it asks then shows that it is no window.
	e := p.quieted()
	if e == nil {
		t.Fatal("nothing is asked that would tell")
	}
	if err := p.do(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	q := &particle{hypothesis: hypothesis{family: FixedFirst, anew: true, n: 5, w: 2, tick: 1, ph: p.evenHead(FixedClock, 1)}}
	if last := p.sights[len(p.sights)-1]; last.r == 0 || !q.look(p.sights, math.Inf(1), 0) {
		t.Errorf("%+v was asked, and nothing was refused: %+v", e.steps, last)
	}
	if p.refit(); p.herd(FixedClock).cost() < 0.5 {
		t.Errorf("windows of the clock still explain all: %+v", p.herd(FixedClock).best[0].hypothesis)
	}
}

// TestForgets: a log whose key expires sooner than its window is told from a log and from a
// window, by what it lets through after a silence.
func TestForgets(t *testing.T) {
	log := hypothesis{family: SlidingLog, n: 3, w: 10}
	at := func(s float64, a, r int) sight {
		return sight{s: s, since: s, d: s + 0.01, last: s, done: s + 0.01, a: a, r: r}
	}
	for _, c := range []struct {
		name   string
		sights []sight
		want   bool
	}{
		{"forgotten after 6 s", []sight{at(0, 3, 1), at(4, 0, 1), at(10.5, 3, 1), at(17, 3, 1)}, true},
		{"a log", []sight{at(0, 3, 1), at(4, 0, 1), at(10.5, 3, 1), at(17, 0, 1)}, false},
		{"a window", []sight{at(0, 1, 0), at(5, 2, 1), at(10.2, 3, 1)}, false},
	} {
		p := &Probe{}
		p.sights = c.sights
		if got := p.forgets(log, 6); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
