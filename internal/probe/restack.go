package probe

import (
	"math"
	"math/rand/v2"
	"slices"
)

// herdOf returns the herd that a hypothesis belongs to. That of two limits is made
// when it is first asked for.
func (p *Probe) herdOf(g *hypothesis) *herd {
	for _, h := range p.herds {
		if h.family == g.family && h.kind == g.kind && h.kind2 == g.kind2 && h.used == g.used && h.anew == g.anew && h.since == g.since && h.tick == g.tick && h.also == g.also {
			return h
		}
	}
	if g.family != Stacked {
		return nil
	}
	h := &herd{family: g.family, kind: g.kind, kind2: g.kind2, also: g.also}
	p.herds = append(p.herds, h)
	return h
}

// restack looks for two limits: when what explained everything until the latest
// experiment no longer does, and when nothing does.
func (p *Probe) restack() {
	top, single := p.shares()[0].Family, math.Inf(1)
	for _, h := range p.herds {
		if h.family != Stacked {
			single = min(single, h.cost())
		}
	}
	broke := p.whole.broke(p)
	p.broken = broke && single > 3
	p.discard()
	if single < 0.5 {
		p.whole.note(p, top)
	}
	best := p.cheapest()
	switch {
	case p.share > 0:
		p.pairAmong()
		return
	case best > 0.5:
		p.pairUp(len(p.sights) > p.whole.deep+2)
		// Two that explained everything and no longer do are perhaps of another kind.
		if left := p.cheapest() > 0.5; left && p.more(p.whole.apiece) || !left && top == Stacked {
			p.apiece(left)
		}
	case broke && single < 0.5:
		p.pairUp(false)
	case top == Stacked && !p.whole.kin:
		p.whole.kin = true
		p.kin(false)
	case top == Stacked && p.herd(Stacked).also == Apart && p.why == whyUseUp && p.sights[len(p.sights)-1].r == 0:
		p.apiece(p.whole.apiece < p.whole.supposed) // the longer one holds more than what it let through says
	}
	p.oneOf()
}

// more tells whether enough was seen since a search in vain to make it again.
func (p *Probe) more(since int) bool { return 10*len(p.sights) > 11*since+20 }

// apiece seeks two limits of which each counts what the other refuses. Where none
// explains what was seen, all goes on as if it had not been asked.
func (p *Probe) apiece(deep bool) {
	p.counted()
	was, rng := p.whole, p.rng
	p.rng = rand.New(rand.NewPCG(p.opt.Seed, uint64(len(p.sights))))
	for _, p.also = range []Counting{InLonger, InFirst} {
		p.pairUp(deep)
		p.whole.deep, p.whole.kin = was.deep, was.kin
	}
	p.also, p.rng = Apart, rng
	p.discard()
	p.whole.apiece = len(p.sights)
}

// counted tries the pairs that explain most where what one of the two refuses counts
// elsewhere than was believed. Subtle: the search goes on as if it had not been asked.
func (p *Probe) counted() {
	rng := p.rng
	p.rng = rand.New(rand.NewPCG(p.opt.Seed, uint64(len(p.sights))))
	herds, most := slices.Clone(p.herds), p.cheapest()+countedMost
	for also := Apart; also <= InFirst; also++ {
		pool := &pairs{size: 12, of: map[[2]Family][]*particle{}}
		for _, h := range herds {
			if h.family != Stacked || h.also == also || h.cost() > most {
				continue
			}
			for _, q := range h.best[:min(len(h.best), 3)] {
				g := q.hypothesis
				g.also = also
				pool.add(&p.fitter, g)
			}
		}
		p.adopt(pool, 3)
	}
	p.rng = rng
}

// countedMost is how much more than the best a pair leaves unexplained that counted tries:
// about one wave of which something was refused.
const countedMost = 6

// discard drops limits that count what the other refuses where they do not explain what
// was seen: they are sought again when need be.
func (p *Probe) discard() {
	best := p.cheapest()
	p.herds = slices.DeleteFunc(p.herds, func(h *herd) bool { return h.also != Apart && h.cost() > best+3 })
}

