package load

import (
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
)

// Respect makes a run stay within limits. The zero value does not.
//
// What is held back keeps the instant at which it was intended, so its response
// time has the time in which it was held; how much was held, and for how long, is
// counted apart (tally.Work). What is held back to the end of the run is counted
// there too, and not as missed.
type Respect struct {
	// Headers keeps within what the service tells: when little is left, that is
	// spread up to the reset, and after a refusal nothing leaves before the time
	// that was told. There is one budget for each request name, for all users.
	Headers bool

	// Leave, when not nil, returns when a request that could leave now may do so.
	// It is called for one request at a time, in the order in which they become due,
	// and reserves what they take. ok false: it may never leave.
	Leave func(req *hit.Request, now time.Time) (at time.Time, ok bool)
}

func (r *Respect) any() bool { return r.Headers || r.Leave != nil }

const (
	spreadBelow = 4                // what is left is spread from a quarter of the quota on
	blindWait   = time.Second      // after a refusal that does not say how long to wait
	heldAbove   = time.Millisecond // a request counts as held when it left later by more than this
)

// holder holds requests of one name back, by what headers tell. Requests take
// their turn in the order in which they come.
type holder struct {
	turn chan struct{} // holds one: the right to leave next
	wake chan struct{} // something has changed

	mu     sync.Mutex
	issued int64 // requests that left
	flight int64 // of them, those without an answer
	crowd  int64 // most of those at once since there were none
	heard  bool  // there was an answer
	known  bool  // and one told what is left
	seq    int64 // the latest request whose answer did
	quota  int64
	left   int64         // after all that left
	reset  time.Duration // instant; negative: not told
	until  time.Duration // nothing leaves before
	probe  bool          // after until, one leaves alone
	last   time.Duration // when the latest one left
	gains  gains
}

// gains measures what comes back bit by bit, as a bucket or a window that slides
// gives it: waiting for the reset would leave that unused.
type gains struct {
	told  int64         // what was left in the answer before
	at    time.Duration // when that came
	from  time.Duration // of the period that is being measured
	net   int64         // units that came back in it
	large int64         // the most at once
	rate  float64       // units that come back each second; 0 when they come all at once
}

// gainPeriod is how long gains are measured at least.
const gainPeriod = 2 * time.Second

// add takes an answer that told what is left, with how many requests were counted
// since the one before.
func (g *gains) add(left, counted int64, now time.Duration) {
	if g.at > 0 {
		gain := left - g.told + counted
		g.net += gain
		g.large = max(g.large, gain)
	}
	g.told, g.at = left, now
	if span := now - g.from; span >= gainPeriod {
		g.rate = 0
		if g.net >= 8 && g.large < g.net/2 {
			g.rate = float64(g.net) / span.Seconds()
		}
		g.from, g.net, g.large = now, 0, 0
	}
}

// since returns what is likely to have come back since the latest answer, rather
// less than more.
func (g *gains) since(now time.Duration) int64 {
	return int64(0.95 * g.rate * (now - g.at).Seconds())
}

// until returns when so many will have come back.
func (g *gains) until(n int64) time.Duration {
	return g.at + time.Duration(float64(n)/(0.95*g.rate)*float64(time.Second)) + 1
}

func newHolder() *holder {
	h := &holder{turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), reset: header.Unknown}
	h.turn <- struct{}{}
	return h
}

