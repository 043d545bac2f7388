package verify

import (
	"time"

	"github.com/weir-dev/weir/limit"
)

// renewed looks when a window ends that each request begins anew, and whether
// refused ones begin it anew too.
func (b *build) renewed(a *aim, k int, at bool) {
	c, w, margin := a.calls[0], a.p.Window, b.p.margin()
	first := b.send(c, k, 1, Wait{})
	_, last := b.burst(c, k, a.l-1, at, Wait{From: StepSent, Step: first, After: 3 * w / 10})
	refused := b.over(c, k, 1, Wait{From: StepDone, Step: first, After: w + margin})
	if a.p.CountDenied {
		last = refused
	}
	late := b.over(c, k, 1, Wait{From: StepSent, Step: last, After: 9 * w / 10, Early: 1.2})
	if a.p.CountDenied {
		last = late
	}
	late = b.over(c, k, 1, Wait{From: StepSent, Step: last, After: w - margin, Early: 1.2})
	if a.p.CountDenied {
		last = late
	}
	b.send(c, k, 1, Wait{From: StepDone, Step: last, After: w + margin})
	b.burst(c, k, a.l-1, at, Wait{})
	b.over(c, k, 1, Wait{})
}

// ban exceeds the limit once, half a window after it was used up, so that a ban
// ends well after the window would. Then it looks when that is over: at its half, so
// that none is found soon, at nine tenths, which are well before its end even where
// round trips are long, and just before and after the end. A quarter of it later one
// that is a little longer is over, and one that was begun anew is not.
func (p *planner) ban(a *aim, name string) {
	c, k, w, ban := a.calls[0], p.client(), a.p.Window, a.p.Ban
	b := p.begin("ban: "+name, a.index)
	start := Wait{}
	if clocked(&a.p.Policy) {
		start = Wait{From: Head, After: w / 20, Window: w, Phase: a.p.Phase}
	}
	first, _ := b.burst(c, k, a.l, p.together(a, a.l), start)
	last := b.over(c, k, 1, Wait{From: StepSent, Step: first, After: w / 2})
	for _, after := range []time.Duration{ban / 2, 9 * ban / 10, ban - p.margin()} {
		refused := b.over(c, k, 1, Wait{From: StepSent, Step: last, After: after, Early: 1.2})
		if a.p.CountDenied {
			last = refused
		}
	}
	b.send(c, k, 1, Wait{From: StepDone, Step: last, After: ban + p.margin()})
	if !a.p.CountDenied {
		b.send(c, k, 1, Wait{From: StepDone, Step: last, After: ban + ban/4})
	}
	b.add("ban", 0)
}

// below looks how long the window of a limit that bans is: a request just after its
// end, and one just before it, which costs a ban.
func (p *planner) below(a *aim, name string) {
	c, w, at := a.calls[0], a.p.Window, p.together(a, a.l)
	for _, before := range []bool{false, true} {
		b := p.begin("window: "+name, a.index)
		k := p.client()
		var end, early Wait
		if clocked(&a.p.Policy) {
			head := Wait{From: Head, Window: w, Phase: a.p.Phase}
			end, early = head, head
			end.After, early.After, early.Early = p.margin(), -p.margin(), 1.3
			head.After = -w / 2
			b.burst(c, k, a.l, at, head)
		} else {
			from := b.send(c, k, 1, Wait{})
			_, last := b.burst(c, k, a.l-1, at, Wait{From: StepSent, Step: from, After: 3 * w / 10})
			if a.p.Align == limit.AlignLast {
				from = last
			}
			end = Wait{From: StepDone, Step: from, After: w + p.margin()}
			early = Wait{From: StepSent, Step: from, After: w - p.margin(), Early: 1.2}
		}
		if before {
			b.over(c, k, 1, early)
		} else {
			b.send(c, k, 1, end)
			b.over(c, k, 1, Wait{})
		}
		b.add("window", 1)
	}
}
