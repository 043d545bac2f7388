package enforce

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/limit"
)

// shards is the number of parts of a group that are locked one by one. A power
// of two.
const shards = 128

// group holds the limiters of one policy, or of one shared counter, by key.
type group struct {
	number uint64 // the order of locking
	spec   atomic.Pointer[spec]
	dead   atomic.Bool // no longer in force; its slots are not counted
	parts  [shards]shard

	spillLock sync.Mutex // taken after the locks of all shards
	spill     *slot      // the limiter that keys beyond the ceiling share
}

// shard is a part of a group's keys. The lock guards everything in it.
type shard struct {
	sync.Mutex
	index    int // the order of locking
	slots    map[string]*slot
	swept    int64 // the latest instant at which keys were dropped, Unix ns
	earliest int64 // no slot is as good as new before this, Unix ns
	again    int64 // when it may be swept next for want of room, Unix ns
	sweepAt  int   // number of slots from which an insertion sweeps
	most     int   // number of slots since the map was made

	allowed, refused, warned int64

	_ [32]byte // keeps the lock off the neighbour's cache line
}

// slot is a limiter and when it may be dropped.
type slot struct {
	limiter limit.Limiter
	spec    *spec // what the limiter was made by
	fresh   int64 // from when on it is as good as new, Unix ns
}

// entry is an Entry as it is used at each decision.
type entry struct {
	group    *group
	view     int // which of the views of a counter
	shadow   bool
	holds    bool // must be released
	overflow Overflow
}

// ns returns an instant in nanoseconds since the Unix epoch, held to the
// range in which that is exact.
func ns(at time.Time) int64 {
	const last = math.MaxInt64/1_000_000_000 - 1
	switch s := at.Unix(); {
	case s > last:
		return math.MaxInt64
	case s < -last:
		return math.MinInt64
	}
	return at.UnixNano()
}

// part returns the shard of a key.
func (g *group) part(t *Table, key string) *shard {
	return &g.parts[maphash.String(t.seed, key)%shards]
}

// take is the whole decision of a request that asks one entry.
func (e *entry) take(t *Table, at time.Time, key string, cost int64) (limit.Decision, By) {
	if len(key) > maxKey {
		key = short(key)
	}
	sh := e.group.part(t, key)
	sh.Lock()
	now := ns(at)
	var lag time.Duration
	if now < sh.swept {
		at, now, lag = time.Unix(0, sh.swept), sh.swept, time.Duration(sh.swept-now)
	}
	s := sh.slots[key]
	if s == nil || s.spec != e.group.spec.Load() {
		var by By
		if s, by = t.slow(e, sh, s, key, at, now); by != ByPolicy {
			d := e.spilled(s, at, cost)
			sh.count(&d)
			sh.Unlock()
			return d, by
		}
	}
	l := s.limiter
	if e.view != 0 || s.spec.counter {
		l = e.of(s)
	}
	d := l.Take(at, cost)
	s.settle(sh, now, d.ResetAfter)
	sh.count(&d)
	sh.Unlock()
	if lag != 0 {
		shift(&d, lag)
	}
	return d, ByPolicy
}

// shift makes durations count from an instant that is lag earlier.
func shift(d *limit.Decision, lag time.Duration) {
	for _, w := range []*time.Duration{&d.RetryAfter, &d.ResetAfter, &d.Delay} {
		if *w > 0 {
			*w = time.Duration(sum(int64(*w), int64(lag)))
		}
	}
}

func (sh *shard) count(d *limit.Decision) {
	if d.Allowed {
		sh.allowed++
	} else {
		sh.refused++
	}
	if d.Warn {
		sh.warned++
	}
}

// of returns the limiter of a slot as the entry judges it.
func (e *entry) of(s *slot) limit.Limiter {
	if c, ok := s.limiter.(*counted); ok {
		// A request that was under way while the set was replaced may be of a set
		// with more views.
		return c.views[min(e.view, len(c.views)-1)]
	}
	return s.limiter
}

// settle notes from when on the slot is as good as new.
func (s *slot) settle(sh *shard, now int64, reset time.Duration) {
	switch {
	case reset == 0:
		s.fresh = now + s.spec.slack
	case reset == limit.Unknown || reset == limit.Never:
		s.fresh = math.MaxInt64
	default:
		if s.fresh = now + int64(reset) + s.spec.slack; s.fresh < now {
			s.fresh = math.MaxInt64
		}
	}
	sh.earliest = min(sh.earliest, s.fresh)
}

// release gives back what a concurrency limit holds.
func (e *entry) release(at time.Time, key string, cost int64, t *Table) {
	sh := e.group.part(t, key)
	sh.Lock()
	defer sh.Unlock()
	s := sh.slots[key]
	now := max(ns(at), sh.swept)
	if s == nil {
		e.group.spillLock.Lock()
		defer e.group.spillLock.Unlock()
		if s = e.group.spill; s == nil {
			return
		}
	} else if s.spec != e.group.spec.Load() {
		t.renew(e.group, s, key, at)
	}
	l := e.of(s)
	if r, ok := l.(limit.Releaser); ok {
		r.Release(at, cost)
		s.settle(sh, now, l.Take(at, 0).ResetAfter)
	}
}
