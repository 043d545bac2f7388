package verify

import (
	"math"
	"time"

	"github.com/weir-dev/weir/limit"
)

// presets adds the experiments about one policy.
func (p *planner) presets(a *aim) error {
	if a.l < 1 {
		return nil // nothing is ever admitted; the limit preset of another shows nothing either
	}
	name := called(a.p, a.index)
	rooms, err := p.before(a)
	if err != nil {
		return err
	}
	if len(rooms) > 0 && !queues(&a.p.Policy) && a.p.Algorithm != limit.Concurrency && !a.late {
		p.behind(a, name, rooms)
		return nil
	}
	if a.p.Algorithm == limit.Concurrency {
		for range 2 {
			b := p.begin("concurrency: "+name, a.index)
			k := p.client()
			b.send(a.calls[0], k, a.l, Wait{})
			b.e.Throttled += 3
			b.send(a.calls[0], k, a.l+3, Wait{After: 300 * time.Millisecond})
			b.add("concurrency", 0)
		}
		return nil
	}
	if queues(&a.p.Policy) {
		p.queue(a, name)
		return nil
	}
	p.limit(a, name, "limit", 0, p.together(a, a.l))
	if a.p.Ban > 0 {
		p.ban(a, name)
		p.below(a, name)
		p.keys(a, name)
		p.calls(a, name)
		return nil
	}
	p.window(a, name)
	p.keys(a, name)
	p.calls(a, name)
	p.sustained(a, name)
	p.denied(a, name)
	p.limit(a, name, "recovery", 3, !a.late && a.l > 1 && !p.together(a, a.l))
	return nil
}

// limit takes all that is allowed, and three more.
func (p *planner) limit(a *aim, name, preset string, priority int, at bool) {
	b := p.begin(preset+": "+name, a.index)
	c, k := a.calls[0], p.client()
	w := Wait{}
	if clocked(&a.p.Policy) && time.Duration(a.l)*p.step() > a.p.Window/10 && a.p.Window <= time.Minute {
		w = Wait{From: Head, After: a.p.Window / 20, Window: a.p.Window, Phase: a.p.Phase}
	}
	b.burst(c, k, a.l, at, w)
	b.over(c, k, 3, Wait{})
	b.add(preset, priority)
}

// queue fills a queue: its requests go at once, since each of them waits for its
// turn, and one after the other would never meet another. The rate of a queue is
// in how long they wait.
func (p *planner) queue(a *aim, name string) {
	for i, preset := range []string{"limit", "recovery"} {
		b := p.begin(preset+": "+name, a.index)
		b.e.Throttled += 3
		b.send(a.calls[0], p.client(), a.l+3, Wait{})
		b.e.Takes += rest(a.p.Policy)
		b.add(preset, 3*i)
	}
	if n, fresh := clients(p.o.Vary); n > 1 || fresh {
		b := p.begin("keys: "+name, a.index)
		x, y := p.client(), 1
		if fresh {
			y = p.client()
		}
		b.e.Throttled += 6
		b.send(a.calls[0], x, a.l+3, Wait{})
		b.send(a.calls[0], y, a.l+3, Wait{})
		b.e.Takes += 2 * rest(a.p.Policy)
		b.add("keys", 1)
	}
}

// window looks for the instant at which it opens again.
func (p *planner) window(a *aim, name string) {
	pol := &a.p.Policy
	w := pol.Window
	if w <= 0 {
		return
	}
	trials := 2
	switch {
	case w < 40*p.o.Trip:
		trials = 6
	case w > 30*time.Second:
		trials = 1
	}
	c, k := a.calls[0], p.client()
	at := p.together(a, a.l)
	b := p.begin("window: "+name, a.index)
	switch {
	case clocked(pol):
		head := func(after time.Duration, early float64) Wait {
			return Wait{From: Head, After: after, Early: early, Window: w, Phase: pol.Phase}
		}
		span := time.Duration(a.l+1) * p.step()
		if at {
			span = p.o.Trip
		}
		// Well before the head: a window that the first request opened goes on beyond it.
		b.burst(c, k, a.l, at, head(-min(max(span+4*p.o.Trip, 4*w/10), w/2), 0))
		for i := range trials + 1 {
			b.over(c, k, 1, head(-p.margin(), 1.3))
			b.burst(c, k, a.l, at, head(p.margin(), 0))
			b.over(c, k, 1, Wait{})
			if i == 0 && pol.Algorithm == limit.SlidingWindow {
				b.send(c, k, 1, head(w/3, 0))
				b.send(c, k, 1, head(2*w/3, 0))
			}
		}
		b.e.Takes -= time.Duration(2*trials+1) * w // heads that lie together were counted apart
	case pol.Align == limit.AlignLast:
		b.renewed(a, k, at)
	case pol.Algorithm == limit.FixedWindow || pol.Algorithm == limit.SlidingLog:
		for i := range trials {
			wait := Wait{}
			if i > 0 {
				wait.After = w + p.o.Trip
			}
			first := b.send(c, k, 1, wait)
			b.burst(c, k, a.l-1, at, Wait{From: StepSent, Step: first, After: 3 * w / 10})
			if i%2 == 0 {
				b.over(c, k, 1, Wait{})
				if i == 0 {
					b.over(c, k, 1, Wait{From: StepSent, Step: first, After: 9 * w / 10, Early: 1.2})
				}
				b.over(c, k, 1, Wait{From: StepSent, Step: first, After: w - p.margin(), Early: 1.2})
			}
			b.send(c, k, 1, Wait{From: StepDone, Step: first, After: w + p.margin()})
			b.over(c, k, 1, Wait{})
		}
	default:
		return
	}
	b.add("window", 1)
}

