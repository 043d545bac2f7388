package forecast

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/limit"
)

// Options are how a model is played. The zero value plays it to the end.
type Options struct {
	StopAtRefusal bool // end with the first refusal: enough to know that something does not fit

	// Progress, when not nil, is called about ten times a second of computing with
	// how far the virtual clock has come.
	Progress func(at time.Duration)
}

// Run plays the model. The error is that of Validate.
func Run(m *Model, o Options) (*Result, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlay(m, o)
	if err != nil {
		return nil, err
	}
	p.run()
	return p.finish(), nil
}

// play is a model being played.
//
// Nearly all calls of nearly all flows are made on time, so each call of a flow is
// a stream of its own: the arrivals, moved by a constant. Only what was refused,
// delayed or holds a slot goes through the heap.
type play struct {
	m       *Model
	o       Options
	rng     *rand.Rand
	limits  []*keeper
	work    []*work
	streams []*stream
	queues  []*queue // of each flow
	late    lateHeap
	order   int64
	res     *Result
	ended   bool
	now     time.Duration

	nextColumn time.Duration
	column     int
}

// stream is one call of a flow, of all instances that are on time.
type stream struct {
	flow, call int
	offset     time.Duration // from the arrival
	n          int64         // the next instance
	at         time.Duration
	open       bool
}

// late is a call of an instance that is not on time, or the end of one that holds a slot.
type late struct {
	at         time.Duration
	order      int64 // what was planned earlier comes earlier
	flow, call int
	n          int64
	attempt    int           // attempts behind it
	arrived    time.Duration // of the instance
	release    bool          // give back what the call holds
}

type lateHeap []late

