package load

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// dist is a histogram that many users record into at once: counters by
// hist.Index, in blocks that are allocated when first touched. The zero value
// is ready.
//
// The sum has 64 bits: it holds for one tick, 584 years of waiting time.
type dist struct {
	sum    atomic.Uint64
	last   peak // of the values
	first  peak // of their distance from the largest value
	blocks [hist.NumBuckets / hist.SubBuckets]atomic.Pointer[distBlock]
}

type distBlock [hist.SubBuckets]atomic.Uint32

func (d *dist) add(v time.Duration) {
	v = max(v, 0)
	i := hist.Index(v)
	b := d.blocks[i/hist.SubBuckets].Load()
	if b == nil {
		b = d.grow(i / hist.SubBuckets)
	}
	b[i%hist.SubBuckets].Add(1)
	d.sum.Add(uint64(v))
	d.last.raise(v)
	d.first.raise(math.MaxInt64 - 1 - v)
}

func (d *dist) grow(k int) *distBlock {
	d.blocks[k].CompareAndSwap(nil, new(distBlock))
	return d.blocks[k].Load()
}

// drain moves everything into h, which may be nil, and returns h, allocated
// when there was something to move. No user may be recording.
func (d *dist) drain(h *hist.Hist) *hist.Hist {
	hi, ok := d.last.take()
	if !ok {
		return h
	}
	lo, _ := d.first.take()
	lo = math.MaxInt64 - 1 - lo
	if h == nil {
		h = new(hist.Hist)
	}
	for k := hist.Index(lo) / hist.SubBuckets; k <= hist.Index(hi)/hist.SubBuckets; k++ {
		b := d.blocks[k].Load()
		if b == nil {
			continue
		}
		for i := range b {
			if n := b[i].Load(); n != 0 {
				b[i].Store(0)
				h.AddBucket(k*hist.SubBuckets+i, uint64(n))
			}
		}
	}
	h.AddExact(lo, hi, 0, d.sum.Swap(0))
	return h
}

// peak keeps the largest of the durations ≥ 0 it is given. The zero value has none.
type peak struct{ v atomic.Int64 } // plus one

func (p *peak) raise(d time.Duration) {
	v := int64(d) + 1
	for {
		old := p.v.Load()
		if v <= old || p.v.CompareAndSwap(old, v) {
			return
		}
	}
}

func (p *peak) take() (d time.Duration, ok bool) {
	v := p.v.Load()
	if v == 0 {
		return 0, false
	}
	p.v.Store(0)
	return time.Duration(v - 1), true
}

// span keeps the earliest and the latest of the instants it is given.
type span struct{ first, last peak }

func (s *span) add(at time.Duration) {
	at = max(at, 0)
	s.last.raise(at)
	s.first.raise(math.MaxInt64 - 1 - at)
}

func (s *span) take() (first, last time.Duration, ok bool) {
	last, ok = s.last.take()
	first, _ = s.first.take()
	return math.MaxInt64 - 1 - first, last, ok
}

// cell counts the hits of one name that ended alike in one tick.
type cell struct {
	response dist
	service  dist
	sent     span
	bytesIn  atomic.Int64
	bytesOut atomic.Int64
	codes    codes
}

// add counts one hit. The caller has entered the shard.
func (c *cell) add(h *pending, a *hit.Answer) {
	c.response.add(h.done - h.intended)
	c.service.add(h.done - h.sent)
	c.sent.add(h.sent)
	c.bytesIn.Add(a.BytesIn)
	c.bytesOut.Add(a.BytesOut)
	c.codes.add(a.Status)
}

// drain moves everything into row. No user may be recording.
func (c *cell) drain(row *tally.Series) {
	first, last, ok := c.sent.take()
	if !ok {
		return
	}
	if row.Response == nil || first < row.First {
		row.First = first
	}
	row.Last = max(row.Last, last)
	row.Response = c.response.drain(row.Response)
	row.Service = c.service.drain(row.Service)
	row.Count = int64(row.Response.Count())
	row.BytesIn += c.bytesIn.Swap(0)
	row.BytesOut += c.bytesOut.Swap(0)
	row.Codes = c.codes.drain(row.Codes)
}

// codes counts answers by status: the first few in slots that they claim, the
// rest in a table that most runs never need.
type codes struct {
	slots [4]struct {
		status atomic.Int32 // plus one; 0: free
		n      atomic.Uint32
	}
	rest atomic.Pointer[[1000]atomic.Uint32]
}

func (c *codes) add(status int) {
	status = min(max(status, 0), 999)
	want := int32(status) + 1
	for i := range c.slots {
		s := &c.slots[i]
		has := s.status.Load()
		if has == 0 && !s.status.CompareAndSwap(0, want) {
			has = s.status.Load()
		}
		if has == 0 || has == want {
			s.n.Add(1)
			return
		}
	}
	if c.rest.Load() == nil {
		c.rest.CompareAndSwap(nil, new([1000]atomic.Uint32))
	}
	c.rest.Load()[status].Add(1)
}

func (c *codes) drain(to []tally.Code) []tally.Code {
	for i := range c.slots {
		s := &c.slots[i]
		if n := s.n.Swap(0); n != 0 {
			to = addCode(to, int(s.status.Load())-1, int64(n))
		}
		s.status.Store(0)
	}
	if t := c.rest.Load(); t != nil {
		for status := range t {
			if n := t[status].Swap(0); n != 0 {
				to = addCode(to, status, int64(n))
			}
		}
	}
	return to
}

// addCode adds n to the entry of status, keeping the order.
func addCode(to []tally.Code, status int, n int64) []tally.Code {
	i := 0
	for i < len(to) && to[i].Status < status {
		i++
	}
	if i < len(to) && to[i].Status == status {
		to[i].Count += n
		return to
	}
	to = append(to, tally.Code{})
	copy(to[i+1:], to[i:])
	to[i] = tally.Code{Status: status, Count: n}
	return to
}
