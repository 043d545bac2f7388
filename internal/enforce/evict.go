package enforce

import (
	"math"
	"time"

	"github.com/weir-dev/weir/limit"
)

const (
	// sweepFrom is the number of slots below which a shard is not swept: with
	// 128 of them the slots are too few to matter.
	sweepFrom = 16

	// sweepKeep is how long a key is kept that is as good as new, while there is
	// room: to make its limiter anew costs more than to find it.
	sweepKeep = int64(time.Second)

	// sweepSpan is the least time between two sweeps of a shard for want of
	// room, and between two vain searches of all shards, so that a flood of new
	// keys does not make every request sweep.
	sweepSpan = int64(50 * time.Millisecond)
)

// slow returns a slot for a key that has none, or one of another spec than the
// one in force. s is nil, or that slot. The shard is locked, and stays so.
func (t *Table) slow(e *entry, sh *shard, s *slot, key string, at time.Time, now int64) (*slot, By) {
	g := e.group
	if s != nil {
		t.renew(g, s, key, at)
		return s, ByPolicy
	}
	if len(sh.slots) >= max(sh.sweepAt, sweepFrom) {
		t.sweep(g, sh, now-sweepKeep)
		sh.sweepAt = 2 * len(sh.slots)
	}
	if !g.dead.Load() && t.keys.Add(1) > t.maxKeys && !t.makeRoom(g, sh, now) {
		t.keys.Add(-1)
		t.spilled.Add(1)
		if t.overflow != OverflowShared {
			return nil, ByOverflow
		}
		g.spillLock.Lock()
		defer g.spillLock.Unlock()
		if g.spill == nil {
			g.spill = t.slot(g.spec.Load(), "")
		} else if g.spill.spec != g.spec.Load() {
			t.renew(g, g.spill, "", at)
		}
		return g.spill, ByOverflow
	}
	s = t.slot(g.spec.Load(), key)
	if sh.slots == nil {
		sh.slots, sh.earliest = make(map[string]*slot), math.MaxInt64
	}
	sh.slots[key] = s
	sh.most = max(sh.most, len(sh.slots))
	return s, ByPolicy
}

// slot returns a new slot.
func (t *Table) slot(sp *spec, key string) *slot {
	return &slot{limiter: t.fresh(sp, key), spec: sp}
}

// fresh returns a new limiter.
func (t *Table) fresh(sp *spec, key string) limit.Limiter {
	policies, other := sp.overrides[key]
	if !other {
		return sp.fresh()
	}
	l, err := sp.build(policies, t.origin)
	if err != nil {
		// Cannot happen: Replace has built one of each kind.
		panic("enforce: a policy became invalid: " + err.Error())
	}
	return l
}

// spilled decides for a key beyond the ceiling; s is the limiter such keys
// share, or nil.
func (e *entry) spilled(s *slot, at time.Time, cost int64) limit.Decision {
	if s == nil {
		return e.beyond().Take(at, cost)
	}
	e.group.spillLock.Lock()
	defer e.group.spillLock.Unlock()
	return e.of(s).Take(at, cost)
}

// makeRoom drops what is as good as new, in the caller's shard and then in the
// others, until one key was dropped. The caller has the lock of its shard, and
// perhaps of others: those that are locked are passed over.
func (t *Table) makeRoom(g *group, sh *shard, now int64) bool {
	if t.sweepAgain(g, sh, now) {
		return true
	}
	if now < t.searchAgain.Load() {
		return false
	}
	room := false
	t.everyGroup(func(other *group) bool {
		for i := range other.parts {
			p := &other.parts[i]
			if p == sh || !p.TryLock() {
				continue
			}
			room = t.sweepAgain(other, p, now)
			p.Unlock()
			if room {
				return false
			}
		}
		return true
	})
	if !room {
		t.searchAgain.Store(now + sweepSpan)
	}
	return room
}

// sweepAgain sweeps a locked shard for want of room, unless that must be vain or
// was done just now, and reports whether there is some.
func (t *Table) sweepAgain(g *group, sh *shard, now int64) bool {
	if sh.earliest > now || sh.again > now {
		return false
	}
	sh.again = now + sweepSpan
	return t.sweep(g, sh, now) > 0
}

