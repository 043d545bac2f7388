package drill

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
)

// load sends requests until enough of them were refused in each of the periods, or
// until a bound is reached.
type load struct {
	o      *Options
	b      *Brief
	sender Sender
	free   chan int // users
	usd    float64
	hard   context.Context // ends what is under way

	mu        sync.Mutex // guards all below
	sent      int
	under     int // way
	by        [hit.NumOutcomes]int
	first     *FirstRefusal
	firstAt   time.Time // by the side's clock
	callsAt   time.Time // when a period had enough calls, where these are what is needed
	calls     string    // in words
	cut       int       // of those that failed, by the end of the drill: Ctrl-C
	periods   map[int64]*tallied
	marks     []mark // of bursts
	recent    []time.Time
	told      header.Reading
	toldAt    time.Time
	status    int // of the latest failure
	why       string
	stopped   string
	reached   bool
	ended     time.Time
	changed   chan struct{} // one signal: something was answered
	satisfied int
	held      bool // a bound on what may be refused or billed kept requests back
}

// mark is a burst in the side's time.
type mark struct {
	from, to        time.Time
	sent, throttled int
}

// tallied is what a period saw.
type tallied struct{ refused, calls int }

func newLoad(hard context.Context, o *Options, b *Brief, sender Sender) *load {
	l := &load{hard: hard, o: o, b: b, sender: sender, free: make(chan int, o.Users), periods: map[int64]*tallied{}, changed: make(chan struct{}, 1), usd: o.USD}
	for u := range o.Users {
		l.free <- u
	}
	return l
}

const (
	// climbEvery is how long a rate is held before a higher one is tried.
	climbEvery = 2 * time.Second
	climbKnown = 1.15 // steps above a limit that is known
	climbBlind = 1.5  // steps towards one that is not, in half the time
	// begins is how much of a period must be left to begin in it, in real time.
	begins = 3 * time.Second
	// edge is how near to the turn of a period a refusal may be and still count for
	// it: the side's clock is not ours.
	edge = 2 * time.Second
)

// run sends. It returns when it is done, when ctx ends, and after the answers to all
// requests that were sent.
func (l *load) run(ctx context.Context, rate float64) {
	var busy sync.WaitGroup
	defer func() {
		busy.Wait()
		l.mu.Lock()
		l.ended = l.o.Clock.Now()
		if l.stopped == "" {
			l.stopped = "it was enough"
		}
		l.mu.Unlock()
	}()
	l.send(ctx, &busy) // one alone: does it work at all, and what does the answer tell?
	busy.Wait()
	l.mu.Lock()
	failed := l.by[hit.Failed] > 0
	l.mu.Unlock()
	if failed || ctx.Err() != nil {
		if failed {
			l.stop("the first request failed")
		}
		return
	}
	climb := climbKnown
	switch {
	case calmRate(l.o, l.b) > 0:
		climb = 1
	case known(l.o, l.b) == 0:
		climb = climbBlind
		if hinted := l.hinted(); hinted > 0 {
			rate, climb = min(hinted, l.o.Caps.Rate), climbKnown
		}
	}
	for ctx.Err() == nil && !l.finished() {
		l.await(ctx, rate)
		rate = l.burst(ctx, &busy, rate, climb)
	}
}

// hinted is a rate that uses up soon what the latest answer says is left; 0: it says nothing.
func (l *load) hinted() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.told.Tightest()
	if !ok || t.Remaining < 0 {
		return 0
	}
	need := float64(t.Remaining) + float64(max(l.b.Refusals, 1)) + 1
	time := within
	if t.ResetAfter > 0 {
		time = min(time, t.ResetAfter*6/10)
	}
	fill := 0.0
	if t.Window > 0 {
		fill = float64(max(t.Quota, 0)) / t.Window.Seconds()
		if t.Refill > 0 {
			fill = float64(t.Refill) / t.Window.Seconds()
		}
	}
	return max(need/max(time.Seconds(), 0.5)+fill, 1)
}

