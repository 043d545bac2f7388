package probe

import (
	"context"
	"math"
)

// hand is what one request got, and over which connection.
type hand struct {
	conn int
	no   bool
}

// connected tells whether each connection has a replica of its own, when the wave
// before refused some and admitted others: then who is refused once is refused
// again. It goes on to find out how much each replica admits: over one connection
// until that is refused, then over many.
func (p *Probe) connected(ctx context.Context) (*spreadOut, error) {
	if p.loyal(0) < 6 {
		return nil, nil
	}
	had := int(p.sights[len(p.sights)-1].scale)
	s := &spreadOut{window: span{0, p.timeLeft()}}
	s.replicas, s.each, s.low, s.high, s.share = 2, max(1, had/2), 1, had, 0.5
	p.spread = s
	open, first, err := p.alone(ctx)
	if err != nil {
		return s, err
	}
	shut := p.sights[len(p.sights)-1]
	again, second, err := p.alone(ctx)
	if err != nil {
		return s, err
	}
	if s.each = max(first, second); first < 3 && second < 3 {
		// Little by little: how long for one, then until it is full.
		s.bucket = true
		unit := (again.hi - shut.s) / float64(max(1, second))
		at, n := p.sights[len(p.sights)-1].s, 0
		if _, err := p.wave(ctx, min(8*unit, p.timeLeft()/8), 1, "how fast it comes back"); err != nil {
			return s, err
		}
		for p.sights[len(p.sights)-1].a > 0 {
			n++
			if _, err := p.wave(ctx, 0, 1, "how fast it comes back"); err != nil {
				return s, err
			}
		}
		unit = (p.sights[len(p.sights)-1].s - at) / (float64(n) + 0.5)
		s.window = span{0.85 * unit * float64(had), 1.15 * unit * float64(had)}
	} else {
		s.window = span{again.lo - open.hi, again.hi - open.lo}
	}
	rest := 1.3 * s.window.hi
	if rest > p.timeLeft()/3 {
		return s, nil
	}
	// One connection sees one replica, as one limit.
	const why = "one connection alone, then many"
	each, run, from := 0, 0, 0.0
	for idle := rest; run < 3 && each < p.opt.MaxRequests/3; idle = 0 {
		w, err := p.wave(ctx, idle, 1, why)
		if err != nil {
			return s, err
		}
		if idle > 0 {
			from = w.s
		}
		if each += w.a; w.r > 0 {
			run++
		}
	}
	last := p.sights[len(p.sights)-1].s
	if s.bucket {
		unit := (s.window.lo + s.window.hi) / 2 / float64(had)
		each -= int((last - from) / unit)
		s.window = span{0.85 * unit * float64(each), 1.15 * unit * float64(each)}
	}
	if each < 1 || last-from > 0.5*s.window.lo { // too slow to be sure of
		return s, p.abreast(ctx, s, rest)
	}
	s.each, s.low, s.high = each, each, each
	_, total, err := p.rest(ctx, 2, each, why)
	if err != nil {
		return s, err
	}
	total += each
	r := float64(total) / float64(each)
	s.replicas, s.share = max(2, int(math.Round(r))), 0.8
	if math.Abs(r-math.Round(r)) < 0.1 && r > 1.5 && each > 2 && (s.bucket || each == first || each == second) {
		s.share, s.sure, s.gain = 0.99, s.window.hi < 1.25*s.window.lo, 20
	}
	return s, nil
}

// rest counts what is admitted over many connections, from one on, each of which is
// left out once it is refused: so few are refused, however much there is. It returns
// how many were admitted over each, too, where connections can be chosen.
func (p *Probe) rest(ctx context.Context, first, each int, why string) (of map[int]int, total int, err error) {
	if _, ok := p.sender.(ConnSender); !ok {
		for none := 0; none < 2; {
			w, err := p.wave(ctx, 0, max(40, each/2), why)
			if err != nil {
				return nil, total, err
			}
			if total += w.a; w.a == 0 || w.r > 30 && w.a < w.r/40 {
				none++
			}
			if p.v.Refused > p.opt.MaxRefused*9/10 {
				break
			}
		}
		return nil, total, nil
	}
	of = map[int]int{}
	conns := make([]int, 0, 64)
	for i := range min(64, max(16, (p.opt.MaxRefused-p.v.Refused)*2/3)) {
		conns = append(conns, first+i)
	}
	defer func() { p.over = nil }()
	for len(conns) > 0 {
		p.over = conns
		w, err := p.wave(ctx, 0, len(conns), why)
		if err != nil {
			return of, total, err
		}
		total += w.a
		open := make([]int, 0, len(conns))
		for _, h := range p.hands[len(p.hands)-1] {
			if of[h.conn] += 0; !h.no {
				of[h.conn]++
				open = append(open, h.conn)
			}
		}
		conns = open
	}
	return of, total, nil
}

// abreast finds how many replicas there are where one connection is too slow to
// use up its replica: all is spent over many connections at once, and those of one
// replica are refused together.
func (p *Probe) abreast(ctx context.Context, s *spreadOut, idle float64) error {
	if _, ok := p.sender.(ConnSender); !ok || s.bucket {
		return nil
	}
	if err := p.clock.Sleep(ctx, p.clock.Now().Add(seconds(idle))); err != nil {
		return err
	}
	from := p.clock.Now()
	of, total, err := p.rest(ctx, 1, s.each, "many connections, until each is refused")
	if err != nil || p.clock.Now().Sub(from).Seconds() > 0.9*s.window.lo {
		return err
	}
	if r, each := parts(of, total, s.each); r > 1 {
		s.replicas, s.each, s.share = r, each, 0.9
		s.low, s.high, s.gain = each, each, 12
	}
	return nil
}

