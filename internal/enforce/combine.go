package enforce

import (
	"math"
	"time"

	"github.com/weir-dev/weir/limit"
)

// place is where an ask is decided.
type place struct {
	entry *entry
	sh    *shard
	slot  *slot // nil beyond the ceiling
	l     limit.Limiter
	key   string
	by    By
}

// several decides on a request that asks more than one entry, or one in shadow.
func (r *Rules) several(at time.Time, asks []Ask) limit.Decision {
	var few [8]place
	places := few[:0]
	if len(asks) > len(few) {
		places = make([]place, 0, len(asks))
	}
	for i := range asks {
		e, key := &r.entries[asks[i].Entry], short(asks[i].Key)
		places = append(places, place{entry: e, key: key, sh: e.group.part(r.table, key)})
	}
	var fewOrders [8]int
	order := sorted(places, fewOrders[:0])
	lock(places, order)
	at, now, lag := latest(places, at)
	r.find(places, order, at, now)

	var d limit.Decision
	if r.chain {
		d = chain(places, asks, at)
	} else {
		d = all(places, asks, at)
	}

	for i := range places {
		p := &places[i]
		if p.slot != nil && p.by == ByPolicy {
			p.slot.settle(p.sh, now, asks[i].Decision.ResetAfter)
		}
		asks[i].By = p.by
		p.sh.count(&asks[i].Decision)
		if lag != 0 {
			shift(&asks[i].Decision, lag)
		}
	}
	if lag != 0 {
		shift(&d, lag)
	}
	unlock(places, order)
	return d
}

