package load

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

const (
	tickLength  = time.Second
	binsPerTick = int(tickLength / tally.BinWidth)
	outcomes    = int(hit.Missed) // those that an answer can have
)

// recorder is where users count what happened, without ever waiting for each
// other or for the collector.
//
// It is cut into shards, each user recording into the shard of its id, and each
// shard into three pages of one tick. At epoch e the pages of the ticks e and
// e+1 are open, and the third one is empty or being emptied. A user enters the
// shard (enter), records, and leaves. To close tick e the collector moves the
// epoch on and waits, a few hundred nanoseconds, for the users who are still
// inside from epoch e; after that nobody writes to the page of tick e.
//
// What holds therefore, in each tick and not only in the sum: a hit is wholly
// in one tick, in all of its counters; nothing is lost or counted twice. It is
// the tick in which it was done, unless the user came to record it only after
// that tick was closed (collectDelay after its end): then it is the next one.
type recorder struct {
	epoch  atomic.Int64
	shards []*shard
	few    int // mask of the shards for names beyond the first manyShards
}

// busyNames is how many names have cells in all shards. The others share
// few shards, so that thousands of names do not take cores × names memory.
const (
	busyNames = 64
	fewShards = 2
)

type shard struct {
	busy  [2]gate // users inside, by parity of the epoch they entered in
	pages [3]page // by tick modulo three
}

// gate is alone on its cache line.
type gate struct {
	n atomic.Int32
	_ [60]byte
}

// page is one tick of one shard.
type page struct {
	cells   []atomic.Pointer[cell] // by name × outcomes + outcome
	sends   [binsPerTick]atomic.Uint32
	sendLag dist
	wakeLag dist
	connect dist
	retried atomic.Int64
	// resent counts what reached the wire and has no entry in sendLag:
	// redirects, retries, and sends that came to nothing.
	resent atomic.Int64
	missed atomic.Int64
	gaveUp span // when they were missed
}

// newRecorder returns a recorder for names numbered below maxNames.
func newRecorder(parallel, maxNames int) *recorder {
	n := 1
	for n < parallel && n < 256 {
		n *= 2
	}
	r := &recorder{shards: make([]*shard, n), few: min(n, fewShards) - 1}
	for i := range r.shards {
		sh := new(shard)
		names := maxNames
		if i > r.few {
			names = min(maxNames, busyNames)
		}
		for k := range sh.pages {
			sh.pages[k].cells = make([]atomic.Pointer[cell], names*outcomes)
		}
		r.shards[i] = sh
	}
	return r
}

// shard returns the shard in which the user records hits of the name.
func (r *recorder) shard(user, name int) *shard {
	mask := len(r.shards) - 1
	if name >= busyNames {
		mask = r.few
	}
	return r.shards[user&mask]
}

// enter returns the epoch in which the caller may record until it calls leave.
//
// Subtle: the epoch is read again after the caller has made itself seen. If it
// is still the same, the collector, which moves the epoch first and looks for
// users afterwards, cannot have missed the caller. Epochs differ even when
// their parity does not, so a caller that slept through two of them tries again.
func (r *recorder) enter(sh *shard) int64 {
	for {
		e := r.epoch.Load()
		sh.busy[e&1].n.Add(1)
		if r.epoch.Load() == e {
			return e
		}
		sh.busy[e&1].n.Add(-1)
	}
}

func (sh *shard) leave(epoch int64) { sh.busy[epoch&1].n.Add(-1) }

// turn closes the tick of the current epoch, opens another one, and returns
// when nobody records into the closed one any more. Only the collector calls it.
func (r *recorder) turn() {
	e := r.epoch.Load()
	r.epoch.Store(e + 1)
	for _, sh := range r.shards {
		for sh.busy[e&1].n.Load() != 0 {
			runtime.Gosched()
		}
	}
}

// tickFor returns the open tick in which to record what happened at that instant.
func tickFor(epoch int64, at time.Duration) int64 {
	return min(max(int64(at/tickLength), epoch), epoch+1)
}

// page returns the page of a tick.
func (sh *shard) page(tick int64) *page { return &sh.pages[uint64(tick)%uint64(len(sh.pages))] }

func (p *page) cell(name int, o hit.Outcome) *cell {
	at := &p.cells[name*outcomes+int(o)]
	if c := at.Load(); c != nil {
		return c
	}
	at.CompareAndSwap(nil, new(cell))
	return at.Load()
}

// countSend counts a request of the user that reached the wire at that instant.
func (r *recorder) countSend(user int, at time.Duration) {
	sh := r.shard(user, 0)
	e := r.enter(sh)
	tick := tickFor(e, at)
	bin := (at - time.Duration(tick)*tickLength) / tally.BinWidth
	sh.page(tick).sends[min(max(bin, 0), time.Duration(binsPerTick-1))].Add(1)
	sh.leave(e)
}

// countMissed counts n arrivals that were given up at that instant.
func (r *recorder) countMissed(n int64, at time.Duration) {
	if n <= 0 {
		return
	}
	sh := r.shards[0]
	e := r.enter(sh)
	p := sh.page(tickFor(e, at))
	p.missed.Add(n)
	p.gaveUp.add(at)
	sh.leave(e)
}
