package probe

import "math"

// admittedIn counts what was admitted in the width seconds up to wave i.
func (f *fitter) admittedIn(i int, width float64) float64 {
	n := 0
	for j := i; j >= 0 && f.sights[j].d > f.sights[i].s-width; j-- {
		n += f.sights[j].a
	}
	return float64(n)
}

// admittedSince counts what was admitted from an instant up to wave i.
func (f *fitter) admittedSince(i int, from float64) float64 {
	n := 0
	for j := i; j >= 0 && f.sights[j].last >= from; j-- {
		n += f.sights[j].a
	}
	return float64(n)
}

// refusals returns the indices of the first wave of which something was refused,
// and of the others that were admitted in part; of all refused when there is none.
func (f *fitter) refusals() (at []int) {
	for i, w := range f.sights {
		if w.r > 0 && (w.a > 0 || len(at) == 0) {
			at = append(at, i)
		}
	}
	return at
}

// opening is a time in which a limit that had refused began to admit, and the
// first wave that was admitted since the one before.
type opening struct {
	span
	from int
}

// findOpenings lists them.
func (f *fitter) findOpenings() {
	f.opened = f.opened[:0]
	first, refused := 0, -1
	for i, w := range f.sights {
		if w.a > 0 && refused >= 0 {
			f.opened = append(f.opened, opening{span{f.sights[refused].s, w.d}, first})
			first, refused = i, -1
		}
		if w.r > 0 {
			refused = i
		}
	}
}

// open sets the window of h so that it explains one or two openings.
func (f *fitter) open(h *hypothesis) {
	r := f.rng
	in := func(s span) float64 { return s.lo + (s.hi-s.lo)*r.Float64() }
	o := f.opened[r.IntN(len(f.opened))]
	at := in(o.span)
	switch h.family {
	case FixedClock, RefillBucket:
		h.ph = at
		if o2 := f.opened[r.IntN(len(f.opened))]; o2 != o {
			k := 1.0
			if r.IntN(2) == 0 {
				k += math.Floor(6 * r.Float64())
			}
			if w := math.Abs(in(o2.span)-at) / k; w > shortest {
				h.w = w
			}
		}
	case FixedFirst:
		w := f.sights[o.from]
		h.w = max(shortest, at-in(span{w.s, w.d}))
	case SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied:
		w := f.sights[r.IntN(len(f.sights))]
		if d := at - in(span{w.s, w.d}); d > shortest {
			h.w = d
			if h.family == SlidingWindow || h.family == SlidingWindowDenied {
				h.w *= 0.4 + 0.8*r.Float64()
			}
		}
	}
}

// crossed sets h so that a window began while requests were being admitted, before
// a refusal: what came before it does not count against the limit.
func (f *fitter) crossed(h *hypothesis) bool {
	r := f.rng
	o := f.opened[r.IntN(len(f.opened))]
	last := o.from // the refusal before the opening
	for last < len(f.sights)-1 && f.sights[last].r == 0 {
		last++
	}
	j := r.IntN(last + 1)
	if r.IntN(2) == 0 {
		j = o.from + r.IntN(last+1-o.from)
	}
	w := f.sights[j]
	head := w.s + (w.d-w.s)*r.Float64()
	if j > 0 && r.IntN(2) == 0 {
		head = f.sights[j-1].d + (w.s-f.sights[j-1].d)*r.Float64()
	}
	at := o.lo + (o.hi-o.lo)*r.Float64()
	h.w = (at - head) / float64(1+r.IntN(2)*r.IntN(4))
	h.ph = at
	if h.w < shortest {
		return false
	}
	switch h.family {
	case FixedClock:
		h.n = f.admittedSince(last, at-math.Ceil((at-f.sights[last].s)/h.w)*h.w)
	case FixedFirst:
		h.w = at - w.s
		h.n = f.admittedSince(last, w.s)
	case SlidingWindow, SlidingWindowDenied:
		h.n = f.admittedSince(last, head) + math.Floor(0.2*r.Float64()*f.admittedSince(last, 0))
	case RefillBucket:
		h.n = max(2, f.admittedSince(last, 0)-math.Floor(f.admittedSince(last, head)*r.Float64()))
		h.m = 1 + math.Floor(h.n*r.Float64())
	default:
		return false
	}
	if h.n > 2 && r.IntN(2) == 0 {
		h.n += math.Round(2 * r.NormFloat64())
	}
	return h.n >= 1
}

// portions sets a refill bucket so that what was admitted between two waves that
// emptied it is a whole number of portions.
func (f *fitter) portions(h *hypothesis) {
	r := f.rng
	a := r.IntN(len(f.full) - 1)
	b := a + 1 + r.IntN(min(3, len(f.full)-1-a))
	i, j := f.full[a], f.full[b]
	sum := 0.0
	for k := i + 1; k <= j; k++ {
		sum += float64(f.sights[k].a)
	}
	long := f.sights[j].s - f.sights[i].s
	heads := max(1, math.Floor(long/h.w+r.Float64()))
	if sum < 1 || heads > sum {
		return
	}
	h.m = math.Round(sum / heads)
	if r.IntN(3) == 0 {
		h.m += math.Round(r.NormFloat64())
	}
	h.n = f.admittedIn(f.full[0], 1e9)
	if r.IntN(3) == 0 { // a head fell into the first burst
		h.n -= h.m * float64(1+r.IntN(3))
	}
	if heads >= 3 && r.IntN(2) == 0 {
		h.w = long / (heads - 0.5 + r.Float64())
	}
}