// parts is how many replicas of what limit explain what was admitted over each
// connection; 0 where no number does. What one replica admits is shared by its
// connections as evenly as can be, so that each of them got that part, or one more.
// Connections that got nothing have a replica that was full before. Where several
// numbers do, it is the one with about as many each as were seen before, if there is one.
func parts(of map[int]int, total, before int) (replicas, each int) {
	count, most, full := map[int]int{}, 0, 0
	for _, n := range of {
		if n == 0 {
			full = 1
			continue
		}
		count[n]++
		most = max(most, n)
	}
	var cover func(each, top int) bool
	cover = func(each, top int) bool {
		for top > 0 && count[top] == 0 {
			top--
		}
		if top == 0 {
			return true
		}
		for c := max(1, each/(top+1)); c <= each/max(1, top-1)+1 && c <= each; c++ {
			q, m := each/c, each%c // m of them got q + 1
			if q != top && (q+1 != top || m == 0) || count[q] < c-m || count[q+1] < m {
				continue
			}
			count[q] -= c - m
			count[q+1] -= m
			ok := cover(each, top)
			count[q] += c - m
			count[q+1] += m
			if ok {
				return true
			}
		}
		return false
	}
	fits := 0
	for r := crewMost; r >= 1; r-- {
		if total%r != 0 || r+full < 2 || !cover(total/r, most) {
			continue
		}
		if fits++; 10*max(total/r-before, before-total/r) <= before {
			return r + full, total / r
		}
		replicas, each = r+full, total/r
	}
	if fits != 1 {
		return 0, 0
	}
	return replicas, each
}

// connMost is the highest number of a connection that is used.
const connMost = 190

// other is so many connections to go on with after a refusal: first such that were not
// used yet, for each connection may have its replica; then of those that were admitted
// and of those that were refused since a sight. nil where they cannot be chosen.
func (p *Probe) other(since, n int) (over []int) {
	if _, ok := p.sender.(ConnSender); !ok {
		return nil
	}
	most := 0
	for _, hs := range p.hands {
		for _, h := range hs {
			most = max(most, h.conn)
		}
	}
	if since == len(p.sights)-1 && most > 0 && most+n <= connMost {
		for i := range n {
			over = append(over, most+1+i)
		}
		return over
	}
	last := map[int]bool{}
	var order []int
	for _, hs := range p.hands[since:] {
		for _, h := range hs {
			if _, ok := last[h.conn]; !ok && h.conn > 0 {
				order = append(order, h.conn)
			}
			last[h.conn] = h.no
		}
	}
	// Those that were refused come first: one limit that has room again admits these.
	for _, no := range []bool{true, false} {
		k := 0
		for _, c := range order {
			if last[c] == no && k < (n+1)/2 && len(over) < n {
				k++
				over = append(over, c)
			}
		}
		if k < 2 {
			return nil
		}
	}
	return over
}

// alone asks over one connection until it is admitted again, and on until it is
// refused. It returns when it opened, and how many it admitted.
func (p *Probe) alone(ctx context.Context) (opened span, n int, err error) {
	if err := p.reopen(ctx); err != nil {
		return opened, 0, err
	}
	no, yes := p.sights[len(p.sights)-2], p.sights[len(p.sights)-1]
	// Who comes one by one over a slow network may never use it up.
	most := min(p.opt.MaxRequests/3, int(1.1*yes.scale)+20)
	for opened, n = (span{no.s, yes.d}), 1; n < most; n++ {
		w, err := p.wave(ctx, 0, 1, "how many it admits over one connection")
		if err != nil || w.r > 0 {
			return opened, n, err
		}
	}
	return opened, n, nil
}

// underWay tells whether the waves since a sight were limited by what is under way:
// the server works long on what it admits, and admitted as many of each wave,
// whatever its size. Where those came first it takes four waves to say so: they have
// the first connections, and look as if these had a replica of their own.
func (p *Probe) underWay(from int) bool {
	if !p.works || len(p.sights)-from < 4 {
		return false
	}
	inOrder := true
	for i := from; i < len(p.sights); i++ {
		w := p.sights[i]
		if w.lost > 0 || w.a == 0 || w.r == 0 || w.a != p.sights[from].a {
			return false
		}
		for j, h := range p.hands[i] {
			inOrder = inOrder && h.no == (j >= int(w.a))
		}
	}
	return inOrder || len(p.sights)-from >= 8
}

// loyal is by how much (as a logarithm) it is likelier that each connection has its
// replica than that requests go anywhere, from the waves since a sight: of those
// that were refused some time, how many were refused again while others were not.
func (p *Probe) loyal(first int) (gain float64) {
	refused := map[int]bool{}
	for i := first; i < len(p.sights); i++ {
		no, all := 0.0, 0.0
		for _, h := range p.hands[i] {
			if all++; h.no {
				no++
			}
		}
		if no == 0 && all > 2 {
			clear(refused) // a new window, it may be
		}
		if no > 0 && no < all {
			for _, h := range p.hands[i] {
				if refused[h.conn] && h.no {
					gain -= math.Log((no + 0.5) / (all + 1))
				} else if refused[h.conn] {
					gain -= 2.5 // it may have been given back something
				}
			}
		}
		for _, h := range p.hands[i] {
			if h.no && h.conn > 0 {
				refused[h.conn] = true
			}
		}
	}
	return gain
}
