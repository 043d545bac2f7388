package track

import (
	"math"
	"math/bits"
	"time"

	"github.com/weir-dev/weir/limit"
)

// box is a set of states of one limiter, described by bounds. All instants are
// nanoseconds since the Unix epoch. Methods may change the box they are called on,
// and return it among the results.
type box interface {
	// allow returns what the box becomes when a request of cost units was admitted
	// at some instant of the observation: nothing, when it cannot have been.
	allow(o *observation, cost, limit int64) []box

	// refuse is the same for a refused request. Admitted requests of the same
	// observation have been stepped over before.
	refuse(o *observation, cost, limit int64) []box

	// charge is a refused request that counts here, whoever refused it.
	charge(o *observation, cost int64) []box

	// together is called once after the admitted requests of an observation, and
	// reports whether they are possible as a whole.
	together(o *observation, cost, limit int64) bool

	// left returns bounds of the units left at an instant of [s, d].
	left(s, d, limit int64) (least, most int64)

	// absorb makes the box hold all states of other too, and reports whether it
	// has. Without force it does so only where that adds few or no others.
	absorb(other box, force bool) bool

	clone() box
}

// observation is a wave as boxes see it: every request may have been decided at
// any instant from sent to done.
type observation struct {
	sent, done       int64
	allowed, refused int
	requests         []Request
}

// overlaps tells whether requests were under way together, so that a refused one
// may have been decided before an admitted one.
func (o *observation) overlaps() bool { return o.allowed > 0 && o.refused > 0 }

func observe(w Wave) observation {
	o := observation{sent: math.MaxInt64, done: math.MinInt64, requests: w.Requests}
	for _, r := range w.Requests {
		o.sent, o.done = min(o.sent, r.Sent.UnixNano()), max(o.done, r.Done.UnixNano())
		if r.Allowed {
			o.allowed++
		} else {
			o.refused++
		}
	}
	return o
}

// spec is what does not change about a state.
type spec struct {
	policy limit.Policy
	limits []int64
	width  int64
	skew   int64
	origin int64

	// Of a token bucket or a leaky bucket: what it holds is whole units, and beyond
	// that what the rate gives in the time beyond. full is the time to fill it.
	whole, beyond int64
	full          span

	inner *spec // of a limit that bans: what it counts meanwhile

	grid        grid // of clock-aligned windows
	hold, grace int64
}

func newSpec(s State, o Options) (*spec, error) {
	if err := s.Policy.Validate(); err != nil {
		return nil, err
	}
	origin := o.Origin
	if origin.IsZero() {
		origin = time.Unix(0, 0)
	}
	p := s.Policy
	sp := &spec{policy: p, limits: s.Limits, width: int64(p.Window), skew: int64(o.Skew), origin: origin.UnixNano(), hold: int64(o.Hold), grace: int64(o.Release)}
	if len(sp.limits) == 0 {
		sp.limits = []int64{p.Limit}
	}
	if p.Ban > 0 {
		s.Policy.Ban, s.Policy.CountDenied = 0, false
		inner, err := newSpec(s, o)
		if err != nil {
			return nil, err
		}
		sp.inner = inner
		return sp, nil
	}
	switch p.Algorithm {
	case limit.TokenBucket:
		sp.whole = p.Capacity()
		sp.full = sp.units(sp.whole)
	case limit.LeakyBucket:
		sp.whole = p.Burst + 1
		sp.full = sp.units(sp.whole)
		if cut := sp.units(p.Undelayed + 1).add(int64(p.MaxDelay)); p.MaxDelay > 0 && cut.hi < sp.full.hi {
			sp.whole, sp.beyond, sp.full = p.Undelayed+1, int64(p.MaxDelay), cut
		}
	case limit.Quota:
		if p.Period != limit.NoPeriod {
			sp.grid = &calendarGrid{policy: p}
			break
		}
		from := p.Start
		if from.IsZero() {
			from = origin
		}
		sp.grid = evenGrid{base: from.UnixNano(), width: sp.width}
	default:
		sp.grid = evenGrid{base: int64(p.Phase), width: sp.width}
	}
	if _, even := sp.grid.(evenGrid); even {
		sp.skew = min(sp.skew, sp.width/2+1) // more is the same heads again
	}
	return sp, nil
}

// fresh is the box of the one state that a new limiter has.
func (sp *spec) fresh() box {
	if sp.inner != nil {
		return &banned{spec: sp, counts: sp.inner.fresh(), ban: none, before: none}
	}
	switch sp.policy.Algorithm {
	case limit.TokenBucket, limit.LeakyBucket:
		return &level{spec: sp, lo: math.MinInt64 / 4, hi: math.MinInt64 / 4}
	case limit.SlidingLog:
		return &slidingLog{spec: sp}
	case limit.Concurrency:
		return &inUse{spec: sp}
	case limit.FixedWindow:
		if sp.policy.Align != limit.AlignClock {
			return &floating{spec: sp}
		}
	}
	w := &window{spec: sp, plo: -sp.skew, phi: sp.skew, k: math.MinInt64}
	if sp.policy.Algorithm == limit.RefillBucket {
		w.cur = bounds{sp.policy.Capacity(), sp.policy.Capacity()}
		w.prev = w.cur
	}
	return w
}

// room is the most that can be left.
func (sp *spec) room(view int) int64 {
	switch sp.policy.Algorithm {
	case limit.TokenBucket, limit.RefillBucket, limit.LeakyBucket:
		return sp.policy.Capacity()
	}
	return sp.limits[view]
}

// span is a length of time that need not be whole nanoseconds: rounded down and up.
type span struct{ lo, hi int64 }

func (s span) add(ns int64) span { return span{plus(s.lo, ns), plus(s.hi, ns)} }

// units is the time in which the policy's rate gives n units.
func (sp *spec) units(n int64) span {
	hi, lo := bits.Mul64(uint64(n), uint64(sp.width))
	if hi >= uint64(sp.policy.Limit) {
		return span{far, far}
	}
	q, r := bits.Div64(hi, lo, uint64(sp.policy.Limit))
	if q >= far {
		return span{far, far}
	}
	s := span{int64(q), int64(q)}
	if r != 0 {
		s.hi++
	}
	return s
}

// far is longer than anything that matters, and twice it still fits.
const far = math.MaxInt64 / 4

// plus adds without running over.
func plus(a, b int64) int64 {
	switch c := a + b; {
	case a > 0 && b > 0 && c < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && c >= 0:
		return math.MinInt64
	default:
		return c
	}
}

// bounds are the least and the most that a count may be.
type bounds struct{ lo, hi int64 }

func (b bounds) add(n int64) bounds { return bounds{plus(b.lo, n), plus(b.hi, n)} }

func (b bounds) hull(c bounds) bounds { return bounds{min(b.lo, c.lo), max(b.hi, c.hi)} }