// oneOf tries each first of two limits that explain everything alone: a search for one
// may have lost sight of it by a little, and then a second explains just that little.
func (p *Probe) oneOf() {
	best := p.cheapest()
	now := p.sights[len(p.sights)-1].d
	for _, h := range p.herds {
		if h.family != Stacked || h.cost() > best+0.5 {
			continue
		}
		alone := p.herdOf(&hypothesis{family: h.kind})
		for _, q := range h.best[:min(len(h.best), 3)] {
			one, _ := q.parts()
			roundingsOf := 1
			if one.family == SlidingWindow {
				roundingsOf = len(roundings)
			}
			for m := range roundingsOf {
				one.m = float64(m)
				r := &reach{fitter: &p.fitter, most: 0.005, now: now, tries: 60}
				c := r.ask(one, 20, 20) // most are far off
				if c == nil {
					continue
				}
				if c.cost > r.most {
					c = r.descend(one, one.times())
				}
				if c.cost < alone.cost() {
					alone.best = append([]*particle{c}, alone.best...)
					alone.dead = 0
				}
			}
		}
	}
}

// metAgain tells whether the second of two limits was met again when it was used up on
// purpose: open, and then the only one that explains a refusal. What is found after
// the event explains the event, whatever it was; several replicas look so, too.
func (p *Probe) metAgain() bool {
	q := p.herd(Stacked).best[0]
	m := q.model(nil).(*pair)
	since := 0.0 // admitted since it refused last
	for i := range p.sights {
		w := &p.sights[i]
		m.admit(w)
		if i >= p.whole.supposed {
			since += float64(w.a)
		}
		if w.r == 0 {
			continue
		}
		one, two := m.one.gap(w), m.two.gap(w)
		if one > 1e-6 && two <= 1e-6 {
			// Subtle: a log gives back what was spent at one time, which may be no more
			// than the first limit lets through at once.
			if since > 0.6*q.n && onPurpose(p.v.Waves[i].Why) {
				return true
			}
			since = 0
		}
		m.refuse(w, min(one, two))
	}
	return false
}

// unopened tells whether the longer of two limits was looked at again and again since it
// refused, and did not open. Subtle: a third limit, longer than both, that was met makes the
// second seem a little longer each time.
func (p *Probe) unopened() bool {
	one, _ := p.herd(Stacked).best[0].parts()
	last := len(p.sights) - 1
	i, looks := last, 0
	for ; i >= 0 && p.sights[i].a == 0; i-- {
		looks += int(boolTo(p.sights[i].r > 0, 1))
	}
	return looks >= unopenedLooks && p.sights[last].s-p.sights[i+1].s > 1.1*one.period()
}

// unopenedLooks is how many refusals in a row make unopened.
const unopenedLooks = 3

// whole is what explained everything, for when it no longer does.
type whole struct {
	top      Family
	were     []hypothesis // the latest first
	supposed int          // how many waves there were when the two were supposed first
	deep     int          // how many waves there were at the latest search from nothing
	kin      bool         // other kinds of the two were tried
	apiece   int          // how many there were at the latest search for limits that count what the other refuses
	known    bool         // the first of two explained everything before the second was met
}

// broke tells whether what was likeliest in the round before has ceased to explain.
func (w *whole) broke(p *Probe) bool {
	if w.top == None {
		return false
	}
	if p.herd(w.top).cost() < 1 {
		return false
	}
	w.top = None
	return true
}

// knew tells whether the first of two limits explained everything before the second was
// met. Subtle: that there are two may have been read in headers, and was not sought then.
func (w *whole) knew(q *particle) bool {
	return w.known || q.kind != TokenBucket && slices.ContainsFunc(w.were, func(o hypothesis) bool {
		return o.family == q.kind && o.n == q.n && math.Abs(o.w-q.w) < 0.05*q.w
	})
}

// note keeps what explains everything now.
func (w *whole) note(p *Probe, top Family) {
	if w.top = None; p.herd(top).cost() < 0.5 && top != Stacked {
		w.top = top
	}
	for _, kind := range stackable {
		h := p.herd(kind)
		if h.cost() > 3 || h.used || h.anew || h.tick > 0 {
			continue
		}
		for _, q := range h.unlike(10, h.cost()) {
			w.keep(q.hypothesis)
		}
	}
}

// keep puts a limit before the others, and forgets those that are much alike.
func (w *whole) keep(q hypothesis) {
	w.were = slices.DeleteFunc(w.were, func(o hypothesis) bool {
		return o.family == q.family && o.n == q.n && math.Abs(o.w-q.w) < 0.01*q.w
	})
	w.were = slices.Insert(w.were, 0, q)
	w.were = w.were[:min(len(w.were), 40)]
}

