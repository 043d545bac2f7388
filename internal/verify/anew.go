package verify

import "time"

// renewed looks when a window ends that each request begins anew, and whether
// refused ones begin it anew too.
func (b *build) renewed(a *aim, k int, at bool) {
	c, w := a.calls[0], a.p.Window
	first := b.send(c, k, 1, Wait{})
	_, last := b.burst(c, k, a.l-1, at, Wait{From: StepSent, Step: first, After: 3 * w / 10})
	b.over(c, k, 1, Wait{From: StepDone, Step: first, After: w + 2*time.Millisecond})
	if a.p.CountDenied {
		last = b.over(c, k, 1, Wait{From: StepDone, Step: last, After: w + 2*time.Millisecond})
	} else {
		b.over(c, k, 1, Wait{From: StepSent, Step: last, After: w - time.Millisecond, Early: 1.2})
	}
	b.send(c, k, 1, Wait{From: StepDone, Step: last, After: w + 2*time.Millisecond})
	b.burst(c, k, a.l-1, at, Wait{})
	b.over(c, k, 1, Wait{})
}

// ban exceeds the limit once, and looks when that is over.
func (p *planner) ban(a *aim, name string) {
	c, k, ban := a.calls[0], p.client(), a.p.Ban
	b := p.begin("ban: "+name, a.index)
	b.burst(c, k, a.l, p.together(a, a.l), Wait{})
	began := b.over(c, k, 1, Wait{})
	half := b.over(c, k, 1, Wait{From: StepDone, Step: began, After: ban / 2})
	last := began
	if a.p.CountDenied {
		last = half
	}
	late := b.over(c, k, 1, Wait{From: StepSent, Step: last, After: ban - time.Millisecond, Early: 1.2})
	if a.p.CountDenied {
		last = late
	}
	b.send(c, k, 1, Wait{From: StepDone, Step: last, After: ban + 2*time.Millisecond})
	b.add("ban", 0)
}

// below looks how long the window of a limit that bans is: a request just after its
// end, and one just before it, which costs a ban.
func (p *planner) below(a *aim, name string) {
	c, w, at := a.calls[0], a.p.Window, p.together(a, a.l)
	for _, before := range []bool{false, true} {
		b := p.begin("window: "+name, a.index)
		k := p.client()
		first := b.send(c, k, 1, Wait{})
		b.burst(c, k, a.l-1, at, Wait{From: StepSent, Step: first, After: 3 * w / 10})
		if before {
			b.over(c, k, 1, Wait{From: StepSent, Step: first, After: w - time.Millisecond, Early: 1.2})
		} else {
			b.send(c, k, 1, Wait{From: StepDone, Step: first, After: w + 2*time.Millisecond})
			b.over(c, k, 1, Wait{})
		}
		b.add("window", 1)
	}
}
