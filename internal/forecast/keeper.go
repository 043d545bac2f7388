package forecast

import (
	"time"

	"github.com/weir-dev/weir/limit"
)

// keeper keeps the counts of one limit.
type keeper struct {
	spec  Limit
	start time.Time
	all   limit.Limiter
	each  map[int]limit.Limiter // by client, where each has its own
	until time.Duration         // the end of the latest block of the allotment; -1: none yet
	extra limit.Limiter         // what the block lets pass
	res   LimitResult
}

// limiter is the count that a client's calls go to.
func (k *keeper) limiter(client int) limit.Limiter {
	if !k.spec.PerClient {
		if k.all == nil {
			k.all = k.fresh()
		}
		return k.all
	}
	l, ok := k.each[client]
	if !ok {
		if k.each == nil {
			k.each = map[int]limit.Limiter{}
		}
		l = k.fresh()
		k.each[client] = l
	}
	return l
}

func (k *keeper) fresh() limit.Limiter {
	l, err := k.spec.New(k.start)
	if err != nil {
		panic("forecast: a policy that Validate accepted: " + err.Error())
	}
	return l
}

// look is what the first client has left.
func (k *keeper) look(at time.Duration) int64 {
	if k.all == nil && k.each[0] == nil {
		return k.spec.Capacity()
	}
	return k.limiter(0).Take(k.start.Add(at), 0).Remaining
}

// exceed reports whether the allotment lets pass what the limit refuses.
func (k *keeper) exceed(at time.Duration, cost int64) bool {
	a := k.spec.Allotment
	if at >= k.until {
		if k.res.Blocks == a.Blocks {
			return false
		}
		k.until = at + a.Block
		if k.res.Blocks++; k.res.Blocks == a.Blocks {
			k.res.BlocksOut = at
		}
	}
	if a.Times > 0 {
		if k.extra == nil {
			k.extra, _ = k.spec.extra().New(k.start) // Validate has accepted it
		}
		if !k.extra.Take(k.start.Add(at), cost).Allowed {
			return false
		}
	}
	k.res.Excess++
	return true
}

func (k *keeper) asked(column int, remaining int64, binding bool) {
	k.res.Asked++
	c := &k.res.Columns[column]
	c.Asked++
	if binding {
		k.res.Least = min(k.res.Least, remaining)
		c.Remaining = min(c.Remaining, remaining)
	}
}

func (k *keeper) refused(column int, at time.Duration) {
	if k.res.First < 0 {
		k.res.First = at
	}
	k.res.Last = at
	k.res.Refused++
	k.res.Columns[column].Refused++
}

// ask puts a call to its limits, all or nothing. by is the limit that refused.
//
// A limit with an allotment is asked before the others, and keeps what it took when
// one of those refuses.
func (p *play) ask(flow, call int, n int64) (d limit.Decision, by int) {
	f := &p.m.Flows[flow]
	asks := f.Calls[call].Asks
	client := 0
	if f.Clients > 1 {
		client = int(n % int64(f.Clients))
	}
	at := p.m.Start.Add(p.now)
	if len(asks) == 1 && p.limits[asks[0].Limit].spec.Allotment == nil { // nearly all of them
		by = asks[0].Limit
		k := p.limits[by]
		d = k.limiter(client).Take(at, max(1, asks[0].Cost))
		k.asked(p.column, d.Remaining, true)
		if !d.Allowed {
			k.refused(p.column, p.now)
		}
		return d, by
	}
	d.Allowed = true
	if p.m.Chain {
		return p.oneByOne(asks, client, at)
	}
	rest := 0
	for _, a := range asks {
		k := p.limits[a.Limit]
		if k.spec.Allotment == nil {
			rest++
			continue
		}
		e := k.limiter(client).Take(at, max(1, a.Cost))
		k.asked(p.column, e.Remaining, true)
		if !e.Allowed && !k.exceed(p.now, max(1, a.Cost)) {
			k.refused(p.column, p.now)
			return e, a.Limit
		}
		d.Delay = max(d.Delay, e.Delay)
	}
	if rest == 0 {
		return d, 0
	}
	delay := d.Delay
	d = p.together(asks, client, at)
	for i, a := range asks {
		if p.limits[a.Limit].spec.Allotment == nil {
			p.limits[a.Limit].asked(p.column, d.Remaining, i == d.Binding)
		}
	}
	by = asks[max(0, d.Binding)].Limit
	if !d.Allowed {
		p.limits[by].refused(p.column, p.now)
	}
	d.Delay = max(d.Delay, delay)
	return d, by
}

