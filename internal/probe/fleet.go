package probe

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// way is how a balancer chooses among replicas.
type way uint8

const (
	byChance way = iota // any of them, as likely as the others
	byTurn              // strictly one after the other
	byLoad              // in turn among those who have the fewest under way: nearly in turn
	ways
)

// fleet is a hypothesis of several replicas that each keep their own count.
type fleet struct {
	way  way
	kind Family  // of the limit on each: TokenBucket, FixedFirst, or FixedClock with a phase of each replica's own
	r    int     // how many replicas
	n, w float64 // limit of each and its window; of buckets, capacity and seconds per unit
	same bool    // the windows of the clock begin on all replicas at once; byChance only
}

func (f fleet) String() string {
	s := fmt.Sprintf("%s %d × %g/%.4g %v", [ways]string{"by chance", "in turn", "by load"}[f.way], f.r, f.n, f.w, f.kind)
	if f.same {
		s += ", all at once"
	}
	return s
}

func (f fleet) valid() bool {
	return f.r >= 2 && f.r <= crewMost && f.n >= 1 && f.w > 1e-3 && f.w < 1e5 && (f.kind == TokenBucket || f.w >= shortest)
}

// berth is one replica as a replay holds it possible. Of windows the end of the
// current one lies between lo and hi; of buckets left is what was there at the time at.
type berth struct {
	left, at float64
	lo, hi   float64
	open     bool // a window is under way
}

// replay plays what was seen to a fleet, many times at once: who got which request
// cannot be seen and is drawn, and those draws that explain the answers go on.
type replay struct {
	fleet
	rng    *rand.Rand
	many   int
	berths []berth // of each draw, its replicas
	spare  []berth
	next   []int // of each draw, whose turn it is
	turns  []int
	weight []float64
	free   []float64
	count  []int
	under  []int
}

// drift is how far a window may be off, as a share, before the replay of a fleet
// loses its phase.
const drift = 0.002

// odd is the chance of what a fleet cannot explain.
const odd = 0.003

// judged is how well a fleet explains what was seen.
type judged struct {
	fleet
	cost float64 // the negative logarithm of the chance of the answers
	mean float64 // what cost would be on average if the fleet were the truth
	sd   float64
}

// surplus is what the fleet leaves unexplained.
func (j judged) surplus() float64 { return j.cost - j.mean }

// evidence is what was seen, or the beginning of it.
type evidence struct {
	sights []sight
	course []float64 // what the best so far cost after each sight, for judge to give up early; nil: none
	slack  float64   // by how much more it may cost then
}

// upTo is what was seen of so many requests.
func (p *Probe) upTo(requests int) *evidence {
	n := 0
	for i, w := range p.sights {
		if n += w.a + w.r; n > requests {
			return &evidence{sights: p.sights[:i]}
		}
	}
	return &evidence{sights: p.sights}
}

// judge replays all sights to a fleet. It gives up when the surplus exceeds most.
func (p *evidence) judge(f fleet, many int, most float64) judged {
	j, _ := p.follow(f, many, most)
	return j
}

// follow is judge, with what it cost after each sight.
func (p *evidence) follow(f fleet, many int, most float64) (out judged, course []float64) {
	m := &replay{fleet: f, rng: rand.New(rand.NewPCG(7, 11)), many: many,
		berths: make([]berth, many*f.r), spare: make([]berth, many*f.r), next: make([]int, many), turns: make([]int, many),
		weight: make([]float64, many), free: make([]float64, f.r), count: make([]int, f.r)}
	out.fleet, course = f, make([]float64, len(p.sights))
	for i := range m.berths {
		b := &m.berths[i]
		b.left = f.n
		if f.kind == FixedClock {
			b.lo, b.hi, b.open = 0, f.w, true
		}
	}
	for j := range m.weight {
		m.weight[j] = 1
	}
	variance := 1.0
	for i := range p.sights {
		w := &p.sights[i]
		var cost, mean, vary float64
		if f.way == byChance {
			cost, mean, vary = m.scatter(w)
		} else {
			cost, mean, vary = m.rotate(w)
		}
		out.cost, out.mean, variance = out.cost+cost, out.mean+mean, variance+vary
		course[i] = out.cost
		if out.cost-out.mean > most+3*math.Sqrt(variance) || p.course != nil && out.cost > p.course[i]+p.slack {
			out.cost = math.Inf(1)
			break
		}
	}
	out.sd = math.Sqrt(variance)
	return out, course
}

