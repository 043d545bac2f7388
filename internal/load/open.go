package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/pace"
)

// open runs the open model: a clock walks along the schedule, and arrivals are
// handed to idle users. Arrivals that could not be handed on yet are the range
// [head, next) of the schedule, so a backlog takes no memory.
//
// In the ordinary case an arrival costs the clock one pop of an idle user and
// one channel send, and the user one push. Only when there is a backlog do
// users who become free take the lock to hand it on.
type open struct {
	p *part
	e *Engine

	// arrivals is the plan's schedule, or what Engine.Nudge made of it.
	arrivals atomic.Pointer[pace.Pacer]
	share    atomic.Int64 // of the planned rate that is wanted now, in percent

	// idle is a stack, so that the users who worked last work next and their
	// connections stay warm. Anybody pushes; only the holder of mu pops.
	idle atomic.Pointer[hand]
	// waiting says that the next user who becomes free is to call dispatch.
	waiting atomic.Bool

	mu     sync.Mutex
	head   int64 // first arrival that was not handed on
	next   int64 // first arrival that was not due when the clock looked
	users  int   // alive or starting
	fresh  int   // numbers given out so far
	spare  []int // numbers of users that could not start
	ended  bool  // the schedule is over: close when the backlog is
	closed bool
	spread spreader
	retry  *time.Timer // calls dispatch

	// For the wake lag, which must not include waiting for users:
	starved bool          // arrivals wait for lack of free users, or behind such, not for a late clock
	freed   time.Duration // when dispatch last went on after such a lack
}

// hand is a user of the open model.
type hand struct {
	id    int
	below *hand // in the idle stack
	work  chan arrival
}

type arrival struct {
	due  time.Duration
	from time.Duration // when it could have left, had the generator been quick
}

func newOpen(p *part) *open {
	o := &open{p: p, e: p.e}
	o.arrivals.Store(&p.Arrivals)
	o.share.Store(100)
	o.retry = time.AfterFunc(time.Hour, o.dispatch)
	o.retry.Stop()
	return o
}

// budget is the most arrivals there can be, 0 for no limit. What MaxRequests
// forbids anyway is never due: every arrival sends at least one request.
func (o *open) budget() int64 {
	most := o.p.MaxRequests
	if all := o.e.plan.MaxRequests; all > 0 && o.p.alone() && (most == 0 || all < most) {
		most = all
	}
	return most
}

// due is Part.Arrivals.Due with the end of the plan in it.
func (o *open) due(n int64) (time.Duration, bool) {
	if most := o.budget(); most > 0 && n >= most {
		return 0, false
	}
	at, ok := (*o.arrivals.Load()).Due(n)
	if !ok || o.p.End > 0 && at >= o.p.End {
		return 0, false
	}
	return max(at, 0), true
}

// end returns when the plan ends, given when its last arrival was due.
func (o *open) end(last time.Duration) (time.Duration, string) {
	if r := o.p.End; r > 0 {
		return r, "the run time was reached"
	}
	return last, "the plan ended"
}

func (o *open) run(ctx context.Context) {
	e := o.e
	var n int64
	var last time.Duration
	for {
		at, ok := o.due(n)
		if !ok {
			break
		}
		if !o.p.sleepUntil(ctx, at) {
			o.halt()
			return
		}
		// One wake-up serves everything that is due by now.
		for now := e.since(); ok && at <= now; at, ok = o.due(n) {
			last = at
			n++
		}
		o.advance(n)
		o.turn(n)
	}
	end, reason := o.end(last)
	if most := o.budget(); most > 0 && n >= most {
		o.finish() // ends the run when the last one has left
		if o.p.End == 0 {
			end = forever
		}
	}
	if !o.p.sleepUntil(ctx, end) {
		o.halt()
		return
	}
	o.p.end(reason, true)
	o.finish()
}

// forever is an instant that no run lives to see. There are about two centuries
// to the largest duration, because package time adds instants up.
const forever = 100 * 365 * 24 * time.Hour

// advance makes the arrivals below n due.
func (o *open) advance(n int64) {
	o.mu.Lock()
	if !o.closed {
		o.next = n
	}
	o.mu.Unlock()
	o.dispatch()
}

// finish ends the model when the backlog has left.
func (o *open) finish() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.dispatch()
}

// halt ends the model now. Arrivals that were due and have not left are missed.
func (o *open) halt() {
	now := o.e.since()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	stop := now
	if o.e.ended() {
		stop = min(now, o.e.stoppedAt())
	}
	for !o.ended {
		at, ok := o.due(o.next)
		if !ok || at > stop {
			break
		}
		o.next++
	}
	o.head = max(o.head, o.firstCounted(o.next))
	o.e.rec.countMissed(o.next-o.head, now)
	o.head = o.next
	o.close()
}

// close sends the idle users home, and with waiting set the others as they
// become free. The caller holds mu.
func (o *open) close() {
	if !o.closed {
		o.closed = true
		o.retry.Stop()
		o.e.crew.close()
		o.waiting.Store(true)
	}
	for h := o.pop(); h != nil; h = o.pop() {
		close(h.work)
	}
}

