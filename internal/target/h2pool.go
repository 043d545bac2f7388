package target

import (
	"context"
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
func (p *h2pool) take(ctx context.Context, st *sending, insist bool, open func() (*h2link, *fault)) (*h2link, *fault) {
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
				p.mu.Unlock()
				return link, nil
			}
		}
		if insist || !p.opening && (p.most == 0 || len(p.links) < p.most) {
			if !insist {
				p.opening = true
			}
			p.mu.Unlock()
			return p.add(open, insist)
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, interrupted()
		case <-late:
			return nil, noneFree(p.most)
		}
	}
}

// reserve finds a connection with a stream to spare. Dead ones are forgotten.
func (p *h2pool) reserve() *h2link {
	live := p.links[:0]
	var found *h2link
	for _, l := range p.links {
		if l.cc.Err() != nil {
			l.close()
			continue
		}
		live = append(live, l)
		if found == nil && l.cc.Available() > 0 && l.cc.Reserve() == nil {
			found = l
		}
	}
	clear(p.links[len(live):])
	p.links = live
	return found
}

func (p *h2pool) add(open func() (*h2link, *fault), insisted bool) (*h2link, *fault) {
	link, f := open()
	if f == nil && link.cc.Reserve() != nil {
		link.close()
		link, f = nil, &fault{hit.ClosedEarly, "the server closed the HTTP/2 connection as it was opened"}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !insisted {
		p.opening = false
	}
	if f == nil && !p.closed {
		p.links = append(p.links, link)
	}
	p.signal()
	return link, f
}

func (p *h2pool) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// put says that a stream is over.
func (p *h2pool) put(link *h2link, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	link.used = link.used || answered
	if p.closed {
		link.close()
	}
	p.signal()
}

func (p *h2pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.close()
	}
	p.links, p.closed = nil, true
}
