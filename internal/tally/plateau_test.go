package tally

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/limit"
)

// sim plays a load against a limiter and gives the ticks that a run would have.
type sim struct {
	limiter limit.Limiter
	origin  time.Time
	rng     *rand.Rand
	latency float64 // of admitted requests, seconds, mean
	ticks   []*Tick
}

// newSim begins ticks at a phase of the limiter's clock.
func newSim(t testing.TB, p limit.Policy, phase float64, seconds int) *sim {
	t.Helper()
	origin := time.Unix(1_800_000_000, int64(phase*1e9))
	l, err := p.New(origin)
	if err != nil {
		t.Fatal(err)
	}
	s := &sim{limiter: l, origin: origin, rng: rand.New(rand.NewPCG(uint64(phase*1000), 7)), latency: 0.05}
	for i := range seconds {
		s.ticks = append(s.ticks, &Tick{
			Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Sends: make([]uint32, 100),
			Series: []Series{{Name: "/t", Outcome: hit.Admitted}, {Name: "/t", Outcome: hit.Throttled}},
		})
	}
	return s
}

// send plays one request at an instant in seconds; it returns when it is answered.
func (s *sim) send(at float64) (done float64) {
	sent := time.Duration(at * 1e9)
	row := hit.Throttled
	done = at + 0.005
	if s.limiter.Take(s.origin.Add(sent), 1).Allowed {
		row = hit.Admitted
		done = at + s.latency*(0.5+s.rng.ExpFloat64()/2)
	}
	if i := int(at); i < len(s.ticks) {
		s.ticks[i].Sends[min(99, int((at-float64(i))*100))]++
	}
	if i := int(done); i < len(s.ticks) {
		r := &s.ticks[i].Series[row]
		if r.Count == 0 || sent < r.First {
			r.First = sent
		}
		r.Last = max(r.Last, sent)
		r.Count++
	}
	return done
}

// open sends at a rate per second that is a function of time.
func (s *sim) open(rate func(t float64) float64, poisson bool) {
	const step = 0.0002
	due, next := 0.0, 0.5
	for t := 0.0; t < float64(len(s.ticks)); t += step {
		for due += rate(t) * step; due >= next; {
			s.send(t)
			if poisson {
				next += s.rng.ExpFloat64()
			} else {
				next++
			}
		}
	}
}

// closed has users who wait between requests; spawn users begin each second.
func (s *sim) closed(users int, spawn, wait, spread float64) {
	free := make([]float64, users) // when each user sends next
	for u := range free {
		free[u] = float64(u) / spawn
	}
	for end := float64(len(s.ticks)); ; {
		u := 0
		for i, at := range free {
			if at < free[u] {
				u = i
			}
		}
		at := free[u]
		if at >= end {
			return
		}
		free[u] = s.send(at) + wait + spread*s.rng.Float64()
	}
}

func (s *sim) totals() *Totals {
	var t Totals
	for _, k := range s.ticks {
		k.Series = slices.DeleteFunc(k.Series, func(r Series) bool { return r.Count == 0 })
		t.Add(k)
	}
	return &t
}

var perSecondPolicies = map[string]limit.Policy{
	"fixed window":   {Algorithm: limit.FixedWindow, Limit: 120, Window: time.Second},
	"sliding log":    {Algorithm: limit.SlidingLog, Limit: 120, Window: time.Second},
	"sliding window": {Algorithm: limit.SlidingWindow, Limit: 120, Window: time.Second},
	"token bucket":   {Algorithm: limit.TokenBucket, Limit: 120, Window: time.Second, Burst: 120},
	"refill bucket":  {Algorithm: limit.RefillBucket, Limit: 120, Window: time.Second, Burst: 120},
}