// dueBy returns how many arrivals were due before that instant and before the
// run ended, whether or not the clock was quick enough to notice.
func (o *open) dueBy(at time.Duration) int64 {
	if o.e.ended() {
		at = min(at, o.e.stoppedAt()+1)
	}
	return pace.CountBefore(schedule{o}, at)
}

// schedule is open.due as a pace.Pacer.
type schedule struct{ o *open }

func (s schedule) Due(n int64) (time.Duration, bool) { return s.o.due(n) }

// dueInAll returns how many arrivals were due in the whole run. It is final
// once the model is closed.
func (o *open) dueInAll() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.next
}

// dispatch hands on what may leave now.
func (o *open) dispatch() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		o.close()
		return
	}
	if o.e.ended() && !o.ended {
		return // the run was stopped, and halt is about to be called
	}
	now := o.e.since()
	if o.waiting.Load() {
		o.waiting.Store(false)
		o.freed = now
	}
	for o.head < o.next {
		due, _ := o.due(o.head)
		could := o.freed
		switch o.e.plan.CatchUp {
		case Skip:
			if now-due > SkipAfter {
				o.e.missed(due, now)
				o.head++
				continue
			}
		case Spread:
			at := o.spread.earliest()
			if at > now {
				o.retry.Reset(at - now)
				return
			}
			could = max(could, at)
		}
		from := due
		if could <= due {
			o.starved = false
		} else if o.starved {
			from = could
		}
		if !o.hand(arrival{due, from}) {
			o.starved = true
			if o.e.plan.CatchUp == Skip {
				o.retry.Reset(due + SkipAfter + 1 - now)
			}
			return
		}
		o.head++
		if o.e.plan.CatchUp == Spread {
			if after, ok := o.due(o.head); ok {
				o.spread.leave(now, after-due)
			}
		}
	}
	if o.ended {
		// The end of the plan has been told, unless it is the budget's.
		o.p.end(usedUp(o.budget()), false)
		o.close()
	}
}

// hand gives a to an idle user, or to a new one. It reports false when there
// is neither; then the next user who becomes free calls dispatch. The caller
// holds mu.
func (o *open) hand(a arrival) bool {
	h := o.pop()
	if h == nil && o.users < o.p.MaxUsers {
		return o.spawn(a)
	}
	if h == nil {
		// Subtle: a user may have become free between the pop and the flag, not
		// seen the flag and gone to sleep. So look again.
		o.waiting.Store(true)
		if h = o.pop(); h == nil {
			return false
		}
		o.waiting.Store(false)
	}
	h.work <- a // has room: an idle user has no work
	return true
}

// spawn starts a user with work to do. The caller holds mu.
func (o *open) spawn(a arrival) bool {
	if !o.e.crew.join() {
		return false
	}
	o.users++
	h := &hand{work: make(chan arrival, 1)}
	if last := len(o.spare) - 1; last >= 0 {
		h.id, o.spare = o.spare[last], o.spare[:last]
	} else {
		h.id = o.fresh
		o.fresh++
	}
	h.work <- a
	go o.serve(h)
	return true
}

// push makes h idle. Subtle: while h is in the stack nobody writes h.below, and
// there is only one popper, so a pop that read it can trust it.
func (o *open) push(h *hand) {
	for {
		top := o.idle.Load()
		h.below = top
		if o.idle.CompareAndSwap(top, h) {
			return
		}
	}
}

// pop takes the user who became idle last, or nil. The caller holds mu.
func (o *open) pop() *hand {
	for {
		h := o.idle.Load()
		if h == nil || o.idle.CompareAndSwap(h, h.below) {
			return h
		}
	}
}

// serve is the goroutine of a user.
func (o *open) serve(h *hand) {
	e := o.e
	defer e.crew.leave()
	// A user that could not start gives up its place, and so does, because the
	// function is left early, one whose scenario calls runtime.Goexit.
	hired, leaving := false, false
	defer func() {
		if !hired {
			a := <-h.work
			e.missed(a.due, e.since())
		}
		if !leaving {
			o.quit(h)
		}
	}()
	s, u, err := o.p.hire(h.id, o.p.id(h.id))
	if err != nil {
		u = nil
	}
	defer func() { s.dismiss(u) }()
	hired = err == nil
	if hired || !s.cut {
		e.reportStart(err)
	}
	if !hired {
		if !s.cut {
			e.noteScenario(err)
		}
		return
	}
	began := e.since()
	var a arrival
	busy := false
	done := func() {
		if busy && s.sends == 0 && !s.unsent {
			e.missed(a.due, e.since())
		}
		busy = false
	}
	defer done()
	for a = range h.work {
		busy = true
		now := e.since()
		_, err := s.iterate(u, a.due, now, now-max(a.from, began))
		if err != nil && !s.cut {
			e.noteScenario(err)
		}
		done()
		o.push(h)
		if o.waiting.Load() {
			o.dispatch()
		}
	}
	leaving = true
}

// quit gives up the place of a user before its time.
func (o *open) quit(h *hand) {
	o.mu.Lock()
	o.users--
	o.spare = append(o.spare, h.id)
	o.mu.Unlock()
	if o.waiting.Load() {
		o.dispatch()
	}
}
