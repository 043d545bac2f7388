package probe

import (
	"cmp"
	"math"
	"slices"
)

// Two limits are sought one after the other. When what explained everything no longer
// does, it is held as it was, and a second limit is sought that explains what it does
// not: then only a window and a head are unknown, and what the second holds follows
// from what was admitted. Six figures at once are too many for a search by chance.

// partial is a limit that may be one of two, and how badly it explains what it must.
type partial struct {
	hypothesis
	score float64
	holds []float64 // what it may hold; where refusals of another count that may be much
}

// leaves tells which refusals a limit alone leaves unexplained, and whether it can be one
// of two, the first or the longer: whether all that was admitted is within it.
func (f *fitter) leaves(h hypothesis, first bool) (left []int, ok bool) {
	if !h.valid() {
		return nil, false
	}
	m := h.model(nil)
	cost := 0.0
	for i := range f.sights {
		w := &f.sights[i]
		if over := m.admit(w); over > 1e-6 {
			if cost += min(overMost, overCost*(0.3+over)); cost > 8 {
				return nil, false
			}
		}
		if w.r > 0 {
			if m.gap(w) > 1e-6 {
				if left = append(left, i); f.also == InLonger || first && f.also == InFirst {
					v := *w
					charge(m, &v, f.also == InFirst)
				}
			} else {
				m.refuse(w, 0)
			}
		}
	}
	return left, true
}

// tally is what was admitted when, by the middle of the times at which each wave may
// have been decided, for a first look at a great many limits. More is what another limit
// refused, where that counts, as far as a limit of most had room for it.
type tally struct {
	at, n, more, took, fill []float64
	most                    float64
	of, must                []int // the sight of each wave, and the waves of which all has to be refused
}

// tally has the waves that add something to a limit, and those at must, in order, of whose
// refusals none are in more: the limit itself refuses these.
func (f *fitter) tally(must []int, counts bool) *tally {
	t := &tally{}
	for i := range f.sights {
		w := &f.sights[i]
		refuses, more := len(must) > 0 && must[0] == i, 0.0
		if counts && !refuses {
			more = float64(w.r)
		}
		if w.a == 0 && more == 0 && !refuses {
			continue
		}
		if refuses {
			t.must, must = append(t.must, len(t.at)), must[1:]
		}
		t.at, t.n, t.more, t.of = append(t.at, (w.s+w.d)/2), append(t.n, float64(w.a)), append(t.more, more), append(t.of, i)
	}
	t.fill, t.took = make([]float64, len(t.at)), make([]float64, len(t.at))
	if !counts {
		t.more = nil
	}
	return t
}

// count notes that a limit is used up to used after wave i, and returns what others
// refused in it add to that.
func (t *tally) count(i int, used float64) (more float64) {
	if t.more != nil {
		more = max(0, min(t.more[i], t.most-used))
		t.took[i] = more
	}
	t.fill[i] = used + more
	return more
}

// use sets fill to how many units of a limit are used after each wave, and returns the
// most of these that an admitted request leaves. The limit holds at least that.
func (t *tally) use(h *hypothesis) (top float64) {
	cur, prev, at, k := 0.0, 0.0, math.Inf(-1), math.Inf(-1)
	first, inv, end := 0, 1/h.w, math.Inf(-1)
	switch h.family {
	case FixedClock:
		for i, x := range t.at {
			if x >= end {
				end, cur = h.ph+(math.Floor((x-h.ph)*inv)+1)*h.w, 0
			}
			cur += t.n[i]
			cur += t.count(i, cur)
		}
	case FixedFirst:
		for i, x := range t.at {
			if x >= at+h.w {
				if cur = 0; t.n[i] > 0 || t.more != nil && t.more[i] > 0 {
					at = x
				}
			}
			cur += t.n[i]
			cur += t.count(i, cur)
		}
	case SlidingLog:
		for i, x := range t.at {
			for ; t.at[first] <= x-h.w; first++ {
				cur -= t.n[first] + t.took[first]
			}
			cur += t.n[i]
			cur += t.count(i, cur)
		}
	case SlidingWindow:
		for i, x := range t.at {
			if x >= end {
				j := math.Floor((x - h.ph) * inv)
				if prev = 0; j == k+1 {
					prev = cur
				}
				cur, k, end = 0, j, h.ph+(j+1)*h.w
			}
			cur += t.n[i]
			used := cur
			if prev > 0 {
				used += math.Floor(prev * (end - x) * inv)
			}
			cur += t.count(i, used)
		}
	case TokenBucket:
		for i, x := range t.at {
			cur = max(0, cur-(x-at)*inv) + t.n[i]
			at = x
			cur += t.count(i, cur)
		}
	}
	for i, n := range t.n {
		if used := t.fill[i] - t.took[i]; n > 0 && used > top {
			top = used
		}
	}
	return top
}

