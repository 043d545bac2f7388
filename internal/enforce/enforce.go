// Package enforce keeps limits for many keys at once: a Table holds a limiter
// for each policy and key, and decides for concurrent callers.
//
// A Set says which policies there are; each is an Entry. A request asks some of
// them, each with a key and a cost of its own (an Ask), and gets one
// limit.Decision for all. What limit.All and limit.Chain promise for one key
// holds for every mixture of keys.
//
// Shared does the same with counts kept by a Store that several processes use,
// and falls back on a Table when the store does not answer in time.
//
// # Keys
//
// A limiter is made when its key is first seen, and dropped when it has become
// the same as one newly made: a bucket full again, a window over. A key whose
// count still matters is never dropped, so no client gets its limit back by
// making others be forgotten. Table says what happens when there are too many.
//
// A key may be any string of any length. One longer than 64 bytes is kept as
// its SHA-256, in a form that no shorter key can have.
package enforce

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/limit"
)

// DefaultMaxKeys is the ceiling of a Table that is not given one.
const DefaultMaxKeys = 1_000_000

// Overflow says what becomes of a request whose key is new while a Table is at
// its ceiling and no key can be dropped.
type Overflow uint8

const (
	// OverflowShared makes all such keys of a policy share one limiter, which
	// keeps the policy as if they were one key, its ban too.
	OverflowShared Overflow = iota

	// OverflowClosed refuses, with RetryAfter Unknown.
	OverflowClosed

	// OverflowOpen lets pass.
	OverflowOpen
)

// Options are the settings of a Table. The zero value is ready to use.
type Options struct {
	// MaxKeys is the most limiters the table holds: a key counts once for each
	// policy, or shared counter, that it was used with. Zero means
	// DefaultMaxKeys.
	MaxKeys int

	// Overflow says what happens beyond MaxKeys.
	Overflow Overflow

	// Clock returns the present. It must not run backwards and may be called
	// concurrently. Nil means the wall clock at the start, advanced by the
	// monotonic clock, so that steps of the wall clock change no decision.
	Clock func() time.Time

	// Origin is where the windows of a quota without a Start count from. Zero
	// means the Unix epoch.
	Origin time.Time
}

// Table keeps the limiters of a Set, by key. Make one with New. It is safe for
// concurrent use, starts no goroutine and needs no Close.
//
// When a new key finds the table at its ceiling, keys that have been as good as
// new for a tenth of a second are dropped first, wherever they are; only if
// there are none does Overflow decide. Below the ceiling, keys that have been so
// for a second are dropped as others come, so that a table holds at most about
// twice as many keys as are in use, and a few thousand for each policy.
type Table struct {
	clock    func() time.Time
	origin   time.Time
	maxKeys  int64
	overflow Overflow
	seed     maphash.Seed

	keys        atomic.Int64 // slots in all groups in force
	evicted     atomic.Int64
	spilled     atomic.Int64
	searchAgain atomic.Int64 // Unix ns: makeRoom has found nothing, and need not look before
	rules       atomic.Pointer[Rules]

	replacing sync.Mutex // held by Replace
	groups    uint64     // groups ever made; under replacing
}

// New returns a table that keeps the set. It fails when a policy is not valid.
func New(set Set, o Options) (*Table, error) {
	t := &Table{
		clock: o.Clock, origin: o.Origin, overflow: o.Overflow,
		maxKeys: int64(o.MaxKeys), seed: maphash.MakeSeed(),
	}
	if t.maxKeys <= 0 {
		t.maxKeys = DefaultMaxKeys
	}
	if t.clock == nil {
		t.clock = steadyClock()
	}
	if _, err := t.Replace(set); err != nil {
		return nil, err
	}
	return t, nil
}

// steadyClock returns a clock that starts at the wall clock and runs with the
// monotonic one.
func steadyClock() func() time.Time {
	start := time.Now()
	wall := start.Round(0)
	return func() time.Time { return wall.Add(time.Since(start)) }
}

// Rules are a Set in force: what New or Replace put into a Table. A caller that
// works out which entries a request asks keeps the Rules it worked with, since
// the numbers of the entries are those of that Set.
type Rules struct {
	table   *Table
	chain   bool
	entries []entry
}

// Rules returns the set in force.
func (t *Table) Rules() *Rules { return t.rules.Load() }