func TestPlateauTellsTheLimit(t *testing.T) {
	ramp := func(slope, most float64) func(float64) float64 {
		return func(t float64) float64 { return math.Min(most, slope*t) }
	}
	loads := map[string]struct {
		seconds int
		percent float64 // error allowed
		play    func(*sim)
	}{
		"ramp of 5/s2":                {40, 2, func(s *sim) { s.open(ramp(5, math.Inf(1)), false) }},
		"ramp of 10/s2":               {30, 2, func(s *sim) { s.open(ramp(10, math.Inf(1)), false) }},
		"ramp to 200/s, then held":    {30, 2, func(s *sim) { s.open(ramp(10, 200), false) }},
		"ramp up and down":            {60, 2, func(s *sim) { s.open(func(t float64) float64 { return 8 * (30 - math.Abs(t-30)) }, false) }},
		"two humps":                   {60, 2, func(s *sim) { s.open(func(t float64) float64 { return 200 * math.Abs(math.Sin(t/10)) }, false) }},
		"random, up to 170/s":         {60, 3, func(s *sim) { s.open(ramp(10, 170), true) }},
		"users, wait 0.5 to 1.5 s":    {40, 2, func(s *sim) { s.closed(300, 10, 0.5, 1) }},
		"users, fast spawn, wait 1 s": {60, 2, func(s *sim) { s.closed(300, 100, 1, 0) }},
		"the same, 15 s":              {15, 2, func(s *sim) { s.closed(300, 100, 1, 0) }},
		"users without wait":          {30, 2, func(s *sim) { s.closed(50, 2, 0, 0) }},
	}
	cases := 0
	for load, l := range loads {
		for kind, policy := range perSecondPolicies {
			worst, spans := 0.0, 0
			for phase := range 4 {
				s := newSim(t, policy, float64(phase)/4+0.01, l.seconds)
				l.play(s)
				p := s.totals().Plateau()
				if p == nil {
					t.Errorf("%s, %s: no plateau", kind, load)
					continue
				}
				if p.Cycles != 0 || p.Min > p.Rate || p.Max < p.Rate || p.From >= p.To || p.StdErr < 0 {
					t.Errorf("%s, %s: %+v makes no sense", kind, load, p)
				}
				worst = max(worst, 100*math.Abs(p.Rate-120)/120)
				spans += p.Spans
				cases++
			}
			t.Logf("%-15s %-28s error %.2f %% of %v %%, %d spans", kind, load, worst, l.percent, spans/4)
			if worst > l.percent {
				t.Errorf("%s, %s: the plateau is %.2f %% off, want at most %v %%", kind, load, worst, l.percent)
			}
		}
	}
	if want := 4 * len(loads) * len(perSecondPolicies); cases != want {
		t.Fatalf("%d cases were played, want %d", cases, want)
	}
}

func TestOnsetOfASlowRampIsTheLimit(t *testing.T) {
	cases := 0
	for kind, policy := range perSecondPolicies {
		s := newSim(t, policy, 0.01, 80)
		s.open(func(t float64) float64 { return 2 * t }, false)
		o := s.totals().Onset
		// A bucket is drained by all that exceeds the limit: 120 at once allow
		// for 11 s more at 2/s2.
		most := 124.0
		if policy.Algorithm == limit.TokenBucket || policy.Algorithm == limit.RefillBucket {
			most = 146
		}
		// Two weighted windows count a part of the window before.
		if o == nil || o.Offered < 116 || o.Offered > most {
			t.Errorf("%s: Onset = %+v, want 116 to %v sends", kind, o, most)
		}
		cases++
	}
	if cases != 5 {
		t.Fatalf("%d cases, want 5", cases)
	}
}

func TestPlateauOfAMinutesQuota(t *testing.T) {
	cases := 0
	for kind, policy := range map[string]limit.Policy{
		"fixed window": {Algorithm: limit.FixedWindow, Limit: 600, Window: time.Minute},
		"sliding log":  {Algorithm: limit.SlidingLog, Limit: 600, Window: time.Minute},
	} {
		s := newSim(t, policy, 0.3, 200)
		s.open(func(float64) float64 { return 50 }, false)
		p := s.totals().Plateau()
		if p == nil || p.Cycles < 2 || math.Abs(p.Rate-10) > 0.3 {
			t.Errorf("%s of 600 a minute: %+v, want 10/s from cycles", kind, p)
		}
		cases++
	}
	// Only one interval: what was admitted in it is all that is known.
	s := newSim(t, limit.Policy{Algorithm: limit.FixedWindow, Limit: 600, Window: time.Hour}, 0.3, 60)
	s.open(func(float64) float64 { return 50 }, false)
	if p := s.totals().Plateau(); p == nil || p.Rate != 0 || p.Cycles != 0 {
		t.Errorf("a quota that is used up: %+v, want 0/s", p)
	}
	if cases != 2 {
		t.Fatalf("%d cases, want 2", cases)
	}
}

func TestPlateauOfASlowBucket(t *testing.T) {
	s := newSim(t, limit.Policy{Algorithm: limit.TokenBucket, Limit: 100, Window: time.Minute}, 0.3, 120)
	s.open(func(float64) float64 { return 20 }, false)
	if p := s.totals().Plateau(); p == nil || math.Abs(p.Rate-100.0/60) > 0.05 || p.Cycles != 0 {
		t.Errorf("100 a minute by token: %+v, want 1.67/s", p)
	}
}

func TestNoPlateauWithoutThrottling(t *testing.T) {
	s := newSim(t, limit.Policy{Algorithm: limit.TokenBucket, Limit: 100, Window: time.Second}, 0.3, 5)
	s.open(func(float64) float64 { return 20 }, false)
	totals := s.totals()
	if p := totals.Plateau(); p != nil || totals.Onset != nil || totals.Throttling != nil {
		t.Errorf("Plateau %+v, Onset %+v, Throttling %v; want none", p, totals.Onset, totals.Throttling)
	}
}
