package target

import (
	"context"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// pool keeps the idle connections to one origin that users share. Safe for
// concurrent use.
type pool struct {
	turns chan struct{} // one for each connection in use; nil: no bound

	mu     sync.Mutex
	free   []*conn // the last one given back is taken first
	closed bool
}

func newPool(most int) *pool {
	p := &pool{}
	if most > 0 {
		p.turns = make(chan struct{}, most)
	}
	return p
}

// take returns an idle connection, or nil and the right to open one. Either way
// the caller must put a connection back or leave. It waits while as many as
// allowed are in use.
//
// Subtle: a turn is held per connection in use, not per connection open. A new
// one is opened only when none is free, so no more are ever open than were in
// use at once.
func (p *pool) take(ctx context.Context, st *sending, maxIdle time.Duration) (*conn, *fault) {
	if f := p.enter(ctx, st); f != nil {
		return nil, f
	}
	for {
		p.mu.Lock()
		n := len(p.free)
		if n == 0 {
			p.mu.Unlock()
			return nil, nil
		}
		k := p.free[n-1]
		p.free[n-1] = nil
		p.free = p.free[:n-1]
		p.mu.Unlock()
		if k.reusable(st.now, maxIdle) {
			return k, nil
		}
		k.close(true)
	}
}

func (p *pool) enter(ctx context.Context, st *sending) *fault {
	if p.turns == nil {
		return nil
	}
	select {
	case p.turns <- struct{}{}:
		return nil
	default:
	}
	var late <-chan time.Time
	if !st.due.IsZero() {
		timer := time.NewTimer(st.due.Sub(st.now))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case p.turns <- struct{}{}:
		st.now = time.Now()
		return nil
	case <-ctx.Done():
		return interrupted()
	case <-late:
		return noneFree(cap(p.turns))
	}
}

func noneFree(most int) *fault {
	return faultf(hit.ConnectTimeout, "all %d shared connections were in use until the time-out: allow more of them", most)
}

// leave gives a turn back without a connection.
func (p *pool) leave() {
	if p.turns != nil {
		<-p.turns
	}
}

func (p *pool) put(k *conn) {
	p.mu.Lock()
	if closed := p.closed; closed {
		p.mu.Unlock()
		k.close(true)
	} else {
		p.free = append(p.free, k)
		p.mu.Unlock()
	}
	p.leave()
}

// close closes the idle connections, and those in use when they come back.
func (p *pool) close() {
	p.mu.Lock()
	free := p.free
	p.free, p.closed = nil, true
	p.mu.Unlock()
	for _, k := range free {
		k.close(true)
	}
}