// settle lets the window of a replica end where that must have been by an instant, or may,
// and tells whether it did.
func (m *replay) settle(b *berth, t float64) (ended bool) {
	switch m.kind {
	case TokenBucket:
		if t > b.at {
			b.left, b.at = min(m.n, b.left+(t-b.at)/m.w), t
		}
		return false
	case FixedFirst:
		if b.open && t >= b.hi {
			b.left, b.open, ended = m.n, false, true
		}
	case FixedClock:
		if t >= b.hi {
			k := math.Ceil((t - b.hi + 1e-9) / m.w)
			b.left, ended = m.n, true
			slip := min(drift*m.w, 0.02)
			b.lo, b.hi = b.lo+k*m.w-slip, b.hi+k*m.w+slip
		}
	}
	if b.open && t > b.lo && b.left >= 1 { // it may have ended
		if m.rng.Float64()*(b.hi-b.lo) < t-b.lo {
			m.renew(b, t)
			return true
		}
		b.lo = t
	}
	return ended
}

// settleAll is settle for all replicas of a draw.
func (m *replay) settleAll(bs []berth, t float64) {
	if !m.same {
		for i := range bs {
			m.settle(&bs[i], t)
		}
		return
	}
	if t < bs[0].hi {
		for i := range bs {
			if bs[i].left < 1 { // whether it has ended shows when this one is asked
				return
			}
		}
	}
	if m.settle(&bs[0], t) {
		m.strike(bs, 0)
		return
	}
	for i := range bs {
		bs[i].lo, bs[i].hi = bs[0].lo, bs[0].hi
	}
}

// strike begins a window on all replicas when one of them, i, has begun it.
func (m *replay) strike(bs []berth, i int) {
	for k := range bs {
		bs[k].lo, bs[k].hi = bs[i].lo, bs[i].hi
		if k != i {
			bs[k].left = m.n
		}
	}
}

// notYet notes that the window of all replicas has not ended by t, where one that is full
// refused then, and returns how many are open.
func (m *replay) notYet(bs []berth, t float64) (open float64) {
	lo := min(bs[0].hi, max(bs[0].lo, t))
	for i := range bs {
		bs[i].lo = lo
		m.free[i] = m.chance(&bs[i], t)
		open += m.free[i]
	}
	return open
}

// renew begins a new window that began at t at the latest.
func (m *replay) renew(b *berth, t float64) {
	b.left = m.n
	if m.kind == FixedFirst {
		b.open = false
	} else {
		slip := min(drift*m.w, 0.02)
		b.lo, b.hi = b.lo+m.w-slip, t+m.w+slip
	}
}

// chance is how likely a replica admits one at t.
func (m *replay) chance(b *berth, t float64) float64 {
	switch {
	case b.left >= 1:
		return 1
	case m.kind == TokenBucket || !b.open || t <= b.lo:
		return 0
	}
	return min(1, (t-b.lo)/(b.hi-b.lo))
}

// spend takes one from a replica that has admitted it.
func (m *replay) spend(b *berth, t float64, w *sight) {
	if b.left < 1 && m.kind != TokenBucket {
		m.renew(b, t)
	}
	b.left = max(0, b.left-1)
	if m.kind == FixedFirst && !b.open {
		slip := min(drift*m.w, 0.02)
		b.open, b.lo, b.hi = true, w.s+m.w-slip, w.d+m.w+slip
	}
}

// allIn plays a wave of which nothing was refused to a draw, at once, where every replica
// has room for whatever of it comes there; it tells whether they have.
func (m *replay) allIn(bs []berth, w *sight) bool {
	each := float64(w.a) / float64(m.r)
	if w.r > 0 || w.a < 2*m.r {
		return false
	}
	m.settleAll(bs, w.s)
	for i := range bs {
		if b := &bs[i]; b.left < each+5*math.Sqrt(each)+3 || m.kind != TokenBucket && b.open && b.lo < w.d {
			return false
		}
	}
	clear(m.count)
	for range w.a {
		m.count[m.rng.IntN(m.r)]++
	}
	for i, k := range m.count {
		if k > 0 {
			m.spend(&bs[i], w.s, w)
			bs[i].left -= float64(k - 1)
		}
	}
	return true
}