// keys lets two clients use the same requests.
func (p *planner) keys(a *aim, name string) {
	n, fresh := clients(p.o.Vary)
	if n < 2 && !fresh {
		return
	}
	x := p.client()
	y := 1
	if fresh {
		y = p.client()
	}
	b := p.begin("keys: "+name, a.index)
	at := p.together(a, a.l)
	b.burst(a.calls[0], x, a.l, at, Wait{})
	b.over(a.calls[0], x, 1, Wait{})
	b.burst(a.calls[0], y, a.l, at, Wait{})
	b.over(a.calls[0], y, 1, Wait{})
	b.add("keys", 1)
}

// calls alternates between two requests of one policy.
func (p *planner) calls(a *aim, name string) {
	if len(a.calls) < 2 {
		return
	}
	b := p.begin("calls: "+name, a.index)
	k := p.client()
	if p.together(a, a.l+2) {
		b.burst(a.calls[0], k, a.l, true, Wait{})
		b.over(a.calls[1], k, 2, Wait{})
	} else {
		for i := range a.l + 2 {
			b.send(a.calls[i%2], k, 1, Wait{})
		}
		b.e.Throttled += 2
	}
	b.add("calls", 1)
}

// sustained sends a third more than the rate, until an error of a twentieth shows.
func (p *planner) sustained(a *aim, name string) {
	pol := &a.p.Policy
	switch pol.Algorithm {
	case limit.TokenBucket, limit.LeakyBucket, limit.SlidingLog, limit.SlidingWindow, limit.RefillBucket:
	default:
		return
	}
	c, k := a.calls[0], p.client()
	unit := max(1, time.Duration(float64(pol.Window)/float64(pol.Limit)))
	trip := p.o.Trip
	every := max(time.Duration(float64(unit)/1.3), trip+trip/2+p.o.Gap)
	count := max(1, int(math.Round(1.3*float64(every)/float64(unit))))
	if a.late {
		count = 1
	}
	lasts := 25 * (unit + trip)
	if pol.Algorithm != limit.TokenBucket && pol.Algorithm != limit.LeakyBucket {
		lasts = max(5*pol.Window/4, min(lasts, 3*pol.Window))
	}
	steps := min(int(lasts/every)+1, max(4, 200/count))
	b := p.begin("sustained: "+name, a.index)
	b.burst(c, k, a.l, p.together(a, a.l), Wait{})
	first := -1
	for i := range steps {
		w := Wait{After: every}
		if first >= 0 {
			w = Wait{From: StepSent, Step: first, After: time.Duration(i) * every}
		}
		n := b.send(c, k, count, w)
		if first < 0 {
			first = n
		}
	}
	b.e.Throttled += steps * count / 3
	b.send(c, k, 1, Wait{After: 5 * unit / 2})
	b.burst(c, k, 3, false, Wait{})
	b.e.Throttled += 2
	b.add("sustained", 2)
}

// denied refuses some, and looks whether that changes when it opens again.
func (p *planner) denied(a *aim, name string) {
	pol := &a.p.Policy
	c, k := a.calls[0], p.client()
	at := p.together(a, a.l)
	b := p.begin("denied: "+name, a.index)
	switch pol.Algorithm {
	case limit.SlidingLog:
		_, last := b.burst(c, k, a.l, at, Wait{})
		b.over(c, k, min(a.l, 4), Wait{From: StepDone, Step: last, After: pol.Window / 2})
		b.burst(c, k, a.l, at, Wait{From: StepDone, Step: last, After: pol.Window + p.margin()})
	case limit.SlidingWindow:
		_, last := b.burst(c, k, a.l, at, Wait{From: Head, After: pol.Window / 20, Window: pol.Window, Phase: pol.Phase})
		b.over(c, k, min(2*a.l, 10), Wait{})
		b.burst(c, k, a.l, at, Wait{From: StepDone, Step: last, After: 3 * pol.Window / 2})
	case limit.TokenBucket:
		unit := time.Duration(float64(pol.Window) / float64(pol.Limit))
		if unit < 4*p.o.Trip {
			return // sustained shows it
		}
		_, last := b.burst(c, k, a.l, at, Wait{})
		for i := range 3 {
			b.over(c, k, 1, Wait{From: StepDone, Step: last, After: time.Duration(i+1) * unit / 5})
		}
		b.send(c, k, 1, Wait{From: StepDone, Step: last, After: unit + p.margin()})
	default:
		return
	}
	b.add("denied", 2)
}

// pairs alternates between policies that have requests of their own.
func (p *planner) pairs(aims []aim) {
	const most = 20 // pairs
	made := 0
	for i := range aims {
		for j := i + 1; j < len(aims) && made < most; j++ {
			a, b := &aims[i], &aims[j]
			if same(&a.calls[0], &b.calls[0]) || a.p.Algorithm == limit.Concurrency || b.p.Algorithm == limit.Concurrency || a.l < 1 || b.l < 1 {
				continue
			}
			made++
			e := p.begin("alternating: "+called(a.p, a.index)+", "+called(b.p, b.index), a.index, b.index)
			k := p.client()
			if n := max(a.l, b.l) + 2; n <= 20 && !p.together(a, 2*n) && !p.together(b, 2*n) {
				n = max(n, min(10, n+3))
				for range n {
					e.send(a.calls[0], k, 1, Wait{})
					e.send(b.calls[0], k, 1, Wait{})
				}
				e.e.Throttled += 2*n - a.l - b.l
			} else {
				e.burst(a.calls[0], k, a.l, true, Wait{})
				e.burst(b.calls[0], k, b.l, true, Wait{})
				e.over(a.calls[0], k, 1, Wait{})
				e.over(b.calls[0], k, 1, Wait{})
			}
			e.add("alternating", 1)
		}
	}
}