// sorted returns the indexes of places in the order of locking.
func sorted(places []place, order []int) []int {
	for i := range places {
		order = append(order, i)
		for j := i; j > 0 && places[order[j]].before(&places[order[j-1]]); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	return order
}

func (p *place) before(q *place) bool {
	if p.entry.group != q.entry.group {
		return p.entry.group.number < q.entry.group.number
	}
	return p.sh.index < q.sh.index
}

// lock locks each shard once.
func lock(places []place, order []int) {
	var last *shard
	for _, i := range order {
		if sh := places[i].sh; sh != last {
			sh.Lock()
			last = sh
		}
	}
}

func unlock(places []place, order []int) {
	var last *shard
	var lastGroup *group
	for _, i := range order {
		p := &places[i]
		if p.by == ByOverflow && p.slot != nil && p.entry.group != lastGroup {
			lastGroup = p.entry.group
			lastGroup.spillLock.Unlock()
		}
	}
	for _, i := range order {
		if sh := places[i].sh; sh != last {
			sh.Unlock()
			last = sh
		}
	}
}

// latest returns the instant at which the request is decided: at, or when keys
// were last dropped in one of the shards.
func latest(places []place, at time.Time) (_ time.Time, now int64, lag time.Duration) {
	asked := ns(at)
	now = asked
	for i := range places {
		now = max(now, places[i].sh.swept)
	}
	if now == asked {
		return at, now, 0
	}
	return time.Unix(0, now), now, time.Duration(now - asked)
}

// find fills in the limiters. Keys beyond the ceiling share one for each group,
// which is locked here.
func (r *Rules) find(places []place, order []int, at time.Time, now int64) {
	for _, i := range order {
		p := &places[i]
		p.slot = p.sh.slots[p.key]
		if p.slot == nil || p.slot.spec != p.entry.group.spec.Load() {
			p.slot, p.by = r.table.slow(p.entry, p.sh, p.slot, p.key, at, now)
		}
		if p.slot != nil && p.by == ByPolicy {
			// Subtle: another ask of this request may sweep the same shard before
			// this one has taken anything.
			p.slot.fresh = math.MaxInt64
		}
	}
	var last *group
	for _, i := range order {
		p := &places[i]
		if p.slot == nil {
			p.l = p.entry.beyond()
			continue
		}
		if p.by == ByOverflow && p.entry.group != last {
			last = p.entry.group
			last.spillLock.Lock()
		}
		p.l = p.entry.of(p.slot)
	}
}

// counted reports whether the policy for this key counts refused requests, or
// bans for one.
func (p *place) counted() bool {
	if p.slot == nil {
		return false
	}
	of := &p.slot.spec.of(p.key)[0]
	return of.CountDenied || of.Ban > 0
}

// all admits what every entry admits, and takes all or nothing.
func all(places []place, asks []Ask, at time.Time) limit.Decision {
	admitted := true
	for i := range places {
		p, cost := &places[i], asks[i].Cost
		if !p.entry.shadow && cost > 0 && p.l.Take(at, 0).Remaining < cost {
			admitted = false
			break
		}
	}
	for i := range places {
		p, a := &places[i], &asks[i]
		switch {
		case admitted:
			a.Decision = p.take(at, a)
		case !a.Look:
			p.refuse(at, a.Cost)
		}
	}
	if !admitted {
		for i := range places {
			asks[i].Decision = places[i].judge(at, asks[i].Cost)
		}
	}
	return merge(places, asks)
}

// chain asks in order, and stops at the first that refuses.
func chain(places []place, asks []Ask, at time.Time) limit.Decision {
	by := -1
	for i := range places {
		p, a := &places[i], &asks[i]
		a.Decision = p.take(at, a)
		if !a.Decision.Allowed && !p.entry.shadow {
			by = i
			break
		}
	}
	if by < 0 {
		return merge(places, asks)
	}
	for i := range by {
		if l, ok := places[i].l.(limit.Releaser); ok && asks[i].Decision.Allowed && !asks[i].Look {
			l.Release(at, asks[i].Cost)
		}
	}
	for i := range places {
		asks[i].Decision = places[i].judge(at, asks[i].Cost)
	}
	d := merge(places, asks)
	d.Binding, d.Limit, d.ResetAfter = by, asks[by].Decision.Limit, asks[by].Decision.ResetAfter
	return d
}

// take takes what is asked, or only looks whether it is there.
func (p *place) take(at time.Time, a *Ask) limit.Decision {
	if a.Look {
		return p.judge(at, a.Cost)
	}
	return p.l.Take(at, a.Cost)
}

// refuse counts a request that another entry refused, if the policy counts
// those.
func (p *place) refuse(at time.Time, cost int64) {
	if cost > 0 && p.counted() {
		limit.All(p.l, refuses{}).Take(at, cost)
	}
}

// judge returns what the limiter would say to cost, and takes and counts
// nothing.
func (p *place) judge(at time.Time, cost int64) limit.Decision {
	d := p.l.Take(at, 0)
	switch {
	case cost <= d.Remaining || cost <= 0:
		return d
	case !p.counted():
		return p.l.Take(at, cost) // refused, and so changes nothing
	}
	// Behind one that refuses, a limiter is asked and hears of nothing.
	d.Allowed = false
	d.RetryAfter = limit.Chain(refuses{}, p.l).Take(at, cost).RetryAfter
	return d
}

// refuses is a limiter that refuses, and knows of no reason to wait.
type refuses struct{}

func (refuses) Take(time.Time, int64) limit.Decision { return limit.Decision{} }
func (r refuses) Clone() limit.Limiter               { return r }

// merge returns the decision of a request from those of its asks, as package
// limit's combinations do. Entries in shadow have no part in it.
func merge(places []place, asks []Ask) limit.Decision {
	var c Combined
	c.Start()
	for i := range places {
		if !places[i].entry.shadow {
			c.Add(i, &asks[i].Decision)
		}
	}
	return c.Decision
}

// Combined is the decision of a request that asks several entries, made of the
// decisions of each. Call Start first.
type Combined struct{ limit.Decision }

// Start makes it the decision of a request that asks nothing.
func (c *Combined) Start() {
	c.Decision = limit.Decision{Allowed: true, Binding: -1, Limit: math.MaxInt64, Remaining: math.MaxInt64}
}

// Add adds the decision of the i-th ask: refused if any is; the least
// Remaining; the longest waits; Limit, ResetAfter and Binding of the one to wait
// for, or of the one with the least remaining.
func (c *Combined) Add(i int, e *limit.Decision) {
	d := &c.Decision
	binds := d.Binding < 0
	switch {
	case e.Allowed != d.Allowed:
		binds = binds || !e.Allowed
	case e.Allowed:
		binds = binds || e.Remaining < d.Remaining
	default:
		binds = binds || longer(e.RetryAfter, d.RetryAfter)
	}
	if binds {
		d.Binding, d.Limit, d.ResetAfter = i, e.Limit, e.ResetAfter
	}
	if longer(e.RetryAfter, d.RetryAfter) {
		d.RetryAfter = e.RetryAfter
	}
	d.Allowed = d.Allowed && e.Allowed
	d.Warn = d.Warn || e.Warn
	d.Remaining = min(d.Remaining, e.Remaining)
	if d.Delay = max(d.Delay, e.Delay); !d.Allowed {
		d.Delay = 0
	}
}

// longer orders waits: Unknown is longer than any known one, and Never longer
// than that.
func longer(a, b time.Duration) bool {
	if a == limit.Unknown || b == limit.Unknown {
		return a == limit.Never || a == limit.Unknown && b != limit.Never && b != limit.Unknown
	}
	return a > b
}