// await waits until it makes sense to begin: when the period that has its refusals
// is over, or for the next one where too little is left of this.
func (l *load) await(ctx context.Context, rate float64) {
	p := l.b.Period
	if p <= 0 || l.b.Fill {
		return
	}
	now := l.o.Clock.Now()
	into := time.Duration(now.UnixNano() % int64(p))
	left := p - into
	if into < l.edge() { // nothing that is refused now would count for certain
		l.o.Clock.Sleep(ctx, l.edge()-into)
	}
	l.mu.Lock()
	done := l.enough(now)
	l.mu.Unlock()
	needs := begins
	if calmRate(l.o, l.b) > 0 { // all calls are to be in one period
		needs = min(l.o.Clock.Real(p)*95/100, time.Duration(float64(l.b.Calls)/rate*float64(time.Second))+begins)
	}
	if done || l.o.Clock.Real(left) < needs && l.o.Clock.Real(p) > 2*begins {
		l.o.Clock.Sleep(ctx, left+l.edge())
	}
}

func (l *load) edge() time.Duration { return min(edge, l.b.Period/20) }

// enough says whether the period of an instant has what it needs; the caller holds the lock.
func (l *load) enough(at time.Time) bool {
	if l.b.Period <= 0 {
		return l.by[hit.Throttled] >= max(l.b.Refusals, 1)
	}
	t := l.periods[at.UnixNano()/int64(l.b.Period)]
	return !l.b.Fill && t != nil && t.refused >= l.b.Refusals && t.calls >= l.b.Calls
}

// finished says whether nothing more is to be sent.
func (l *load) finished() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopped != "":
		return true
	case l.b.Period <= 0:
		l.reached = l.enough(time.Time{})
		if l.reached {
			l.satisfied = 1
		}
		return l.reached
	}
	n := 0
	for _, t := range l.periods {
		if t.refused >= l.b.Refusals && t.calls >= l.b.Calls && t.refused+t.calls > 0 {
			n++
		}
	}
	l.satisfied = n
	want := max(l.b.Periods, 1)
	if l.b.Fill {
		want++ // the first and the last are not whole
	}
	l.reached = n >= want
	return l.reached
}

// burst sends at a rate, and at a higher one for as long as nothing is refused, until
// the period has enough. It returns the rate at which it ended.
func (l *load) burst(ctx context.Context, busy *sync.WaitGroup, rate, climb float64) float64 {
	l.mu.Lock()
	l.marks = append(l.marks, mark{from: l.o.Clock.Now()})
	before := l.by[hit.Throttled]
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.marks[len(l.marks)-1].to = l.o.Clock.Now()
		l.mu.Unlock()
	}()
	start, n := time.Now(), 0
	held := climbEvery
	if climb == climbBlind {
		held /= 2
	}
	for ctx.Err() == nil {
		due := start.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if d := time.Until(due); d > 0 {
			sleep(ctx, d)
		}
		if !l.send(ctx, busy) {
			return rate
		}
		n++
		l.mu.Lock()
		none, done := l.by[hit.Throttled] == before, l.enough(l.o.Clock.Now())
		l.mu.Unlock()
		if done || l.finished() {
			return rate
		}
		if none && climb > 1 && time.Since(start) >= held && rate < l.o.Caps.Rate {
			rate = min(rate*climb, l.o.Caps.Rate)
			start, n = time.Now(), 0
		}
	}
	return rate
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// send sends one request, as soon as a user is free and the bounds allow it. It
// returns false when no more may be sent.
func (l *load) send(ctx context.Context, busy *sync.WaitGroup) bool {
	var user int
	select {
	case user = <-l.free:
	case <-ctx.Done():
		return false
	}
	for !l.allowed() {
		// Subtle: requests under way may all be refused, or all be billed. So as the bound
		// comes near, each waits for the answers of those before.
		l.mu.Lock()
		l.held = l.held || l.stopped == "" // a bound that has been reached is no waiting
		l.mu.Unlock()
		select {
		case <-l.changed:
		case <-ctx.Done():
			l.free <- user
			return false
		}
		l.mu.Lock()
		over := l.stopped != ""
		l.mu.Unlock()
		if over {
			l.free <- user
			return false
		}
	}
	busy.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				l.stop(fmt.Sprintf("it broke off: %v", p))
			}
			l.free <- user
			select {
			case l.changed <- struct{}{}:
			default:
			}
		}()
		a := l.sender.Send(l.hard, user)
		l.note(&a)
	})
	return true
}