// pairUp seeks two limits. Deep takes nothing for granted of the first where those
// that explained everything once do not lead to two that do now.
func (p *Probe) pairUp(deep bool) {
	if h := p.herd(Stacked); h == nil || h.cost() > 0.5 {
		p.whole.supposed = len(p.sights)
	}
	p.findOpenings()
	p.full = p.refusals()
	pool := &pairs{size: 24, of: map[[2]Family][]*particle{}}
	var ones []hypothesis
	for _, h := range p.herds { // those that explained everything as a pair
		if h.family == Stacked {
			for _, q := range h.best[:min(len(h.best), 3)] {
				one, _ := q.parts()
				ones = append(ones, one)
			}
		}
	}
	p.beside(append(ones, p.whole.were...), true, pool)
	found := p.adopt(pool, 8)
	p.whole.known = p.whole.known || found < 0.5 && len(p.whole.were) > 0
	if found > 0.5 && deep {
		p.whole.deep = len(p.sights)
		ones = ones[:0]
		for _, kind := range stackable {
			ones = append(ones, p.firsts(kind)...)
		}
		p.beside(ones, false, pool)
		p.adopt(pool, 8)
	}
	p.whole.kin = false
}

// adopt puts the best pairs of each kinds into their herds, moved by small steps to
// where they explain more, and returns what the best leaves unexplained. Kinds that
// leave more than worse beyond that are left out.
func (p *Probe) adopt(pool *pairs, worse float64) float64 {
	now := p.sights[len(p.sights)-1].d
	least := math.Inf(1)
	better := map[[2]Family][]*particle{}
	for _, one := range stackable { // Subtle: in this order, not in that of a map
		for _, two := range stackable {
			key := [2]Family{one, two}
			of := pool.of[key]
			for i, q := range of[:min(len(of), 8)] {
				if i > 0 && q.cost > of[0].cost+10 {
					break
				}
				r := &reach{fitter: &p.fitter, most: 0.005, now: now, tries: 120}
				g := q
				if q.cost > r.most {
					if d := r.descend(q.hypothesis, q.times()); d != nil && d.cost < q.cost {
						g = d
					}
				}
				better[key] = append(better[key], g)
				least = min(least, g.cost)
			}
		}
	}
	for _, one := range stackable {
		for _, two := range stackable {
			key := [2]Family{one, two}
			of := better[key]
			if len(of) == 0 || slices.MinFunc(of, byCost).cost > least+worse {
				continue
			}
			h := p.herdOf(&of[0].hypothesis)
			h.best = append(h.best, of...)
			slices.SortStableFunc(h.best, byCost)
			h.dead = 0
			if p.fit(h, 60); h.cost() > 0.5 && least > 0.5 && h.cost() < least+3 {
				p.fit(h, 350)
			}
			least = min(least, h.cost())
		}
	}
	return least
}

// kin tries the other kinds of each of the two limits that explain most, where two do.
func (p *Probe) kin(deep bool) {
	if p.shares()[0].Family != Stacked {
		return
	}
	p.findOpenings()
	pool := &pairs{size: 12, of: map[[2]Family][]*particle{}}
	h := p.herd(Stacked)
	p.also = h.also
	defer func() { p.also = Apart }()
	for _, q := range h.best[:min(len(h.best), 2+int(boolTo(deep, 2)))] {
		one, two := q.parts()
		p.beside([]hypothesis{one}, true, pool)
		for _, kind := range stackable {
			if kind != h.kind || deep {
				p.before(two, kind, one, pool)
			}
		}
	}
	p.adopt(pool, 5)
	p.counted()
}

// before seeks limits of a kind that explain with two what it leaves, near another
// first limit.
func (p *Probe) before(two hypothesis, kind Family, near hypothesis, pool *pairs) {
	left, ok := p.leaves(two, false)
	if !ok || len(left) == 0 {
		return
	}
	lo, hi := 0.8*near.w, 1.25*near.w
	switch {
	case kind == TokenBucket && near.family != TokenBucket:
		lo, hi = lo/near.n, hi/max(1, near.n-1)
	case kind != TokenBucket && near.family == TokenBucket:
		lo, hi = lo*near.n, hi*near.n
	case kind == SlidingWindow || near.family == SlidingWindow || p.also != Apart:
		lo, hi = 0.4*near.w, 2.2*near.w
	}
	for _, one := range p.second(kind, left, p.also != Apart, lo, hi, 1.003, 24, 0, math.Inf(1)) {
		for _, dn := range []float64{0, 1, -1} {
			g := stack(one.hypothesis, two)
			g.n, g.also = g.n+dn, p.also
			pool.add(&p.fitter, g)
		}
	}
}
