package enforce

import (
	"math/big"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Replace puts a set in force, in place of the one there was, and returns it.
// Requests under way with the old Rules are decided by what has become of their
// entries. When the set is not valid, nothing changes.
//
// An entry takes over the counts of the old entry of the same ID, or else of the
// first old one left over that has the same algorithm, window, alignment and
// calendar; so a policy may be renamed and its limit changed at once. For each
// key the counts are then carried as carry says: what had been spent stays
// spent. Entries of a Counter do so together. All else starts afresh.
func (t *Table) Replace(set Set) (*Rules, error) {
	specs, err := set.compile(t.origin)
	if err != nil {
		return nil, err
	}
	t.replacing.Lock()
	defer t.replacing.Unlock()

	var old []*group
	if t.rules.Load() != nil {
		t.everyGroup(func(g *group) bool { old = append(old, g); return true })
	}
	groups := map[string]*group{}
	for _, same := range []func(was, is *spec) bool{sameID, sameShape} {
		for _, sp := range specs {
			if groups[sp.id] == nil {
				groups[sp.id], old = inherit(old, sp, same)
			}
		}
	}
	r := &Rules{table: t, chain: set.Chain, entries: make([]entry, len(set.Entries))}
	views := map[*group]int{}
	for i, id := range set.IDs() {
		g := groups[id]
		if g == nil {
			g = t.newGroup()
			groups[id] = g
		}
		e := &set.Entries[i]
		r.entries[i] = entry{group: g, view: views[g], shadow: e.Shadow, holds: e.holds(), overflow: t.overflow}
		views[g]++
	}
	for _, sp := range specs {
		groups[sp.id].spec.Store(sp)
	}
	t.rules.Store(r)
	for _, g := range old {
		t.retire(g)
	}
	return r, nil
}

// inherit takes the first group out of old whose spec is the same.
func inherit(old []*group, sp *spec, same func(was, is *spec) bool) (*group, []*group) {
	for i, g := range old {
		if same(g.spec.Load(), sp) {
			rest := append([]*group{}, old[:i]...)
			return g, append(rest, old[i+1:]...)
		}
	}
	return nil, old
}

func sameID(was, is *spec) bool { return was.id == is.id }

func sameShape(was, is *spec) bool {
	a, b := was.policies[0], is.policies[0]
	return was.counter == is.counter && a.Algorithm == b.Algorithm && a.Window == b.Window && a.Align == b.Align && (a.Ban > 0) == (b.Ban > 0) &&
		a.Phase == b.Phase && a.Period == b.Period && a.Start.Equal(b.Start)
}

func (t *Table) newGroup() *group {
	t.groups++
	g := &group{number: t.groups}
	for i := range g.parts {
		g.parts[i].index = i
	}
	return g
}

// retire takes a group's keys off the count. Requests under way may still add
// to it, and are not counted.
func (t *Table) retire(g *group) {
	for i := range g.parts {
		g.parts[i].Lock()
	}
	g.dead.Store(true)
	for i := range g.parts {
		t.keys.Add(int64(-len(g.parts[i].slots)))
		g.parts[i].Unlock()
	}
}

// renew makes a slot keep the spec in force. The slot is locked.
func (t *Table) renew(g *group, s *slot, key string, at time.Time) {
	sp := g.spec.Load()
	was, is := s.spec.of(key), sp.of(key)
	s.spec = sp
	if c, ok := carry(s.limiter, was, is, sp.counter, at, t.origin); ok {
		s.limiter = c
		return
	}
	s.limiter = t.fresh(sp, key)
}

// carry returns a limiter of other policies in the state of l, and false where
// the state means nothing to them:
//
//   - FixedWindow, SlidingLog, Quota, Concurrency: the count goes on exactly when
//     only Name, Limit, WarnAt and CountDenied change. A count that refused
//     requests have driven above the old limit goes on as the old limit.
//   - SlidingWindow: likewise; the count of the window before is known by its
//     weighted share only, and is taken to be the largest that has this share.
//   - TokenBucket, LeakyBucket: the units missing from the bucket, or in the
//     queue, stay missing when Limit, Window, Burst, Undelayed or CountDenied
//     change, to the nanosecond of their drain time; of a LeakyBucket with a
//     MaxDelay to one unit, upward. What does not fit the new one fills it.
//   - RefillBucket: the tokens missing stay missing, whatever changes.
//   - With a ban: who is banned stays so for as long as was said, however long the
//     new one is, unless the new policy bans nobody. A count above the new limit
//     becomes that limit, and begins no ban.
//
// It only uses what a Limiter shows: it looks, and makes a new one that has
// taken as much.
func carry(l limit.Limiter, was, is []limit.Policy, counter bool, at, origin time.Time) (limit.Limiter, bool) {
	if unchanged(was, is) {
		return l, true
	}
	if was[0].Algorithm != is[0].Algorithm {
		return nil, false
	}
	if was[0].Ban > 0 || is[0].Ban > 0 {
		return carryBan(l, was[0], is[0], at, origin)
	}
	switch was[0].Algorithm {
	case limit.TokenBucket, limit.LeakyBucket:
		return carryLevel(l, was[0], is[0], at, origin)
	case limit.RefillBucket:
		next, err := is[0].New(origin)
		if err != nil {
			return nil, false
		}
		d := l.Take(at, 0)
		next.Take(at, min(d.Limit-d.Remaining, is[0].Capacity()))
		return next, true
	}
	return carryCount(l, was, is, counter, at, origin)
}

// unchanged reports whether policies differ in their names only.
func unchanged(was, is []limit.Policy) bool {
	if len(was) != len(is) {
		return false
	}
	for i := range was {
		a, b := was[i], is[i]
		a.Name, b.Name = "", ""
		if a != b {
			return false
		}
	}
	return true
}

// banning is a limiter that may refuse everything for a while.
type banning interface {
	Banned(at time.Time) time.Duration
}

func carryBan(l limit.Limiter, was, is limit.Policy, at, origin time.Time) (limit.Limiter, bool) {
	next, err := is.New(origin)
	if err != nil {
		return nil, false
	}
	var left time.Duration
	if b, ok := l.(banning); ok {
		left = b.Banned(at)
	}
	d := l.Take(at, 0)
	switch {
	case left > 0:
		if is.Ban > 0 {
			// One that began when it would end then: in time to come, if it is shorter.
			began := at.Add(left - is.Ban)
			next.Take(began, is.Limit)
			next.Take(began, 1)
		}
	case d.Limit-d.Remaining <= is.Limit || was.Algorithm == limit.FixedWindow:
		replay(fitting{next}, l, was, at)
		// A share of what did not fit into the window before.
		now := next.Take(at, 0)
		next.Take(at, min(d.Limit-d.Remaining, is.Limit)-(now.Limit-now.Remaining))
	default:
		next.Take(at, is.Limit)
	}
	next.Take(at, 0)
	return next, true
}

// fitting takes no more than there is room for, and so begins no ban.
type fitting struct{ limit.Limiter }

func (f fitting) Take(at time.Time, cost int64) limit.Decision {
	return f.Limiter.Take(at, min(cost, f.Limiter.Take(at, 0).Remaining))
}

// carryLevel makes the new bucket lack as many units as the old, by a fraction
// of one exactly: it takes whole units a little earlier than now.
func carryLevel(l limit.Limiter, was, is limit.Policy, at, origin time.Time) (limit.Limiter, bool) {
	next, err := is.New(origin)
	if err != nil {
		return nil, false
	}
	held := int64(l.Take(at, 0).ResetAfter)
	if held == 0 {
		return next, true
	}
	// units = held · limit / window, as a whole number of units less a part.
	flow := new(big.Int).Mul(big.NewInt(held), big.NewInt(was.Limit))
	units, part := new(big.Int).QuoRem(flow, big.NewInt(int64(was.Window)), new(big.Int))
	spare := new(big.Int) // window parts of a unit, above which units was rounded up
	if part.Sign() > 0 {
		units.Add(units, big.NewInt(1))
		spare.Sub(big.NewInt(int64(was.Window)), part)
	}
	if was.MaxDelay != 0 {
		units.Add(units, big.NewInt(1))
	}
	if room := is.Capacity(); units.Cmp(big.NewInt(room)) > 0 {
		next.Take(at, room)
		return next, true
	}
	// The time in which the spare part of a unit flows at the new rate.
	spare.Mul(spare, big.NewInt(int64(is.Window)))
	spare.Quo(spare, new(big.Int).Mul(big.NewInt(int64(was.Window)), big.NewInt(is.Limit)))
	next.Take(at.Add(-time.Duration(spare.Int64())), units.Int64())
	next.Take(at, 0)
	return next, true
}

// carryCount replays the count into a new counter that the old policy judges
// too, so that a count above the new limit stays what it is.
func carryCount(l limit.Limiter, was, is []limit.Policy, counter bool, at, origin time.Time) (limit.Limiter, bool) {
	most := 0
	for i, p := range was {
		if p.Limit > was[most].Limit {
			most = i
		}
	}
	if c, ok := l.(*counted); ok {
		l = c.views[most]
	}
	from := was[most]
	from.CountDenied = is[0].CountDenied
	c, err := limit.NewCounter(origin, append([]limit.Policy{from}, is...)...)
	if err != nil {
		return nil, false // of another shape
	}
	replay(c.View(0), l, was[most], at)
	if counter {
		return viewed(c, 1, len(is)), true
	}
	return c.View(1), true
}

// replay makes next count what l counts, at the instants it was counted as far
// as they matter.
func replay(next, l limit.Limiter, p limit.Policy, at time.Time) {
	d := l.Take(at, 0)
	used := d.Limit - d.Remaining
	switch {
	case used == 0:
	case p.Algorithm == limit.FixedWindow && p.Align != limit.AlignClock:
		// The window opened when its end is a window after.
		next.Take(at.Add(d.ResetAfter-p.Window), used)
	case p.Algorithm == limit.SlidingLog:
		replayLog(next, l.Clone(), p, at)
	case p.Algorithm == limit.SlidingWindow:
		replayWindows(next, l.Clone(), p, at, used)
	default:
		next.Take(at, used)
	}
	next.Take(at, 0)
}

// replayLog moves a log on from one expiry to the next, and so finds its
// entries.
func replayLog(next, l limit.Limiter, p limit.Policy, at time.Time) {
	for {
		d := l.Take(at, 0)
		if d.Remaining == d.Limit {
			return
		}
		j := place{l: l, slot: &slot{spec: &spec{policies: []limit.Policy{p}}}}
		at = at.Add(j.judge(at, d.Remaining+1).RetryAfter)
		next.Take(at.Add(-p.Window), l.Take(at, 0).Remaining-d.Remaining)
	}
}

// replayWindows finds the count of the current window, which is all that is
// left at its end, and the one before from its share.
func replayWindows(next, l limit.Limiter, p limit.Policy, at time.Time, used int64) {
	elapsed := (ns(at) - int64(p.Phase)) % int64(p.Window)
	if elapsed < 0 {
		elapsed += int64(p.Window)
	}
	head := at.Add(-time.Duration(elapsed))
	end := l.Take(head.Add(p.Window), 0)
	current := min(used, end.Limit-end.Remaining)
	if share := used - current; share > 0 {
		// The largest n with n·left < (share+1)·window.
		n := new(big.Int).Mul(big.NewInt(share+1), big.NewInt(int64(p.Window)))
		n.Sub(n, big.NewInt(1))
		n.Quo(n, big.NewInt(int64(p.Window)-elapsed))
		if n.Cmp(big.NewInt(p.Limit)) > 0 {
			n.SetInt64(p.Limit)
		}
		next.Take(head.Add(-p.Window), n.Int64())
	}
	next.Take(at, current)
}