// second lists limits of a kind that explain the refusals at must, the best first, with
// windows between lo and hi, in steps of a ratio. Every figure but the window and a
// head follows. It is larger than size, and
// gives back less than rate a second. Counts is whether what another refuses counts. Where much
// is possible yet, what is listed is spread over all windows.
func (f *fitter) second(kind Family, must []int, counts bool, lo, hi, ratio float64, most int, size, rate float64) (found []partial) {
	t := f.tally(must, counts)
	perBin := max(1e-9, math.Log(hi/lo)) / float64(most)
	bins := make([]partial, most)
	for i := range bins {
		bins[i].score = 60
	}
	heads := []float64{0}
	if kind.gridded() {
		heads = f.headsAfter(must)
	}
	for w := lo; w < hi; w *= ratio {
		bin := &bins[min(most-1, int(math.Log(w/lo)/perBin))]
		for k, ph := range heads {
			h := hypothesis{family: kind, w: w, ph: ph}
			if kind.gridded() && k >= len(heads)-spare {
				h.ph = f.sights[must[0]].s - w*(float64(k-len(heads)+spare)+0.5)/spare
			}
			t.most = 0
			top := t.use(&h)
			slack, dear := 0.6, f.missing(top)
			h.n = math.Round(top)
			if kind == TokenBucket {
				slack = 1.1 + f.jitter/w
				h.n = math.Floor(top)
			}
			if h.n <= size || h.rate() >= rate {
				continue
			}
			if counts {
				t.most = math.Inf(1)
				t.use(&h)
			}
			score, each, bound := 0.0, 3/(1+0.1*top), bin.score
			for _, i := range t.must {
				if d := top - t.fill[i] - slack; d > 0 {
					if score += dear.price(d, each); score >= bound {
						break
					}
				}
			}
			if score >= bound {
				continue
			}
			*bin = partial{hypothesis: h, score: score}
		}
	}
	for _, b := range bins {
		if b.score < 60 {
			b.holds = []float64{b.n, b.n + 1, b.n - 1}
			switch {
			case counts:
				b.holds = t.holds(&b.hypothesis)
			case f.share > 0: // others have had some of it
				b.holds = []float64{b.n, b.n + 1, b.n + 1 + math.Ceil(0.06*b.n), b.n + 2 + math.Ceil(0.13*b.n)}
			}
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b partial) int { return cmp.Compare(a.score, b.score) })
	return found
}

// holds lists what a limit may hold that counts what another refused: as much as was
// admitted, at least, and no more than was used when it refused at must.
func (t *tally) holds(h *hypothesis) (ns []float64) {
	t.most = math.Inf(1)
	t.use(h)
	high := math.Inf(1)
	for _, i := range t.must {
		if x := t.fill[i] + 1; x >= h.n {
			high = min(high, x)
		}
	}
	least := math.Inf(1)
	step := max(1, math.Floor((min(high, 1e6)-h.n)/40))
	for n := h.n - 1; n <= min(high, 1e6); n += step {
		t.most = n
		off := 2 * max(0, t.use(h)-n)
		for _, i := range t.must {
			off += max(0, n-t.fill[i]-1)
		}
		if off < least-0.5 {
			least, ns = off, ns[:0]
		}
		if off < least+0.5 {
			ns = append(ns, n)
		}
	}
	for len(ns) > 6 { // every other, and the ends
		few := ns[:1]
		for i := 2; i < len(ns)-1; i += 2 {
			few = append(few, ns[i])
		}
		ns = append(few, ns[len(ns)-1])
	}
	return ns
}