// Ask is what a request wants of one entry, and the answer to it.
type Ask struct {
	Entry int    // its number in Set.Entries; Take panics when there is none such
	Key   string // whose limiter
	Cost  int64  // units; zero or below is a look

	// Look asks whether Cost units could pass, refuses when they could not, and
	// takes none of them: for what is counted when its answer is known.
	Look bool

	// Decision is set by Take: what this entry alone says. Of a refused request
	// it is what it would say to another one.
	Decision limit.Decision

	// By is set by Take: who decided.
	By By

	// Hold is set by a Store for what Release gives back.
	Hold uint64
}

// By says who decided about an Ask.
type By uint8

const (
	ByPolicy   By = iota // the policy, for this key: every ordinary decision
	ByOverflow           // Overflow, since the table was full
	ByLease              // units that a Store lent in advance
	ByLocal              // a limiter of this process, since the Store did not answer
	ByOpen               // nobody: let pass, since the Store did not answer
	ByClosed             // nobody: refused, since the Store did not answer
)

var byNames = [...]string{"policy", "overflow", "lease", "local", "open", "closed"}

// String returns one word, such as "local".
func (b By) String() string {
	if int(b) < len(byNames) {
		return byNames[b]
	}
	return "unknown"
}

// Degraded reports whether the decision was made without the Store.
func (b By) Degraded() bool { return b == ByLocal || b == ByOpen || b == ByClosed }

// Take asks every entry of the set, with the same key and cost, now.
func (t *Table) Take(key string, cost int64) limit.Decision {
	return t.TakeAt(t.clock(), key, cost)
}

// TakeAt is Take at an instant of the caller's. Instants may run backwards; the
// table treats one before the last time it dropped keys as that time.
func (t *Table) TakeAt(at time.Time, key string, cost int64) limit.Decision {
	r := t.rules.Load()
	if len(r.entries) == 1 && !r.entries[0].shadow {
		d, _ := r.entries[0].take(t, at, key, cost)
		return d
	}
	var few [8]Ask
	return r.TakeAt(at, r.asks(few[:0], key, cost))
}

// Release gives back what Take took of concurrency limits.
func (t *Table) Release(key string, cost int64) { t.ReleaseAt(t.clock(), key, cost) }

// ReleaseAt is Release at an instant of the caller's.
func (t *Table) ReleaseAt(at time.Time, key string, cost int64) {
	r := t.rules.Load()
	var few [8]Ask
	r.ReleaseAt(at, r.asks(few[:0], key, cost))
}

// asks appends an ask of every entry.
func (r *Rules) asks(asks []Ask, key string, cost int64) []Ask {
	for i := range r.entries {
		asks = append(asks, Ask{Entry: i, Key: key, Cost: cost})
	}
	return asks
}

// Take decides on a request that asks several entries, now, and fills in what
// each of them says. Binding in the result is an index of asks. Entries in
// shadow decide too, and nothing follows from it.
func (r *Rules) Take(asks []Ask) limit.Decision { return r.TakeAt(r.table.clock(), asks) }

// TakeAt is Take at an instant of the caller's.
func (r *Rules) TakeAt(at time.Time, asks []Ask) limit.Decision {
	if len(asks) == 1 {
		a := &asks[0]
		if e := &r.entries[a.Entry]; !e.shadow && !a.Look {
			a.Decision, a.By = e.take(r.table, at, a.Key, a.Cost)
			return a.Decision
		}
	}
	return r.several(at, asks)
}

// Release gives back, now, what Take took of the concurrency limits among asks.
func (r *Rules) Release(asks []Ask) { r.ReleaseAt(r.table.clock(), asks) }

// ReleaseAt is Release at an instant of the caller's.
func (r *Rules) ReleaseAt(at time.Time, asks []Ask) {
	for i := range asks {
		if e := &r.entries[asks[i].Entry]; e.holds && !asks[i].Look {
			e.release(at, short(asks[i].Key), asks[i].Cost, r.table)
		}
	}
}

// maxKey is the length of the longest key that is kept as it is.
const maxKey = 64

// short returns the key, or what stands for it when it is long: 71 bytes, so
// that it is no key that stands for itself.
func short(key string) string {
	if len(key) <= maxKey {
		return key
	}
	h := sha256.New()
	io.WriteString(h, key) // a hash never fails
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
