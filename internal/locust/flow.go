package locust

import (
	"context"
	"sync"

	"github.com/weir-dev/weir/internal/hit"
)

// flow is the body of an answer that the script reads while it comes (stream=True).
// The lane that sends fills it; the channel's reader empties it and may end it.
type flow struct {
	c    *child
	id   uint32
	user uint32
	head func(ans *hit.Answer) // tells the script that the answer has begun

	ctx context.Context // of the sending; nil before it

	mu     sync.Mutex
	moved  *sync.Cond // something was taken, or nobody wants the rest
	abort  func()     // breaks the answer off; nil when there is nothing to break
	told   bool       // the script knows of the answer
	gone   bool       // the script wants no more
	mute   bool       // the run ends
	over   bool       // nothing more will come
	wrong  string     // why, when the body is not complete
	buf    []byte     // what has come and was not taken
	cuts   []int      // where the server's chunks end, in buf
	first  int        // of cuts, that is still to come
	base   int        // what buf[0] is the offset of, in terms of cuts
	asked  bool       // the script waits
	wanted uint32     // for so many bytes: 0 a chunk, everything all that can be had
}

const (
	// aheadOf is how much of a body may wait for the script: beyond it the server
	// has to wait, too.
	aheadOf    = 1 << 20
	everything = 1<<32 - 1
)

func newFlow(c *child, m *message, head func(*hit.Answer)) *flow {
	f := &flow{c: c, id: m.id, user: m.user, head: head}
	f.moved = sync.NewCond(&f.mu)
	return f
}

// Head is of target.Pieces. The body of a refusal or of an error is short, and read
// as usual: it may be retried, and be looked at.
func (f *flow) Head(ans *hit.Answer, abort func()) bool {
	if ans.Status >= 400 || ans.Status == 101 {
		return false
	}
	f.mu.Lock()
	if f.told {
		f.mu.Unlock()
		return false
	}
	f.told, f.abort = true, abort
	f.mu.Unlock()
	f.c.flows.put(f)
	f.head(ans)
	return true
}

// Piece is of target.Pieces.
func (f *flow) Piece(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.buf) >= aheadOf && !f.gone {
		f.moved.Wait()
	}
	if f.gone {
		return
	}
	f.buf = append(f.buf, b...)
	f.answer()
}

// Cut is of target.Pieces.
func (f *flow) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return
	}
	if end := f.base + len(f.buf); end > f.base || len(f.cuts) > f.first {
		f.cuts = append(f.cuts, end)
	}
	f.answer()
}

// End is of target.Pieces.
func (f *flow) End() (aborted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.abort = nil
	return f.gone || f.ctx != nil && f.ctx.Err() != nil // either of two may see first that the run has ended
}

// finish says that nothing more will come.
func (f *flow) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.answer()
}

// broke notes that the body is not complete.
func (f *flow) broke(why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong = why
}

// began reports whether the script knows of the answer.
func (f *flow) began() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told
}

// leave says that the script wants no more of it.
func (f *flow) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
	f.buf, f.cuts = nil, nil
	if f.abort != nil {
		f.abort()
		f.abort = nil
	}
	f.answer()
	f.moved.Broadcast()
}

// until makes the end of ctx end the flow: what was read up to then was the answer. The caller calls stop when it no longer
// matters. A script that waits is not answered: its users are about to be ended.
func (f *flow) until(ctx context.Context) (stop func() bool) {
	f.ctx = ctx
	return context.AfterFunc(ctx, func() {
		f.mu.Lock()
		f.mute = true
		f.mu.Unlock()
		f.leave()
	})
}

// ask takes that the script wants n bytes: 0 is a chunk.
func (f *flow) ask(n uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.wanted = true, n
	f.answer()
}

// answer gives the script what it waits for, if that can be had: as urllib3 does,
// which is behind requests. Of a body in chunks it is a chunk, or so many bytes of
// one; of another so many bytes, or all. The caller holds mu.
func (f *flow) answer() {
	if !f.asked || f.mute {
		return
	}
	n := 0
	switch end, cut := f.chunk(); {
	case f.gone:
		f.reply(2, []byte("the body is no longer kept"))
		return
	case f.wanted == everything:
		if !f.over && len(f.buf) < aheadOf/2 {
			return
		}
		n = len(f.buf)
	case cut && (f.wanted == 0 || uint32(end) <= f.wanted):
		n = end
	case f.wanted != 0 && uint64(len(f.buf)) >= uint64(f.wanted):
		n = int(f.wanted)
	case f.over || len(f.buf) >= aheadOf:
		n = len(f.buf)
	default:
		return
	}
	if n == 0 && f.over {
		if f.wrong != "" {
			f.reply(2, []byte(f.wrong))
		} else {
			f.reply(1, nil)
		}
		return
	}
	f.reply(0, f.buf[:n])
	f.drop(n)
}

// chunk returns where the chunk ends that buf begins with, if that has come.
func (f *flow) chunk() (end int, ok bool) {
	for f.first < len(f.cuts) && f.cuts[f.first] <= f.base {
		f.first++
	}
	if f.first < len(f.cuts) {
		return f.cuts[f.first] - f.base, true
	}
	return 0, false
}

// drop forgets the first n bytes.
func (f *flow) drop(n int) {
	f.buf = f.buf[:copy(f.buf, f.buf[n:])]
	f.base += n
	if f.chunk(); f.first > 64 && 2*f.first > len(f.cuts) {
		f.cuts = f.cuts[:copy(f.cuts, f.cuts[f.first:])]
		f.first = 0
	}
	f.moved.Broadcast()
}

func (f *flow) reply(state byte, b []byte) {
	f.asked = false
	f.c.out.end(append(append(f.c.out.begin(kindText, f.id), state), b...))
}

// flows are those that the script may still read. Safe for concurrent use.
type flows struct {
	mu   sync.Mutex
	byID map[uint32]*flow
}

func (s *flows) put(f *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[uint32]*flow{}
	}
	s.byID[f.id] = f
}

func (s *flows) get(id uint32) *flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// leave ends those that match.
func (s *flows) leave(match func(*flow) bool) {
	s.mu.Lock()
	var out []*flow
	for id, f := range s.byID {
		if match(f) {
			out = append(out, f)
			delete(s.byID, id)
		}
	}
	s.mu.Unlock()
	for _, f := range out {
		f.leave()
	}
}

// end ends one.
func (s *flows) end(id uint32) {
	s.mu.Lock()
	f := s.byID[id]
	delete(s.byID, id)
	s.mu.Unlock()
	if f != nil {
		f.leave()
	}
}
