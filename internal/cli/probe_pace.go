package cli

import (
	"context"
	"sync"
	"time"
)

// probePace keeps requests below a rate: no more than so many go in any second. Below that
// it lets those of one wave go nearly at once, because a burst that takes long leaves open
// when each of its requests was counted. Of requests that go later than planned, for
// want of a connection say, it counts when they went. Safe for concurrent use.
type probePace struct {
	most   int           // requests in any span of window
	window time.Duration // a second, or as long as one request may take at less than one a second
	past   []time.Time   // when the latest of them are due, oldest first; at most most

	mu    sync.Mutex
	going []*paced // those that may have gone within the latest window
}

// paced is one request: zero until it has gone.
type paced struct{ at time.Time }

// newProbePace bounds to a rate, requests per second, above zero.
func newProbePace(rate float64) *probePace {
	most := max(1, int(rate))
	return &probePace{most: most, window: max(time.Second, time.Duration(float64(most)/rate*float64(time.Second)))}
}

// after returns when a request may go that should go at t, and counts it.
func (p *probePace) after(t time.Time) time.Time {
	if n := len(p.past); n > 0 {
		if least := p.past[n-1].Add(p.window / time.Duration(10*p.most)); t.Before(least) {
			t = least
		}
	}
	if len(p.past) == p.most {
		if least := p.past[0].Add(p.window); t.Before(least) {
			t = least
		}
		p.past = append(p.past[:0], p.past[1:]...)
	}
	p.past = append(p.past, t)
	return t
}

// start returns when a request may go now. Subtle: between that and its first byte it may
// be held up for any time, so that it counts as going now until it is known when it went.
func (p *probePace) start(ctx context.Context) (*paced, error) {
	for {
		s, wait := p.try(time.Now())
		if s != nil {
			return s, ctx.Err()
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

// try is start for an instant: how long to wait where it may not go yet.
func (p *probePace) try(now time.Time) (s *paced, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept, soonest := p.going[:0], 2*time.Millisecond
	for _, g := range p.going {
		if g.at.IsZero() {
			kept = append(kept, g)
		} else if left := p.window - now.Sub(g.at); left >= 0 {
			kept = append(kept, g)
			soonest = min(soonest, left+time.Microsecond)
		}
	}
	clear(p.going[len(kept):])
	p.going = kept
	if len(kept) >= p.most {
		return nil, soonest
	}
	s = &paced{}
	p.going = append(p.going, s)
	return s, 0
}

// sent notes when a request went.
func (p *probePace) sent(s *paced, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.at = at
}

// end notes that a request has ended that went at an instant; zero: it never left.
func (p *probePace) end(s *paced, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.at = at; at.IsZero() {
		s.at = time.Unix(0, 0) // long ago
	}
}