// try lets one request leave, or says until when to wait.
func (h *holder) try(now time.Duration) (ticket int64, until time.Duration) {
	const long = time.Hour // something will happen before, and that wakes
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case now < h.until:
		return 0, h.until
	case (!h.heard || h.probe) && h.flight > 0:
		return 0, now + long // one goes ahead and finds out
	case h.known && h.reset >= 0 && now >= h.reset && !h.probe && h.quota > 0:
		h.left, h.reset = h.quota-h.flight, header.Unknown
	}
	if h.known && !h.probe && h.gains.rate > 0 {
		left := h.left + h.gains.since(now)
		switch gap := time.Duration(float64(time.Second) / h.gains.rate); {
		case left < 1:
			return 0, max(h.gains.until(1-h.left), now+time.Millisecond)
		case left <= h.quota/spreadBelow && now < h.last+gap:
			return 0, h.last + gap
		}
	} else if h.known && !h.probe {
		switch {
		case h.left > 0 && (h.reset < 0 || h.left > h.quota/spreadBelow && h.quota > 0):
		case h.left > 0:
			if at := h.last + (h.reset-h.last)/time.Duration(h.left+1); now < at {
				return 0, at
			}
		case h.flight > 0 && h.reset < 0:
			return 0, now + long
		case h.reset >= 0:
			return 0, h.reset
		}
	}
	h.issued++
	h.flight++
	h.crowd = max(h.crowd, h.flight)
	h.left--
	h.last = now
	return h.issued, 0
}

// answered takes the answer to the request with that ticket; 0 is none.
func (h *holder) answered(ticket int64, r header.Reading, refused bool, now time.Duration) {
	if ticket == 0 {
		return
	}
	h.mu.Lock()
	h.flight--
	h.heard = true
	if refused {
		wait, ok := r.Wait()
		if !ok {
			wait = blindWait
		}
		h.until, h.probe = max(h.until, now+wait), true
	} else if now >= h.until {
		h.probe = false
	}
	var tight header.Limit
	found := false
	for _, l := range r.Limits {
		if l.Unit == "" && l.Remaining != header.Unknown && (!found || l.Remaining < tight.Remaining) {
			tight, found = l, true
		}
	}
	if h.flight == 0 {
		h.crowd = 0
	}
	if found && ticket > h.seq {
		// Subtle: of the requests under way the service may have counted none, and of
		// those that were under way together with this one, and are answered, it may
		// have counted some later. So more is left only when more came back than that.
		left := tight.Remaining - max(h.issued-ticket, h.flight)
		if h.known && left > h.left {
			left = max(h.left, left-h.crowd)
		}
		h.gains.add(tight.Remaining, ticket-h.seq, now)
		h.seq, h.known = ticket, true
		h.quota, h.left, h.reset = tight.Quota, left, header.Unknown
		if tight.ResetAfter != header.Unknown {
			h.reset = now + tight.ResetAfter
		}
	} else if found && h.reset >= 0 && tight.ResetAfter != header.Unknown {
		h.reset = max(h.reset, now+tight.ResetAfter) // it may have been counted after the latest one
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// held holds the request of the session back for as long as limits ask for. It
// reports false when the run ended before: then nothing is sent.
func (s *Session) held(req *hit.Request) bool {
	r := &s.e.plan.Respect
	s.ticket = 0
	if !r.any() {
		return true
	}
	p := s.e.told.of(s.names.index(s.e.names, req))
	from := s.e.since()
	if s.begins {
		from = max(s.handed, 0)
	}
	ok := false
	if r.Leave != nil {
		ok = s.reserved(req)
	} else {
		ok = s.waited(p.hold)
	}
	waited := s.e.since() - from
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !ok:
		p.work.Unsent++
		s.unsent = true
		s.refuse("the run ended while the request was held back")
	case waited > heldAbove:
		p.work.Held++
		record(&p.work.HeldFor, waited)
	}
	return ok
}

// waited waits for its turn and for the holder's leave.
func (s *Session) waited(h *holder) bool {
	over := s.p.plan.Done()
	select {
	case <-h.turn:
	case <-over:
		return false
	}
	defer func() { h.turn <- struct{}{} }()
	for {
		ticket, until := h.try(s.e.since())
		if ticket != 0 {
			s.ticket = ticket
			return true
		}
		if !s.sleep(until, h.wake, over) {
			return false
		}
	}
}

// reserved asks Leave when the request may leave, and waits for it.
func (s *Session) reserved(req *hit.Request) bool {
	e := s.e
	e.leaving.Lock()
	now := time.Now()
	at, ok := e.plan.Respect.Leave(req, now)
	e.leaving.Unlock()
	if !ok {
		return false
	}
	return !at.After(now) && s.p.plan.Err() == nil || s.sleep(at.Sub(e.start), nil, s.p.plan.Done())
}