// spare is how many heads are tried of which no opening tells.
const spare = 6

// headsAfter are instants at which windows may have begun: where it opened after one of
// the refusals at must, and room for those that nothing tells of.
func (f *fitter) headsAfter(must []int) (at []float64) {
	var after []opening
	for _, o := range f.opened {
		if slices.ContainsFunc(must, func(i int) bool { return f.sights[i].s >= f.sights[o.from].s && f.sights[i].s <= o.lo }) {
			after = append(after, o)
		}
	}
	slices.SortFunc(after, func(a, b opening) int { return cmp.Compare(a.hi-a.lo, b.hi-b.lo) })
	for _, o := range after[:min(3, len(after))] {
		for _, x := range []float64{0.05, 0.3, 0.5, 0.7, 0.95} {
			at = append(at, o.lo+x*(o.hi-o.lo))
		}
	}
	return append(at, make([]float64, spare)...)
}

// beside seeks limits of all kinds that explain with one of ones what it leaves, and
// puts what it finds into a pool of pairs. Fine is in small steps.
func (f *fitter) beside(ones []hypothesis, fine bool, pool *pairs) {
	type group struct {
		left []int
		ones []hypothesis
	}
	var groups []group
	for _, one := range ones {
		left, ok := f.leaves(one, true)
		if f.share > 0 {
			left, ok = f.leavesAmong(one)
		}
		if !ok || len(left) == 0 {
			continue
		}
		i := slices.IndexFunc(groups, func(g group) bool {
			return slices.Equal(g.left, left) && (g.ones[0].family == TokenBucket) == (one.family == TokenBucket)
		})
		if i < 0 {
			i, groups = len(groups), append(groups, group{left: left})
		}
		groups[i].ones = append(groups[i].ones, one)
	}
	// Those that leave least are tried first, and few of the others.
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(len(a.left), len(b.left)) })
	now := f.sights[len(f.sights)-1].d
	ratio, most := 1.02, 12
	few := 8
	if f.share > 0 {
		few, groups = 3, groups[:min(len(groups), 10)]
	}
	if fine {
		ratio, most = 1.006, 36
		groups = groups[:min(len(groups), 6)]
	}
	for _, g := range groups {
		least, rate, size := math.Inf(1), 0.0, math.Inf(1)
		for i := range g.ones {
			o := &g.ones[i]
			least, rate, size = min(least, o.period()), max(rate, o.rate()), min(size, o.n)
			if o.family == TokenBucket {
				least = max(shortest, o.w)
			}
		}
		for _, kind := range stackable {
			lo, hi := 1.05*least, 3*now
			if kind == TokenBucket {
				lo, hi = 1.02/rate, max(now/2, 40/rate)
			}
			for _, two := range f.second(kind, g.left, f.also == InLonger, lo, hi, ratio, most, size, rate) {
				for _, one := range g.ones[:min(len(g.ones), few)] {
					for _, m := range two.holds {
						h := stack(one, two.hypothesis)
						h.m, h.also = m, f.also
						pool.add(f, h)
					}
				}
			}
		}
	}
}

// refused are the waves of which something was refused, in order.
func (f *fitter) refused() (at []int) {
	for i := range f.sights {
		if f.sights[i].r > 0 {
			at = append(at, i)
		}
	}
	return at
}

// firsts lists limits that may be the first of two, with nothing known: those that
// explain the first refusal and most of the others.
func (f *fitter) firsts(kind Family) (found []hypothesis) {
	all := f.refused()
	if len(all) == 0 {
		return nil
	}
	now := f.sights[len(f.sights)-1].d
	lo, hi := shortest, now
	if kind == TokenBucket {
		lo, hi = max(2e-3, shortestFill/max(1, f.admittedIn(all[0], 1e9))), now/2
	}
	for _, p := range f.second(kind, all, false, lo, hi, 1.012, 60, 0, math.Inf(1)) {
		if !slices.ContainsFunc(found, func(q hypothesis) bool { return math.Abs(math.Log(q.w/p.w)) < 0.03 && q.n == p.n }) {
			if found = append(found, p.hypothesis); len(found) >= 10 {
				break
			}
		}
	}
	return found
}