// allowed takes a place among the requests under way, if every bound allows it.
func (l *load) allowed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.o.Caps
	refused, billed := l.by[hit.Throttled], l.by[hit.Admitted]
	switch {
	case l.stopped != "":
		return false
	case l.sent >= c.Requests:
		l.stopped = fmt.Sprintf("%s were sent, and no more are allowed", count(l.sent, "request"))
	case refused >= c.Throttled:
		l.stopped = fmt.Sprintf("%s were refused, and no more are allowed", count(refused, "request"))
	case c.USD > 0 && l.usd > 0 && float64(billed+1)*l.usd > c.USD:
		l.stopped = fmt.Sprintf("%s cost $%.2f, and no more is allowed", count(billed, "request"), float64(billed)*l.usd)
	case refused+l.under >= c.Throttled, c.USD > 0 && l.usd > 0 && float64(billed+l.under+1)*l.usd > c.USD:
		return false
	default:
		l.sent++
		l.under++
		now := time.Now()
		l.recent = append(l.recent, now)
		for len(l.recent) > 0 && now.Sub(l.recent[0]) > time.Second {
			l.recent = l.recent[1:]
		}
		if n := len(l.marks); n > 0 {
			l.marks[n-1].sent++
		} else {
			at := l.o.Clock.At(now)
			l.marks = append(l.marks, mark{from: at, to: at, sent: 1})
		}
		return true
	}
	// A stop: whoever waits is to see it.
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return false
}

// note counts an answer.
func (l *load) note(a *Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.under--
	l.by[a.Outcome]++
	if !a.Told.Empty() {
		l.told, l.toldAt = a.Told, a.Done
	}
	from, to := l.o.Clock.At(a.Sent), l.o.Clock.At(a.Done)
	if p := int64(l.b.Period); p > 0 && a.Outcome != hit.Failed {
		e := l.edge()
		// Only what is in the period for certain.
		if from.Add(-e).UnixNano()/p == to.Add(e).UnixNano()/p {
			t := l.periods[from.UnixNano()/p]
			if t == nil {
				t = &tallied{}
				l.periods[from.UnixNano()/p] = t
			}
			t.calls++
			if a.Outcome == hit.Throttled {
				t.refused++
			}
			if l.b.byCalls() && l.callsAt.IsZero() && t.calls >= l.b.Calls {
				l.callsAt, l.calls = to, fmt.Sprintf("%s in a period, at %s requests/s", count(t.calls, "call"), number(float64(len(l.recent))))
			}
		}
	}
	switch a.Outcome {
	case hit.Throttled:
		l.marks[len(l.marks)-1].throttled++
		if l.first == nil {
			l.first, l.firstAt = &FirstRefusal{Request: l.sent, Status: a.Status, Rate: float64(len(l.recent))}, to
		}
	case hit.Failed:
		if a.Status == 0 && l.hard.Err() != nil { // our own doing
			l.cut++
			return
		}
		l.status, l.why = a.Status, a.Err
		if bad := l.by[hit.Failed]; bad >= 10 && 2*bad > l.sent && l.stopped == "" {
			l.stopped = fmt.Sprintf("%d of %s failed", bad, count(l.sent, "request"))
		}
	}
}

// endedAt is when the last answer was in.
func (l *load) endedAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (l *load) stop(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped == "" {
		l.stopped = why
	}
}

// enoughSeen is when the first stage was reached: the first refusal, or enough calls
// where these are what is needed.
func (l *load) enoughSeen() (at time.Time, text string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f := l.first; {
	case l.b.byCalls():
		return l.callsAt, l.calls, !l.callsAt.IsZero()
	case f != nil:
		return l.firstAt, fmt.Sprintf("request %d, status %d, at %s requests/s", f.Request, f.Status, number(f.Rate)), true
	}
	return time.Time{}, "", false
}

// counts are what was sent and refused until now.
func (l *load) counts() (sent, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent, l.by[hit.Throttled]
}

func (l *load) result(began time.Time) *LoadResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &LoadResult{
		Requests: l.sent, Admitted: l.by[hit.Admitted], Throttled: l.by[hit.Throttled], Failed: l.by[hit.Failed] - l.cut, Cut: l.cut, First: l.first,
		USD: float64(l.by[hit.Admitted]) * l.usd, Periods: l.satisfied, Stopped: l.stopped, Bursts: []Burst{},
	}
	if l.first != nil {
		r.Rate = l.first.Rate
	}
	for _, m := range l.marks {
		if m.sent == 0 {
			continue
		}
		if m.to.Before(m.from) {
			m.to = m.from
		}
		r.Bursts = append(r.Bursts, Burst{From: m.from.Sub(began).Seconds(), To: m.to.Sub(began).Seconds(), Requests: m.sent, Throttled: m.throttled})
		r.Seconds += l.o.Clock.Real(m.to.Sub(m.from)).Seconds()
	}
	return r
}
