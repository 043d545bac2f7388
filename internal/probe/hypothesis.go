package probe

import (
	"math"
	"math/rand/v2"
)

// Family is a kind of limit, as it can be told apart from outside.
type Family uint8

// The families. Their names are what a verdict prints.
const (
	None Family = iota
	FixedClock
	FixedFirst
	SlidingLog
	SlidingLogDenied
	SlidingWindow
	SlidingWindowDenied
	TokenBucket
	RefillBucket
	LeakyQueue
	Ban
	Concurrency
	Stacked
	Replicas
	families
)

var familyNames = [families]string{
	"no limit", "fixed window by the clock", "fixed window from the first request", "sliding log",
	"sliding log that counts refused requests", "sliding window", "sliding window that counts refused requests",
	"token bucket", "refill bucket", "leaky bucket with a queue", "fixed window with a ban", "concurrency limit",
	"two limits", "one limit on each of several replicas",
}

// String returns the name in words.
func (f Family) String() string {
	if f >= families {
		return "unknown"
	}
	return familyNames[f]
}

// hypothesis is a family with its figures. n and m are counts, w and v seconds;
// what they mean depends on the family.
type hypothesis struct {
	family Family
	kind   Family  // of the first limit, when stacked; of a ban, what must not be exceeded, None for a window from the first request, FixedFirst for one that each request begins anew
	kind2  Family  // of the second limit
	n      float64 // limit or capacity
	w      float64 // window; of buckets, seconds per unit or per portion
	ph     float64 // a head of the windows
	m      float64 // portion of a refill bucket; units of a queue that pass undelayed; limit of the second
	v      float64 // ban; window of the second
	ph2    float64
	used   bool     // somebody had used some of it before the first request
	anew   bool     // of a sliding window: a request begins the windows, after each rest anew; of a refill bucket: a request begins the time to the next portion, see since; of a window from the first request: each request begins it, refused ones too if m is 1; of a ban: each refused request begins it
	since  Since    // of a refill bucket that is anew: what that time counts from
	tick   float64  // of a clock that shows whole ticks only, in seconds, one of which is at ph; 0: of one that runs on
	also   Counting // of two limits
	quick  bool     // windows as short as shortestOne were asked for, see quickly
}

// model is what the hypothesis holds possible before the first request. It may take
// the place of old, which is then used no more.
func (h *hypothesis) model(old model) model {
	m := h.fresh(old)
	if h.used {
		switch m := m.(type) {
		case *grid:
			m.k = m.index(0)
			m.prev, m.cur = span{0, m.cap}, span{0, m.cap}
		case *floating:
			m.ways = append(m.ways, opened{}, opened{is: true, at: span{-m.width, 0}, n: span{0, m.cap}})
		case *renewed:
			m.ways = append(m.ways, renewal{}, renewal{is: true, last: span{-m.width, 0}, n: span{0, m.cap}})
		case *rolling:
			m.ways = append(m.ways, roll{}, roll{is: true, head: span{-m.width, 0}, prev: span{0, m.cap}, cur: span{0, m.cap}})
		case *slidingLog:
			m.groups = append(m.groups, group{lo: -m.width, hi: 0, maybe: m.cap})
		case *level:
			m.hi = m.cap * m.unit
		}
	}
	return m
}

