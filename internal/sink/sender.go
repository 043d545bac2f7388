package sink

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/runfile"
)

const (
	// CallWithin is how long one call may take.
	CallWithin = 10 * time.Second
	// leaveWithin is how long a call that is under way may take when sending stops.
	leaveWithin = 2 * time.Second
	// firstPause and longestPause bound the wait after a call that failed. It doubles.
	firstPause   = 200 * time.Millisecond
	longestPause = 30 * time.Second
)

// Store is the outbox that a sender works on.
type Store interface {
	Take(lane string, doubtful bool) (*runfile.Parcel, error)
	Settle(p *runfile.Parcel, s runfile.Settlement) error
}

// sender sends the parcels of one lane, one call at a time: what is throttled
// waits, and the parcels arrive in their order.
type sender struct {
	lane  Lane
	store Store
	tell  func(string)
	wake  chan struct{} // a parcel may have come
	told  string

	mu      sync.Mutex
	settled int // calls that ended with their parcel delivered
	trouble string
}

func newSender(l Lane, store Store, tell func(string)) *sender {
	return &sender{lane: l, store: store, tell: tell, wake: make(chan struct{}, 1)}
}

// run sends until ctx is done, or until the lane is empty. Of a call that is
// under way when ctx ends it waits for the answer, but not long.
func (s *sender) run(ctx context.Context, untilEmpty bool) {
	failures := 0
	for ctx.Err() == nil {
		p, err := s.store.Take(s.lane.Name, s.lane.Resend)
		if err != nil {
			s.complain(err.Error())
			return
		}
		if p == nil {
			if untilEmpty {
				return
			}
			select {
			case <-s.wake:
			case <-ctx.Done():
			}
			continue
		}
		r := s.call(ctx, p)
		if err := s.store.Settle(p, r.Settlement); err != nil {
			s.complain(err.Error()) // the parcel stays marked: doubtful when the file is opened again
			return
		}
		s.note(&r)
		if r.Fate == runfile.Delivered || r.Fate == runfile.Refused {
			failures = 0
			continue
		}
		failures++
		pause(ctx, max(r.After, backoff(failures)))
	}
}

// call makes one call, bounded in time.
func (s *sender) call(ctx context.Context, p *runfile.Parcel) Reply {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), CallWithin)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		pause(own, leaveWithin)
		cancel()
	})
	defer stop()
	began := time.Now()
	r := s.lane.Deliverer.Deliver(own, p)
	r.Took = time.Since(began)
	return r
}

// note keeps what the progress says, and tells what went wrong when it changes.
func (s *sender) note(r *Reply) {
	s.mu.Lock()
	if r.Fate == runfile.Delivered {
		s.settled++
		s.trouble = ""
	} else {
		s.trouble = r.Reason
	}
	s.mu.Unlock()
	switch {
	case r.Fate == runfile.Delivered && r.Reason != "": // but for a part, which it will not have
		s.complain(r.Reason)
	case r.Fate == runfile.Delivered:
		s.told = ""
	case r.Fate == runfile.Returned && r.Throttled:
		// What limits are for. The counts tell of it.
	default:
		s.complain(r.Reason)
	}
}

func (s *sender) complain(text string) {
	if text == s.told {
		return
	}
	s.told = text
	s.tell(s.lane.Name + ": " + text)
}

// backoff is how long to wait after so many failures in a row: half of it fixed, half random.
func backoff(failures int) time.Duration {
	d := longestPause
	if n := failures - 1; n < 8 {
		d = min(d, firstPause<<n)
	}
	return d/2 + rand.N(d/2+1)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// live is the sending beside a run.
type live struct {
	senders []*sender
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// Start begins to send what live sinks have in the outbox.
func (s *Set) Start(store Store) {
	if s == nil || s.live != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.live = &live{cancel: cancel}
	for _, l := range s.lanes(true) {
		one := newSender(l, store, s.tell)
		s.live.senders = append(s.live.senders, one)
		s.live.done.Go(func() { one.run(ctx, false) })
	}
}

// Wake says that parcels were stored. It never waits.
func (s *Set) Wake() {
	if s == nil || s.live == nil {
		return
	}
	for _, one := range s.live.senders {
		select {
		case one.wake <- struct{}{}:
		default:
		}
	}
}

// Stop ends what Start began. It takes two seconds at most, if a service does not answer.
func (s *Set) Stop() {
	if s == nil || s.live == nil {
		return
	}
	s.live.cancel()
	s.live.done.Wait()
	s.live = nil
}

// Progress is how far Drain is.
type Progress struct {
	Sent    int           // parcels delivered by this Drain
	Left    int           // parcels that are still to be sent
	Passed  time.Duration // since Drain began
	Trouble string        // why nothing moves, "" when it does
}

// Remaining estimates the time for what is left from the pace so far, waits and
// repeated calls included; ok is false while nothing was delivered.
func (p Progress) Remaining() (d time.Duration, ok bool) {
	if p.Sent == 0 || p.Trouble != "" {
		return 0, false
	}
	return time.Duration(float64(p.Passed) / float64(p.Sent) * float64(p.Left)), true
}

// Drain sends what is in the outbox until it is empty, ctx is done, or within has
// passed; 0 is no bound but that nothing was delivered for ten minutes. Show, if any, is called each second. It returns how many
// parcels it delivered.
func (s *Set) Drain(ctx context.Context, o *runfile.Outbox, within time.Duration, show func(Progress)) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if within > 0 {
		defer time.AfterFunc(within, cancel).Stop()
	}
	began := time.Now()
	moved, before := began, 0
	var senders []*sender
	var all sync.WaitGroup
	for _, l := range s.lanes(false) {
		one := newSender(l, o, s.tell)
		senders = append(senders, one)
		all.Go(func() { one.run(ctx, true) })
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	sent := func() (n int, trouble string) {
		for _, one := range senders {
			one.mu.Lock()
			n += one.settled
			if one.trouble != "" {
				trouble = one.lane.Name + ": " + one.trouble
			}
			one.mu.Unlock()
		}
		return n, trouble
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			n, _ := sent()
			return n, nil
		case <-tick.C:
		}
		if n, _ := sent(); n > before {
			moved, before = time.Now(), n
		} else if within <= 0 && time.Since(moved) > s.patience {
			cancel()
		}
		if show == nil {
			continue
		}
		list, err := o.Deliveries()
		if err != nil {
			continue // the senders will meet it too, and stop
		}
		p := Progress{Passed: time.Since(began)}
		p.Sent, p.Trouble = sent()
		for _, d := range list {
			p.Left += int(d.Waiting)
		}
		show(p)
	}
}