// everyGroup calls f with the groups in force, until it returns false.
func (t *Table) everyGroup(f func(*group) bool) {
	r := t.rules.Load()
	for i := range r.entries {
		e := &r.entries[i]
		if e.view == 0 && !f(e.group) {
			return
		}
	}
}

// sweep drops the slots of a locked shard that are as good as new at now, and
// returns how many.
func (t *Table) sweep(g *group, sh *shard, now int64) (dropped int) {
	if len(sh.slots) == 0 {
		return 0
	}
	sh.earliest = math.MaxInt64
	for key, s := range sh.slots {
		if s.fresh <= now {
			delete(sh.slots, key)
			dropped++
			continue
		}
		sh.earliest = min(sh.earliest, s.fresh)
	}
	if dropped == 0 {
		return 0
	}
	sh.swept = max(sh.swept, now)
	if sh.most > 64 && len(sh.slots) < sh.most/4 {
		// A map never shrinks by itself.
		slots := make(map[string]*slot, len(sh.slots))
		for key, s := range sh.slots {
			slots[key] = s
		}
		sh.slots, sh.most = slots, len(slots)
	}
	t.evicted.Add(int64(dropped))
	if !g.dead.Load() {
		t.keys.Add(int64(-dropped))
	}
	return dropped
}

// Sweep drops every key that is as good as new, and returns how many. A table
// that is in use does so by itself; one that has become quiet keeps its keys
// until somebody calls this, say every minute.
func (t *Table) Sweep() int { return t.SweepAt(t.clock()) }

// SweepAt is Sweep at an instant of the caller's.
func (t *Table) SweepAt(at time.Time) (dropped int) {
	now := ns(at)
	t.everyGroup(func(g *group) bool {
		for i := range g.parts {
			sh := &g.parts[i]
			sh.Lock()
			dropped += t.sweep(g, sh, now)
			sh.Unlock()
		}
		return true
	})
	return dropped
}

// open and closed are the limiters of keys for which there is no other.
type (
	open   struct{}
	closed struct{}
)

func (open) Take(time.Time, int64) limit.Decision {
	return limit.Decision{Allowed: true, Limit: math.MaxInt64, Remaining: math.MaxInt64}
}
func (o open) Clone() limit.Limiter { return o }

func (closed) Take(_ time.Time, cost int64) limit.Decision {
	if cost <= 0 {
		return limit.Decision{Allowed: true, ResetAfter: limit.Unknown}
	}
	return limit.Decision{RetryAfter: limit.Unknown, ResetAfter: limit.Unknown}
}
func (c closed) Clone() limit.Limiter { return c }

// beyond returns the limiter of keys beyond the ceiling that share none.
func (e *entry) beyond() limit.Limiter {
	if e.overflow == OverflowOpen {
		return open{}
	}
	return closed{}
}

// EntryStats are the decisions of an Entry and of those that share its Counter,
// since they were first put into the table.
type EntryStats struct {
	Keys                     int
	Allowed, Refused, Warned int64 // requests that ask several entries count at each that was asked
}

// Stats is what a Table has done.
type Stats struct {
	Keys    int   // limiters held now
	MaxKeys int   // the ceiling
	Evicted int64 // keys dropped because they were as good as new
	Spilled int64 // decisions left to Overflow
	Entries []EntryStats
}

// Stats returns the figures of the set in force. It locks each shard in turn.
func (t *Table) Stats() Stats {
	r := t.rules.Load()
	st := Stats{
		Keys: int(t.keys.Load()), MaxKeys: int(t.maxKeys), Evicted: t.evicted.Load(), Spilled: t.spilled.Load(),
		Entries: make([]EntryStats, len(r.entries)),
	}
	byGroup := map[*group]EntryStats{}
	for i := range r.entries {
		g := r.entries[i].group
		e, ok := byGroup[g]
		for j := range g.parts {
			if ok {
				break
			}
			sh := &g.parts[j]
			sh.Lock()
			e.Keys += len(sh.slots)
			e.Allowed, e.Refused, e.Warned = e.Allowed+sh.allowed, e.Refused+sh.refused, e.Warned+sh.warned
			sh.Unlock()
		}
		byGroup[g] = e
		st.Entries[i] = e
	}
	return st
}