// fresh is the model of a limit that nobody has used.
func (h *hypothesis) fresh(old model) model {
	if h.tick > 0 {
		m := again[ticked](old)
		in := h.inTicks()
		*m = ticked{of: in.model(m.of), tick: h.tick, phase: h.ph}
		return m
	}
	switch h.family {
	case FixedClock:
		m := again[grid](old)
		*m = grid{cap: h.n, width: h.w, head: h.ph, k: math.Inf(-1)}
		return m
	case SlidingWindow, SlidingWindowDenied:
		if h.anew {
			m := again[rolling](old)
			*m = rolling{cap: h.n, width: h.w, denied: h.family == SlidingWindowDenied, off: roundings[int(h.m)], ways: m.ways[:0], next: m.next[:0]}
			return m
		}
		m := again[grid](old)
		*m = grid{cap: h.n, width: h.w, head: h.ph, k: -1e9, sliding: true, denied: h.family == SlidingWindowDenied, off: roundings[int(h.m)]}
		return m
	case RefillBucket:
		if h.anew && h.since != SinceLet {
			m := again[portions](old)
			*m = portions{cap: h.n, width: h.w, portion: h.m, since: h.since, ways: m.ways[:0], next: m.next[:0]}
			return m
		}
		if h.anew {
			m := again[lossy](old)
			*m = lossy{cap: h.n, width: h.w, portion: h.m}
			return m
		}
		m := again[grid](old)
		*m = grid{cap: h.n, width: h.w, head: h.ph, k: -1e9, portion: h.m}
		return m
	case FixedFirst, Ban:
		if h.family == FixedFirst && h.anew {
			m := again[renewed](old)
			*m = renewed{cap: h.n, width: h.w, denied: h.m > 0, ways: m.ways[:0], next: m.next[:0]}
			return m
		}
		if h.family == Ban && h.kind != None {
			return &lockout{of: hypothesis{family: h.kind, n: h.n, w: h.w, ph: h.ph, anew: h.kind == FixedFirst}, ban: h.v}
		}
		m := again[floating](old)
		*m = floating{cap: h.n, width: h.w, ways: m.ways[:0], next: m.next[:0]}
		if h.family == Ban {
			m.ban, m.renews = h.v, h.anew
		}
		return m
	case SlidingLog, SlidingLogDenied:
		m := again[slidingLog](old)
		*m = slidingLog{cap: h.n, width: h.w, denied: h.family == SlidingLogDenied, groups: m.groups[:0]}
		return m
	case TokenBucket:
		m := again[level](old)
		*m = level{cap: h.n, unit: h.w, free: -1, lo: -1e9, hi: -1e9}
		return m
	case LeakyQueue:
		m := again[level](old)
		*m = level{cap: h.n, unit: h.w, free: h.m, lo: -1e9, hi: -1e9}
		if h.m == h.n { // see early
			m.cap += 0.5
		}
		return m
	case Concurrency:
		m := again[inUse](old)
		*m = inUse{cap: h.n, held: m.held[:0]}
		return m
	case Stacked:
		m := again[pair](old)
		one, two := h.parts()
		*m = pair{one.model(m.one), two.model(m.two), h.also, m.wave}
		return m
	}
	return again[endless](old)
}

// again is old, where it is of the same kind, or new.
func again[T any](old model) *T {
	if m, ok := any(old).(*T); ok {
		return m
	}
	return new(T)
}

// shortest is the shortest window that is looked for, in seconds; where a clock gives one
// at a time it may be shortestOne, and a bucket may be full again sooner.
const (
	shortest     = 0.3
	shortestOne  = 0.1
	shortestFill = 0.02
)

// shortest is how long the windows of h are at least.
func (h *hypothesis) shortest() float64 {
	if h.quick && (h.family == FixedClock && h.n == 1 || h.family == RefillBucket && h.m == 1) {
		return shortestOne
	}
	return shortest
}

// roundings are how a sliding window compares the share of the window before with
// the limit: rounded down, to the nearest, or not at all.
var roundings = [3]float64{0, 0.5, 1 - 1e-6}

// tidy makes whole what must be whole, and zero what the family does not have.
func (h *hypothesis) tidy() {
	h.n, h.m = math.Round(h.n), math.Round(h.m)
	if h.family != Stacked {
		h.also = Apart
		if h.kind2, h.ph2 = None, 0; h.family != Ban || h.kind != SlidingLog && h.kind != FixedClock && h.kind != FixedFirst {
			h.kind = None
		}
	}
	if h.family != Stacked && h.family != Ban {
		h.v = 0
	}
	sliding := h.family == SlidingWindow || h.family == SlidingWindowDenied
	place := h.ph
	if h.anew = h.anew && (sliding || h.family == RefillBucket || h.family == FixedFirst || h.family == Ban && h.kind == None); h.anew {
		h.ph = 0
	}
	if !h.anew || h.family != RefillBucket {
		h.since = SinceLet
	}
	switch h.family {
	case None, Concurrency:
		h.w, h.m, h.ph = 0, 0, 0
	case FixedFirst, SlidingLog, SlidingLogDenied, TokenBucket, Ban:
		if h.m = max(0, min(h.m, 1)); h.family != FixedFirst || !h.anew {
			h.m = 0
		}
		if h.family != Ban || h.kind != FixedClock {
			h.ph = 0
		}
	case LeakyQueue:
		h.ph = 0
	case FixedClock:
		h.m = 0
	case SlidingWindow, SlidingWindowDenied:
		h.m = max(0, min(h.m, 2))
	case Stacked:
		if !h.kind.gridded() {
			h.ph = 0
		}
		if !h.kind2.gridded() {
			h.ph2 = 0
		}
	}
	if h.tick > 0 {
		if h.family != TokenBucket {
			h.w = math.Round(h.w/h.tick) * h.tick
		}
		if h.ph = math.Mod(place, h.tick); h.family.gridded() && !h.anew {
			h.ph = math.Mod(place, max(h.w, h.tick))
		}
	}
}

