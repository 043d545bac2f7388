package load

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// collectDelay is how long after its end a tick is closed, so that users can
// record what was done in its last moments.
const collectDelay = 20 * time.Millisecond

// collector empties the recorder into ticks.
type collector struct {
	e        *Engine
	index    int64 // of the tick to collect next
	due      int64 // arrivals counted so far
	users    int   // alive at the end of the tick
	inFlight int64 // reached the wire and not answered, up to the end of the latest tick
	elapsed  time.Duration
	last     bool // the tick being collected is the last one
}

// run sends ticks to out until the run is over, which is told with how long it took.
func (c *collector) run(over <-chan time.Duration, out chan<- *tally.Tick) {
	defer close(out)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		end := time.Duration(c.index+1) * tickLength
		if !c.wait(timer, end, over) {
			break
		}
		c.users, _, _ = c.e.crew.count()
		if !c.wait(timer, end+collectDelay, over) {
			break
		}
		if late := c.e.since() - end; late > tickLength {
			c.e.log.add(tally.Event{At: c.e.since(), Kind: "warning",
				Text: fmt.Sprintf("The generator stood still for %v: its figures of that time are not to be trusted.", late.Round(time.Millisecond))})
		}
		out <- c.collect(tickLength, 1)
	}
	c.flush(out)
}

// wait waits until that instant. It reports false when the run is over before.
func (c *collector) wait(timer *time.Timer, until time.Duration, over <-chan time.Duration) bool {
	timer.Reset(until - c.e.since())
	select {
	case c.elapsed = <-over:
		return false
	case <-timer.C:
		return true
	}
}

// flush collects what is left after the run.
func (c *collector) flush(out chan<- *tally.Tick) {
	rest := c.elapsed - time.Duration(c.index)*tickLength
	for ; rest >= tickLength+tally.BinWidth; rest -= tickLength {
		out <- c.collect(tickLength, 1)
	}
	// A run of 60 s should not end with a tick of a few microseconds because the
	// last answer took that long: such a rest is added to the tick before. If
	// that is gone already, the last tick has no length and only stragglers.
	first := c.index == 0
	c.last = true
	alive, atEnd, _ := c.e.crew.count()
	c.users = alive
	if c.e.stoppedAt() >= time.Duration(c.index)*tickLength {
		c.users = atEnd // everybody has left by now, which says nothing about the load
	}
	t := c.collect(max(rest, 0), 2)
	if rest > 0 || first || !empty(t) {
		out <- t
	}
}

func empty(t *tally.Tick) bool {
	return len(t.Series)+len(t.Errors)+len(t.Events)+len(t.Sends) == 0 && t.Due == 0
}

// collect makes a tick of that length of the next pages.
func (c *collector) collect(length time.Duration, pages int) *tally.Tick {
	e := c.e
	b := builder{e: e, rows: make(map[int]*tally.Series)}
	t := &b.tick
	t.Index = int(c.index)
	t.Start = time.Duration(c.index) * tickLength
	t.Length = length
	var ticks []int64
	for range pages {
		e.rec.turn()
		for _, sh := range e.rec.shards {
			b.add(sh.page(c.index))
		}
		b.sends = append(b.sends, b.bins[:]...)
		b.bins = [binsPerTick]uint32{}
		ticks = append(ticks, c.index)
		c.index++
	}
	t.Errors = e.failures.drain(ticks...)
	b.finish()

	end := t.Start + length
	for _, n := range t.Sends {
		c.inFlight += int64(n)
	}
	c.inFlight -= int64(t.SendLag.Count()) + b.resent
	t.InFlight = int(max(c.inFlight, 0))
	t.Users = c.users
	due := int64(0)
	for _, p := range e.parts {
		o, ok := p.model.(*open)
		switch {
		case !ok:
		case c.last:
			due += o.dueInAll()
		default:
			due += o.dueBy(end)
		}
	}
	t.Due = max(due-c.due, 0)
	c.due += t.Due
	t.Warm = t.Start < e.warm
	if c.last {
		end = time.Duration(1<<63 - 1)
	}
	e.told.busy.Store(c.inFlight)
	t.Limits = e.told.drain(e.names, t.Start+length)
	t.Events = e.log.take(end)
	if e.plan.Health != nil {
		t.Health = e.plan.Health()
	}
	return t
}

// builder makes one tick of several pages.
type builder struct {
	e      *Engine
	tick   tally.Tick
	rows   map[int]*tally.Series // by name × outcomes + outcome
	bins   [binsPerTick]uint32
	sends  []uint32
	resent int64
	missed tally.Series
}

// add moves the contents of a page into the tick. Nobody may be recording there.
func (b *builder) add(p *page) {
	for i := range p.cells {
		if c := p.cells[i].Load(); c != nil {
			row := b.rows[i]
			if row == nil {
				row = new(tally.Series)
				b.rows[i] = row
			}
			c.drain(row)
		}
	}
	for i := range p.sends {
		if n := p.sends[i].Load(); n != 0 {
			p.sends[i].Store(0)
			b.bins[i] += n
		}
	}
	t := &b.tick
	t.SendLag = p.sendLag.drain(t.SendLag)
	t.WakeLag = p.wakeLag.drain(t.WakeLag)
	t.Connect = p.connect.drain(t.Connect)
	t.Retried += p.retried.Swap(0)
	b.resent += p.resent.Swap(0)
	if n := p.missed.Swap(0); n != 0 {
		first, last, _ := p.gaveUp.take()
		if b.missed.Count == 0 {
			b.missed.First = first
		}
		b.missed.Count += n
		b.missed.Last = last
	}
}

func (b *builder) finish() {
	t := &b.tick
	for i, row := range b.rows {
		if row.Count == 0 {
			continue
		}
		who := b.e.names.label(i / outcomes)
		row.Method, row.Name, row.Outcome = who.method, who.name, hit.Outcome(i%outcomes)
		t.Series = append(t.Series, *row)
	}
	if b.missed.Count > 0 {
		b.missed.Method, b.missed.Name, b.missed.Outcome = b.e.missedAs.method, b.e.missedAs.name, hit.Missed
		t.Series = append(t.Series, b.missed)
	}
	slices.SortFunc(t.Series, func(a, b tally.Series) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Outcome, b.Outcome))
	})
	n := len(b.sends)
	for n > 0 && b.sends[n-1] == 0 {
		n--
	}
	if n > 0 {
		t.Sends = b.sends[:n]
	}
}
