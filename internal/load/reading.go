package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/gauge"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// readGap is the least time between two answers of one request name whose limit
// headers are read, admitted and throttled ones apart. All others cost one look
// at a number: reading takes microseconds and allocates.
const readGap = 50 * time.Millisecond

// endpoints is what the run knows of limits, by number of the request name.
type endpoints struct {
	list []atomic.Pointer[endpoint]
	busy atomic.Int64 // requests under way at the end of the latest tick
}

// endpoint is what the run knows of the limits of one request name.
type endpoint struct {
	next  [2]atomic.Int64 // when the next answer is to be read: of those that were not throttled, and of those that were
	tells atomic.Bool     // some answer told of a limit
	spent atomic.Int64    // answers that took something from it, since then

	mu    sync.Mutex
	gauge gauge.Endpoint
	waits tally.Waits
	work  tally.Work
	hold  *holder // nil unless limits are respected
}

func newEndpoints(names int) *endpoints {
	return &endpoints{list: make([]atomic.Pointer[endpoint], names)}
}

// of returns the endpoint of a name.
func (e *endpoints) of(name int) *endpoint {
	if p := e.list[name].Load(); p != nil {
		return p
	}
	e.list[name].CompareAndSwap(nil, &endpoint{hold: newHolder()})
	return e.list[name].Load()
}

// promise is what a user was told with a refusal.
type promise struct {
	made      bool
	name      int32
	at, until time.Duration
}

// read takes what the answer says about limits. It allocates nothing for an
// answer that is not read.
func (s *Session) read() {
	h, e := &s.hit, s.e
	p := e.told.of(int(h.name))
	refused := h.outcome == hit.Throttled
	if !refused && h.failure == hit.NoFailure && p.tells.Load() {
		p.spent.Add(1)
	}
	if s.promise.made && s.promise.name == h.name {
		s.kept(p, refused)
	}
	s.toldWait = header.Unknown
	which := 0
	if refused {
		which = 1
	}
	due := p.next[which].Load()
	sampled := int64(h.done) >= due && p.next[which].CompareAndSwap(due, int64(h.done+readGap))
	always := e.plan.Respect.Headers || refused && e.plan.Retry.Obey
	if sampled || always {
		s.study(p, refused, sampled, always)
	}
}

// study reads the limit headers of the answer, if it has any.
func (s *Session) study(p *endpoint, refused, sampled, always bool) {
	h, e := &s.hit, s.e
	if h.failure != hit.NoFailure || !tells(s.ans.Fields) {
		if always {
			p.hold.answered(s.ticket, header.Reading{}, refused, h.done)
		}
		if refused && sampled {
			p.mu.Lock()
			p.waits.Untold++
			p.mu.Unlock()
		}
		return
	}
	r := header.Parse(s.ans.Fields, s.ans.Done)
	if always {
		p.hold.answered(s.ticket, r, refused, h.done)
	}
	wait, asks := r.Wait()
	if refused && asks {
		s.toldWait = wait
	}
	if !sampled {
		return
	}
	if !p.tells.Swap(true) && !refused {
		p.spent.Add(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gauge.Read(gauge.Answer{
		Sent: h.sent, At: h.sent + (h.done-h.sent)/2, User: s.id, Spent: p.spent.Load(), Flight: e.told.busy.Load(),
		Status: h.status, Refused: refused, Reading: r,
	})
	if refused {
		if !asks {
			p.waits.Untold++
			return
		}
		p.waits.Told++
		p.waits.Longest = max(p.waits.Longest, wait)
		s.promise = promise{true, h.name, h.done, h.done + wait}
	}
}

// kept looks what came of the time that this user was told to wait.
func (s *Session) kept(p *endpoint, refused bool) {
	sent, until := s.hit.sent, s.promise.until
	s.promise.made = false
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case sent >= until && refused:
		p.waits.KeptRefused++
	case sent >= until:
		p.waits.KeptPassed++
	case refused:
		p.waits.EarlyRefused++
	case sent < until-time.Second: // within a second it is the rounding of a true time
		p.waits.EarlyPassed++
	}
}

// tells reports whether a header block has a field that may speak of limits: one
// with "imit" or "etry-" in its name. It allocates nothing.
func tells(block hit.Fields) bool {
	name := true
	for i := 0; i+4 < len(block); i++ {
		switch c := block[i]; {
		case c == '\n':
			name = true
		case c == ':':
			name = false
		case name && (c|0x20 == 'i' && block[i+1]|0x20 == 'm' && block[i+2]|0x20 == 'i' && block[i+3]|0x20 == 't' ||
			c|0x20 == 'e' && block[i+1]|0x20 == 't' && block[i+2]|0x20 == 'r' && block[i+3]|0x20 == 'y' && block[i+4] == '-'):
			return true
		}
	}
	return false
}

// drain moves what is known of limits into a tick that ends then.
func (e *endpoints) drain(names *names, end time.Duration) *tally.Limits {
	l := &tally.Limits{}
	for i := range e.list {
		p := e.list[i].Load()
		if p == nil {
			continue
		}
		who := names.label(i)
		p.mu.Lock()
		p.gauge.Drain(l, who.method, who.name, end)
		if w := p.waits; w != (tally.Waits{}) {
			w.Method, w.Name = who.method, who.name
			l.Waits = append(l.Waits, w)
			p.waits = tally.Waits{}
		}
		if w := p.work; w != (tally.Work{}) {
			w.Method, w.Name = who.method, who.name
			l.Work = append(l.Work, w)
			p.work = tally.Work{Waiting: w.Waiting}
		}
		p.mu.Unlock()
	}
	if l.Empty() {
		return nil
	}
	l.Sort()
	return l
}

// record adds to a histogram that may not be there yet.
func record(h **hist.Hist, d time.Duration) {
	if *h == nil {
		*h = &hist.Hist{}
	}
	(*h).Record(d)
}
