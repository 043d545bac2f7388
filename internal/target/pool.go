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
	if st.over() {
		return noneFree(st.limit, cap(p.turns))
	}
	begun := time.Now()
	var late <-chan time.Time
	if !st.due.IsZero() {
		timer := time.NewTimer(st.due.Sub(st.now))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case p.turns <- struct{}{}:
		st.now = time.Now()
		st.held += st.now.Sub(begun)
		return nil
	case <-ctx.Done():
		return interrupted()
	case <-late:
		return noneFree(st.limit, cap(p.turns))
	}
}

// noneFree says that the time-out went by in waiting for others.
func noneFree(limit time.Duration, most int) *fault {
	if most == 0 {
		return faultf(hit.ConnectTimeout, "no shared connection was free within %v", limit)
	}
	return faultf(hit.ConnectTimeout, "no shared connection was free within %v (--max-shared %d)", limit, most)
}

// over tells whether the time-out has passed, at the last look at the clock.
func (st *sending) over() bool { return !st.due.IsZero() && !st.now.Before(st.due) }

// blame corrects a fault for which the time was short only because most of it
// had gone by in waiting for a shared connection.
func (st *sending) blame(f *fault, most int) *fault {
	switch {
	case f.why == hit.ConnectRefused, f.why == hit.ConnectFailed:
		return f
	case st.limit <= 0 || st.held <= st.limit/2 || !st.over() && time.Now().Before(st.due):
		return f
	case f.why == hit.AnswerTimeout && most > 0:
		return faultf(f.why, "no complete answer within %v, of which most was spent waiting for a free shared connection (--max-shared %d)", st.limit, most)
	case f.why == hit.AnswerTimeout:
		return faultf(f.why, "no complete answer within %v, of which most was spent waiting for a shared connection", st.limit)
	}
	return noneFree(st.limit, most)
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
