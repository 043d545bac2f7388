package target

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// h2pool is the HTTP/2 connections to one origin that users share. A connection
// is filled with as many streams as the server allows before another is opened.
// Safe for concurrent use.
type h2pool struct {
	most   int         // 0: no bound
	chosen atomic.Bool // ALPN has chosen HTTP/2 for this origin

	mu      sync.Mutex
	links   []*h2link
	opening bool
	closed  bool
	changed chan struct{} // closed when it is worth looking again
}

func newH2Pool(most int) *h2pool { return &h2pool{most: most, changed: make(chan struct{})} }

// take reserves a stream, opening a connection with open when none has room and
// nobody else is opening one. insist opens at once.
func (p *h2pool) take(ctx context.Context, st *sending, insist bool, open func() (*h2link, *fault)) (link *h2link, used bool, f *fault) {
	var late <-chan time.Time
	if !st.due.IsZero() {
		timer := time.NewTimer(time.Until(st.due))
		defer timer.Stop()
		late = timer.C
	}
	for {
		p.mu.Lock()
		if !insist {
			if link := p.reserve(); link != nil {
				used := link.used
				p.mu.Unlock()
				return link, used, nil
			}
		}
		if insist || !p.opening && !p.settling() && (p.most == 0 || len(p.links) < p.most) {
			if !insist {
				p.opening = true
			}
			p.mu.Unlock()
			link, f := p.add(open, insist)
			return link, false, f
		}
		changed, dialing := p.changed, p.opening && len(p.links) == 0
		p.mu.Unlock()
		begun := time.Now()
		select {
		case <-changed:
			st.held += time.Since(begun)
		case <-ctx.Done():
			return nil, false, interrupted()
		case <-late:
			if dialing {
				return nil, false, faultf(hit.ConnectTimeout, "no shared connection was open within %v: another user was still connecting", st.limit)
			}
			return nil, false, noneFree(st.limit, p.most)
		}
	}
}

// reserve finds a connection with a stream to spare. Dead ones are forgotten.
//
// Subtle: net/http has reservations of its own, but once more are made than the
// server turns out to allow, none of them is ever served. So streams are
// counted here, and those over the server's limit wait inside net/http.
func (p *h2pool) reserve() *h2link {
	live := p.links[:0]
	var found *h2link
	for _, l := range p.links {
		free, busy := l.cc.Available(), l.cc.InFlight()
		if l.dead || l.spent() {
			l.dead = true
			if l.streams == 0 {
				l.close()
			}
			continue
		}
		live = append(live, l)
		limit := free + busy
		if !l.used && limit == unsettled {
			limit = 1
		}
		if found == nil && l.streams < limit {
			found = l
		}
	}
	clear(p.links[len(live):])
	p.links = live
	if found != nil {
		found.streams++
	}
	return found
}

// unsettled is how many streams net/http allows before it knows the server's
// limit. A connection whose limit may not be known gets one request only.
const unsettled = 100

// settling tells whether a connection will have more streams soon.
func (p *h2pool) settling() bool {
	for _, l := range p.links {
		if !l.used && !l.settled.Load() {
			return true
		}
	}
	return false
}

// watch wakes those who wait for a stream when the server's limit is known.
func (p *h2pool) watch(link *h2link) {
	look := func(cc *http.ClientConn) {
		if cc.Available()+cc.InFlight() == unsettled || link.settled.Swap(true) {
			return
		}
		go func() { // the hook may be called while the pool is locked
			p.mu.Lock()
			defer p.mu.Unlock()
			p.signal()
		}()
	}
	link.cc.SetStateHook(look)
	look(link.cc)
}

func (p *h2pool) add(open func() (*h2link, *fault), insisted bool) (*h2link, *fault) {
	link, f := open()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !insisted {
		p.opening = false
	}
	if f == nil {
		link.streams = 1
		link.dead = p.closed
		p.links = append(p.links, link)
		p.watch(link)
	}
	p.signal()
	return link, f
}

func (p *h2pool) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// put says that a stream is over. broken says that its connection is of no more use.
func (p *h2pool) put(link *h2link, answered, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	link.used = link.used || answered
	link.dead = link.dead || broken || p.closed
	if link.streams--; link.streams == 0 && link.dead {
		link.close()
	}
	p.signal()
}

func (p *h2pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.dead = true
		l.close()
	}
	p.links, p.closed = nil, true
}