// valid tells whether the figures make sense, after tidying them.
func (h *hypothesis) valid() bool {
	h.tidy()
	if h.n < 1 || h.n > 1e6 {
		return false
	}
	if h.family == None || h.family == Concurrency {
		return true
	}
	if h.w < 1e-4 || h.w > 1e5 || !(math.Abs(h.ph) < 1e7) || !(math.Abs(h.ph2) < 1e7) {
		return false
	}
	if h.tick > 0 && !h.ticks() || h.since == SinceRest && h.m == 1 { // a token bucket
		return false
	}
	if h.family == TokenBucket || h.family == LeakyQueue || h.anew && h.family == RefillBucket {
		if h.n*h.w < shortestFill {
			return false
		}
	} else if h.w < h.shortest() && h.family != Stacked {
		return false
	}
	switch h.family {
	case FixedFirst: // of one it is a bucket of one, or a log that counts refused requests
		return h.n > 1 || h.tick > 0 && !h.anew
	case SlidingLog:
		return h.n > 1
	case SlidingWindow: // of one rounded down, what the window before holds never counts
		return h.n > 1 || h.m > 0 || h.anew || h.tick > 0
	case RefillBucket:
		return h.m >= 1 && h.m < h.n
	case LeakyQueue:
		return h.m >= 1 && h.m <= h.n && h.n >= 2
	case Ban:
		return h.v >= h.w*0.5 && h.v < 1e5
	case Stacked:
		one, two := h.parts()
		return one.valid() && two.valid() && h.m > h.n && two.rate() < 0.98*one.rate()
	}
	return true
}

// mutate returns a neighbour of h. now is an instant near which phases are kept.
func (h hypothesis) mutate(r *rand.Rand, now float64) hypothesis {
	scale := []float64{0.3, 0.08, 0.02, 0.005, 0.001}[r.IntN(5)]
	f := func(x float64) float64 { return x * math.Exp(scale*r.NormFloat64()) }
	whole := func(x float64) float64 {
		switch r.IntN(4) {
		case 0:
			return x + 1
		case 1:
			return x - 1
		case 2:
			return x + math.Round(3*r.NormFloat64())
		}
		return math.Round(f(x))
	}
	grids := h.family.gridded() && !h.anew || h.kind.gridded()
	for moves := 1 + r.IntN(2); moves > 0; moves-- {
		switch r.IntN(6) {
		case 0:
			h.n = whole(h.n)
		case 1, 2:
			w := f(h.w)
			if grids {
				// Keep a head, somewhere in what has been seen.
				at := now * r.Float64()
				head := h.ph + math.Round((at-h.ph)/h.w)*h.w
				h.ph = head
			}
			h.w = w
		case 3:
			switch h.family {
			case RefillBucket, LeakyQueue, Stacked:
				h.m = whole(h.m)
			case SlidingWindow, SlidingWindowDenied:
				h.m = float64(r.IntN(3))
			case FixedFirst:
				if h.anew {
					h.m = float64(r.IntN(2))
				} else {
					h.n = whole(h.n)
				}
			default:
				h.n = whole(h.n)
			}
		case 4:
			if h.kind2.gridded() {
				at := now * r.Float64()
				h.ph2 += math.Round((at-h.ph2)/h.v) * h.v
			}
			if h.v > 0 {
				h.v = f(h.v)
			} else {
				h.w = f(h.w)
			}
		case 5:
			h.ph += scale * r.NormFloat64() * h.w
			h.ph2 += scale * r.NormFloat64() * h.v
		}
	}
	if h.family == TokenBucket && r.IntN(3) == 0 {
		// The rate and what the bucket holds are seen together.
		h.n = math.Round(h.n + 2*r.NormFloat64())
	}
	return h
}

// toward returns h moved by a part of the difference between two others.
func (h hypothesis) toward(a, b *particle, r *rand.Rand) hypothesis {
	g := 0.3 + 0.9*r.Float64()
	if r.IntN(4) == 0 {
		g = 1.5
	}
	h.n = math.Round(h.n + g*(a.n-b.n))
	h.m = math.Round(h.m + g*(a.m-b.m))
	h.w += g * (a.w - b.w)
	h.v += g * (a.v - b.v)
	h.ph += g * (a.ph - b.ph)
	h.ph2 += g * (a.ph2 - b.ph2)
	return h
}