// oneByOne asks limits in order until one refuses.
func (p *play) oneByOne(asks []Ask, client int, at time.Time) (d limit.Decision, by int) {
	d.Allowed = true
	for _, a := range asks {
		k := p.limits[a.Limit]
		cost := max(1, a.Cost)
		e := k.limiter(client).Take(at, cost)
		k.asked(p.column, e.Remaining, true)
		if !e.Allowed && (k.spec.Allotment == nil || !k.exceed(p.now, cost)) {
			k.refused(p.column, p.now)
			return e, a.Limit
		}
		d.Delay = max(d.Delay, e.Delay)
	}
	return d, 0
}

// together asks several limits, each for a cost of its own: looks at all, and takes
// when all have room. Binding of the decision is an index of asks.
func (p *play) together(asks []Ask, client int, at time.Time) (d limit.Decision) {
	d = limit.Decision{Allowed: true, Binding: -1}
	for i, a := range asks {
		k := p.limits[a.Limit]
		if k.spec.Allotment != nil {
			continue
		}
		l := k.limiter(client)
		cost := max(1, a.Cost)
		e := l.Take(at, 0)
		if e.Remaining >= cost {
			e.Allowed = true
		} else {
			e = l.Clone().Take(at, cost)
		}
		switch {
		case d.Binding < 0, d.Allowed && !e.Allowed,
			d.Allowed == e.Allowed && e.Allowed && e.Remaining < d.Remaining,
			d.Allowed == e.Allowed && !e.Allowed && e.RetryAfter > d.RetryAfter:
			d, d.Binding = e, i
		}
	}
	var delay time.Duration
	for i, a := range asks {
		k := p.limits[a.Limit]
		l, cost := k.limiter(client), max(1, a.Cost)
		switch {
		case k.spec.Allotment != nil:
			continue
		case d.Allowed:
		case k.spec.Ban > 0 && l.Take(at, 0).Remaining >= cost:
			continue // another refused, and only what this one refuses begins its ban
		case k.spec.Ban == 0 && !k.spec.CountDenied:
			continue
		}
		e := l.Take(at, cost)
		delay = max(delay, e.Delay)
		if i == d.Binding && d.Allowed {
			d.Remaining = e.Remaining
		}
	}
	d.Delay = delay
	return d
}

// hold plans the end of what a call holds of concurrency limits.
func (p *play) hold(l late, lasts time.Duration) {
	for _, a := range p.m.Flows[l.flow].Calls[l.call].Asks {
		if p.limits[a.Limit].spec.Algorithm == limit.Concurrency {
			l.release = true
			p.push(l, p.now+lasts)
			return
		}
	}
}

func (p *play) giveBack(l late) {
	f := &p.m.Flows[l.flow]
	client := int(l.n % int64(max(1, f.Clients)))
	for _, a := range f.Calls[l.call].Asks {
		if r, ok := p.limits[a.Limit].limiter(client).(limit.Releaser); ok {
			r.Release(p.m.Start.Add(p.now), max(1, a.Cost))
		}
	}
}

// work is what a flow remembers.
type work struct {
	gone  map[int64]struct{} // instances that are not on time, and have calls in streams to come
	until [][]time.Duration  // of each call that is cached: until when what each holder has is good
}

func newWork(f Flow) *work {
	w := &work{gone: map[int64]struct{}{}, until: make([][]time.Duration, len(f.Calls))}
	for i, c := range f.Calls {
		if c.Cache.TTL > 0 {
			w.until[i] = make([]time.Duration, max(1, c.Cache.Holders))
		}
	}
	return w
}

// left tells whether an instance has left the streams, and forgets it with its last call.
func (w *work) left(n int64, last bool) bool {
	if len(w.gone) == 0 {
		return false
	}
	_, gone := w.gone[n]
	if gone && last {
		delete(w.gone, n)
	}
	return gone
}

func (w *work) cached(c *Call, i int, n int64, now time.Duration) bool {
	return c.Cache.TTL > 0 && now < w.until[i][n%int64(len(w.until[i]))]
}

func (w *work) fetch(c *Call, i int, n int64, now time.Duration) {
	if c.Cache.TTL > 0 {
		w.until[i][n%int64(len(w.until[i]))] = now + c.Cache.TTL
	}
}