func (h lateHeap) Len() int { return len(h) }
func (h lateHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	if h[i].release != h[j].release {
		return h[i].release
	}
	return h[i].order < h[j].order
}
func (h lateHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *lateHeap) Push(x any)   { *h = append(*h, x.(late)) }
func (h *lateHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func newPlay(m *Model, o Options) (*play, error) {
	p := &play{m: m, o: o, rng: rand.New(rand.NewPCG(m.Seed, 0x77656972))}
	width := m.Column
	if width <= 0 {
		width = max(time.Second, m.For/100)
	}
	columns := int((m.For + width - 1) / width)
	p.res = &Result{Column: width, Ended: m.For}
	p.nextColumn = width
	for _, l := range m.Limits {
		k := &keeper{spec: l, start: m.Start, until: -1}
		k.res = LimitResult{First: -1, Last: -1, BlocksOut: -1, Least: l.Capacity(), Columns: make([]LimitColumn, columns)}
		for i := range k.res.Columns {
			k.res.Columns[i].Remaining = l.Capacity()
		}
		p.limits = append(p.limits, k)
	}
	for i, f := range m.Flows {
		p.res.Flows = append(p.res.Flows, FlowResult{First: -1, Columns: make([]FlowColumn, columns), Calls: make([]CallResult, len(f.Calls))})
		p.work = append(p.work, newWork(f))
		p.queues = append(p.queues, &queue{from: f.Arrivals, end: m.For, keep: len(f.Calls) > 1})
		var offset time.Duration
		for j, c := range f.Calls {
			offset += c.After
			s := &stream{flow: i, call: j, offset: offset, n: -1}
			s.next(p.queues[i], false)
			p.streams = append(p.streams, s)
			offset += c.Lasts
		}
	}
	return p, nil
}

// next goes to the next instance. last: no other stream of the flow is behind it.
func (s *stream) next(q *queue, last bool) {
	if last {
		q.drop()
	}
	s.n++
	s.at, s.open = q.due(s.n)
	s.at += s.offset
}

// queue has the arrivals of a flow that some of its streams have yet to make, so
// that each is computed once.
type queue struct {
	from  pace.Pacer
	end   time.Duration
	keep  bool  // more than one stream reads it
	first int64 // the instance at head
	at    []time.Duration
	head  int
	over  bool // there are no more
}

func (q *queue) due(n int64) (at time.Duration, ok bool) {
	if !q.keep {
		at, ok = q.from.Due(n)
		return at, ok && at < q.end
	}
	for q.first+int64(len(q.at)-q.head) <= n {
		if q.over {
			return 0, false
		}
		at, ok = q.from.Due(q.first + int64(len(q.at)-q.head))
		if !ok || at >= q.end {
			q.over = true
			return 0, false
		}
		q.at = append(q.at, at)
	}
	return q.at[q.head+int(n-q.first)], true
}

// drop forgets the oldest.
func (q *queue) drop() {
	if !q.keep {
		return
	}
	q.first++
	if q.head++; q.head > 1024 && q.head*2 > len(q.at) {
		q.at = q.at[:copy(q.at, q.at[q.head:])]
		q.head = 0
	}
}

func (p *play) run() {
	ticks := 0
	last := time.Now()
	for !p.ended {
		s := p.first()
		onTime := s != nil && (len(p.late) == 0 || s.at < p.late[0].at)
		switch {
		case onTime:
			p.now = s.at
		case len(p.late) > 0:
			p.now = p.late[0].at
		default:
			return
		}
		if p.now >= p.m.For {
			return
		}
		for p.now >= p.nextColumn {
			p.closeColumn()
		}
		if onTime {
			p.arrive(s)
		} else {
			p.resume(heap.Pop(&p.late).(late))
		}
		if ticks++; ticks&0xffff == 0 && p.o.Progress != nil && time.Since(last) > 100*time.Millisecond {
			last = time.Now()
			p.o.Progress(p.now)
		}
	}
}

// first is the stream whose next call is due first; of equals of one flow that of
// the earlier instance, and of one instance the earlier call.
func (p *play) first() *stream {
	var best *stream
	for _, s := range p.streams {
		if s.open && (best == nil || s.at < best.at || s.at == best.at && s.flow == best.flow && s.n < best.n) {
			best = s
		}
	}
	return best
}

// arrive makes a call that is on time.
func (p *play) arrive(s *stream) {
	f := &p.res.Flows[s.flow]
	n, at := s.n, s.at
	if s.call == 0 {
		f.Arrived++
		f.Columns[p.column].Arrived++
	}
	s.next(p.queues[s.flow], s.call == len(f.Calls)-1)
	if p.work[s.flow].left(n, s.call == len(f.Calls)-1) {
		return
	}
	p.make(late{at: at, flow: s.flow, call: s.call, n: n, arrived: at - s.offset}, true)
}

// resume goes on with what is late.
func (p *play) resume(l late) {
	if l.release {
		p.giveBack(l)
		return
	}
	p.make(l, false)
}

// make makes one call. onTime: the instance is still in the streams.
func (p *play) make(l late, onTime bool) {
	flow := &p.m.Flows[l.flow]
	call := &flow.Calls[l.call]
	f := &p.res.Flows[l.flow]
	var d limit.Decision
	var by int
	cached := p.work[l.flow].cached(call, l.call, l.n, p.now)
	if cached {
		f.Cached++
		d.Allowed = true
	} else {
		f.Sent++
		f.Columns[p.column].Sent++
		f.Calls[l.call].Sent++
		d, by = p.ask(l.flow, l.call, l.n)
	}
	if !d.Allowed {
		f.Refused++
		f.Columns[p.column].Refused++
		f.Calls[l.call].Refused++
		if f.First < 0 {
			f.First = p.now
		}
		if p.o.StopAtRefusal {
			p.ended, p.res.Ended = true, p.now
			return
		}
		told := time.Duration(-1)
		if !p.m.Limits[by].Silent && d.RetryAfter >= 0 && d.RetryAfter != limit.Never {
			told = (d.RetryAfter + time.Second - 1).Truncate(time.Second)
		}
		p.leave(&l, onTime)
		wait, again := p.m.Retry.Wait(l.attempt+1, told, p.rng.Float64())
		if !again {
			f.GaveUp++
			f.Columns[p.column].GaveUp++
			return
		}
		l.attempt++
		p.push(l, p.now+wait)
		return
	}
	lasts := call.Lasts + d.Delay
	if cached {
		lasts = 0
	} else {
		p.hold(l, lasts)
		p.work[l.flow].fetch(call, l.call, l.n, p.now+lasts)
	}
	done := p.now + lasts
	if lasts != call.Lasts {
		p.leave(&l, onTime)
		onTime = false
	}
	if l.call == len(flow.Calls)-1 {
		if done >= p.m.For {
			return // unfinished
		}
		f.Done++
		f.Columns[min(len(f.Columns)-1, int(done/p.res.Column))].Done++
		f.Took.Record(done - l.arrived)
		return
	}
	if onTime {
		return // its next call is in the next stream
	}
	l.call++
	l.attempt = 0
	p.push(l, done+flow.Calls[l.call].After)
}

func (p *play) push(l late, at time.Duration) {
	l.at = at
	if at < p.m.For {
		p.order++
		l.order = p.order
		heap.Push(&p.late, l)
	}
}

// leave takes an instance out of the streams: it is not on time any more.
func (p *play) leave(l *late, onTime bool) {
	if onTime && l.call < len(p.m.Flows[l.flow].Calls)-1 {
		p.work[l.flow].gone[l.n] = struct{}{}
	}
}

// finish adds up what is left to add up.
func (p *play) finish() *Result {
	if !p.ended {
		for p.column < len(p.res.Flows[0].Columns)-1 {
			p.closeColumn()
		}
		p.sample(p.m.For)
	}
	for i := range p.res.Flows {
		f := &p.res.Flows[i]
		f.Unfinished = f.Arrived - f.Done - f.GaveUp
	}
	for _, k := range p.limits {
		for _, c := range k.res.Columns {
			if c.Refused > 0 {
				k.res.Dry += p.res.Column
			}
		}
		p.res.Limits = append(p.res.Limits, k.res)
	}
	return p.res
}

func (p *play) closeColumn() {
	p.sample(p.nextColumn)
	p.nextColumn += p.res.Column
	p.column = min(p.column+1, len(p.res.Flows[0].Columns)-1)
}

// sample looks at what is left of each limit.
func (p *play) sample(at time.Duration) {
	for _, k := range p.limits {
		c := &k.res.Columns[p.column]
		c.Remaining = min(c.Remaining, k.look(at))
	}
}