// scatter plays a wave of which each request goes to any of the replicas. In which
// order they arrived is not known: that is drawn too.
func (m *replay) scatter(w *sight) (cost, mean, vary float64) {
	r, n := m.r, w.a+w.r
	if n == 0 {
		return 0, 0, 0
	}
	before, after := 0.0, 0.0
	guess, square := 0.0, 0.0
	for j := range m.many {
		bs := m.berths[j*r : j*r+r]
		before += m.weight[j]
		yes, no := float64(w.a), float64(w.r)
		open, t := 0.0, 0.0
		lg, product := 0.0, 1.0 // a logarithm for each request would take most of the time
		want, spread := 0.0, 0.0
		if m.allIn(bs, w) {
			after += m.weight[j] * math.Pow(1-odd, float64(n))
			guess += (1 - odd) * float64(n)
			continue
		}
		for k := range n {
			if k == 0 || (k*4)/n != ((k-1)*4)/n || n < 5 {
				t = w.s + (float64(k)+m.rng.Float64())/float64(n)*max(0, w.d-w.s)
				open = 0
				m.settleAll(bs, t)
				for i := range bs {
					m.free[i] = m.chance(&bs[i], t)
					open += m.free[i]
				}
			}
			q := min(1-odd, max(odd, open/float64(r)))
			want, spread = want+q, spread+q*(1-q)
			// The next that arrives is one of those admitted as likely as it may be.
			y, x := yes*q, no*(1-q)
			ok := m.rng.Float64()*(y+x) < y
			if ok {
				product *= (y + x) / yes
				yes--
				i := pick(m.free, open, m.rng)
				if anew := bs[i].left < 1; m.free[i] > 0 {
					m.spend(&bs[i], t, w)
					if m.same && anew {
						m.strike(bs, i)
						for i := range m.free {
							m.free[i] = 1
						}
						open = float64(r)
					}
				}
				is := m.chance(&bs[i], t)
				open += is - m.free[i]
				m.free[i] = is
			} else {
				product *= (y + x) / no
				no--
				if m.same {
					open = m.notYet(bs, t)
				} else if part := open - math.Floor(open); part > 1e-9 && part < 1-1e-9 {
					for i, c := range m.free {
						if c > 0 && c < 1 && m.rng.Float64()*(float64(r)-open) < 1-c { // it was asked
							bs[i].lo = min(bs[i].hi, max(bs[i].lo, t))
							is := m.chance(&bs[i], t)
							open += is - c
							m.free[i] = is
							break
						}
					}
				}
			}
			if product < 1e-200 {
				lg, product = lg+math.Log(product), 1
			}
			if k == 0 && n == 1 {
				want, spread = q, q*(1-q)
			}
		}
		m.weight[j] *= math.Exp(max(-40, lg+math.Log(product)))
		after += m.weight[j]
		guess += want
		square += spread
	}
	cost = min(25, -math.Log(max(1e-30, after/before)))
	many := float64(m.many)
	if n == 1 {
		p := guess / many
		mean = -(p*math.Log(p) + (1-p)*math.Log(1-p))
		vary = p * (1 - p) * sq(math.Log(p/(1-p)))
	} else if v := square/many + 0.02; true {
		// About normal, with the variance of what was expected.
		mean = max(0, 0.5*math.Log(2*math.Pi*math.E*(v+1.0/12)))
		vary = min(0.5, mean)
	}
	m.resample()
	return cost, mean, vary
}

// pick draws one by its part of the sum.
func pick(of []float64, sum float64, rng *rand.Rand) int {
	x := rng.Float64() * sum
	last := 0
	for i, c := range of {
		if c > 0 {
			last = i
			if x -= c; x < 0 {
				return i
			}
		}
	}
	return last
}

func sq(x float64) float64 { return x * x }

// resample keeps draws by their weight.
func (m *replay) resample() {
	sum, square := 0.0, 0.0
	for _, w := range m.weight {
		sum += w
		square += w * w
	}
	if sum*sum > 0.6*square*float64(m.many) {
		return
	}
	r := m.r
	step := sum / float64(m.many)
	x, k := step*m.rng.Float64(), 0
	acc := m.weight[0]
	for j := range m.many {
		for acc < x && k < m.many-1 {
			k++
			acc += m.weight[k]
		}
		copy(m.spare[j*r:j*r+r], m.berths[k*r:k*r+r])
		m.turns[j] = m.next[k]
		x += step
	}
	m.berths, m.spare = m.spare, m.berths
	m.next, m.turns = m.turns, m.next
	for j := range m.weight {
		m.weight[j] = 1
	}
}