// queued sets the figures of a queue by how long its answers waited: its rate by a wave
// that was sent when the one before had been served, what it does not delay by what came
// before the first that waited, and what it holds by the first that was refused.
func (f *fitter) queued(h *hypothesis) bool {
	r := f.rng
	first, long := -1, -1
	for i, w := range f.sights {
		if w.queue == 0 || w.a == 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		if long < 0 || w.ended-w.s > f.sights[long].ended-f.sights[long].s || r.IntN(4) == 0 {
			long = i
		}
	}
	if first < 0 {
		return false
	}
	w := f.sights[long]
	h.w = (w.ended - w.s - f.jitter*r.Float64()) / (float64(w.a) + math.Round(r.NormFloat64()))
	if h.w < shortest {
		return false
	}
	given := (f.sights[first].s - f.sights[0].s) / h.w
	h.m = max(1, f.admittedSince(first, 0)-float64(f.sights[first].a)-math.Floor(given+r.Float64())+math.Floor(2*r.Float64()))
	full := f.full[0]
	h.n = h.m + float64(f.sights[full].a) + math.Round(0.7*r.NormFloat64())
	if full > 0 && f.sights[full-1].queue == 0 || r.IntN(4) == 0 { // it was not at rest, and not served
		h.n = f.admittedSince(full, 0) - math.Floor((f.sights[full].s-f.sights[0].s)/h.w+r.Float64())
	}
	return h.n > h.m
}

// guess draws a hypothesis of a family that is in accord with a part of what
// was seen.
func (f *fitter) guess(hd *herd) hypothesis {
	fam := hd.family
	r := f.rng
	now := f.sights[len(f.sights)-1].d
	full := f.full
	h := hypothesis{family: fam, n: 1, used: hd.used, anew: hd.anew, since: hd.since, tick: hd.tick}
	if len(full) == 0 {
		return h
	}
	i := full[0]
	if r.IntN(2) == 0 {
		i = full[r.IntN(len(full))]
	}
	end := f.sights[i].d
	h.w = 0.05 * math.Exp(r.Float64()*math.Log(max(2, 3*now/0.05)))
	if r.IntN(3) > 0 {
		// As long as it took from one refusal to an admission after it.
		j := full[r.IntN(len(full))]
		if k := j + 1 + r.IntN(12); k < len(f.sights) && f.sights[k].a > 0 {
			h.w = (f.sights[k].d - f.sights[j].s) * (0.7 + 0.6*r.Float64())
		}
	}
	h.ph = now * r.Float64()
	if len(f.opened) > 0 && r.IntN(5) > 0 {
		f.open(&h)
	}
	if len(f.opened) > 0 && r.IntN(4) == 0 && f.crossed(&h) {
		return h
	}
	if fam == LeakyQueue && !h.used && r.IntN(2) == 0 && f.queued(&h) {
		return h
	}
	h.n = max(1, f.admittedIn(i, h.w))
	switch fam {
	case FixedClock:
		h.n = max(1, f.admittedSince(i, h.ph+math.Floor((f.sights[i].s-h.ph)/h.w)*h.w))
	case SlidingWindow, SlidingWindowDenied:
		if r.IntN(4) > 0 { // from rest there is no window before
			h.n = max(1, f.admittedIn(full[0], 1e9)-math.Floor(r.Float64()*r.Float64()*3))
		}
	case TokenBucket, LeakyQueue:
		// What has gone through less what the rate gave.
		start := f.sights[0].s
		n := f.admittedIn(i, end+1)
		if i != full[0] {
			n = f.admittedIn(full[0], end+1)
			end = f.sights[full[0]].d
		}
		if r.IntN(3) > 0 {
			h.w /= 1 + math.Floor(r.Float64()*n)
		}
		h.n = max(1, n-math.Floor((end-start)/h.w))
		if h.used { // what was there at first says little
			h.n += math.Floor(4 * h.n * r.Float64() * r.Float64())
		}
		h.m = 1
		if r.IntN(2) == 0 {
			h.m = 1 + math.Floor(r.Float64()*h.n)
		}
	case RefillBucket:
		h.m = 1 + math.Floor(h.n*r.Float64()*r.Float64())
		if len(full) > 1 && r.IntN(4) > 0 {
			f.portions(&h)
		}
		h.n = max(h.m+1, h.n)
	case Concurrency:
		h.n = float64(max(1, f.sights[i].a))
	case Ban:
		h.kind = hd.kind
		h.v = h.w
		h.w = h.v * (0.05 + 0.95*r.Float64())
		h.n = max(1, f.admittedIn(i, h.w))
	}
	return h
}
