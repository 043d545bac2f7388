package verify

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/limit"
)

// room is what a limit lets through in front of another.
type room struct {
	name string
	l    int           // requests from rest
	rest time.Duration // until it is as good as new
	used int
}

// before finds the limits that refuse requests of an aim before its own limit can:
// those that the same request meets, and that have less room. An aim behind them is
// not reached by a burst, of which they refuse the greater part.
func (p *planner) before(a *aim) ([]room, error) {
	st, err := compile(p.file, []Call{a.calls[0].as(p.o.Vary, 0)})
	if err != nil {
		return nil, err
	}
	own := -1
	for _, k := range st.asks[0] {
		if k.policy == a.index {
			own = k.state
		}
	}
	var out []room
	for _, k := range st.asks[0] {
		held := st.list[k.state].Policy
		held.Limit = st.list[k.state].Limits[k.view]
		r := room{
			name: called(&p.file.Policies[k.policy], k.policy),
			l:    int(min(held.Capacity()/max(k.cost, 1), 1<<30)),
			rest: rest(held) + p.o.Trip + p.o.Gap + 20*time.Millisecond,
		}
		if k.state != own && r.l > 0 && (r.l < a.l || r.l == a.l && rest(held) < rest(a.p.Policy)) {
			out = append(out, r)
		}
	}
	return out, nil
}

// portion is requests that all limits in front let through, after a rest of theirs.
type portion struct {
	n     int
	after time.Duration
}

// portions says how n requests get through, and how long that takes. Each limit in
// front rests when its room is used up: slower than it might be, and true of every
// algorithm.
func portions(rooms []room, n int) (out []portion, takes time.Duration) {
	fresh := slices.Clone(rooms)
	after := time.Duration(0)
	for n > 0 {
		size := min(n, 60)
		for _, r := range fresh {
			size = min(size, r.l-r.used)
		}
		if size == 0 {
			after = restFull(fresh)
			continue
		}
		for i := range fresh {
			fresh[i].used += size
		}
		out = append(out, portion{size, after})
		takes += after
		n, after = n-size, 0
	}
	return out, takes
}

// restFull rests until those that are used up have room again, and says how long.
func restFull(rooms []room) (d time.Duration) {
	for _, r := range rooms {
		if r.used == r.l {
			d = max(d, r.rest)
		}
	}
	for i := range rooms {
		if rooms[i].rest <= d {
			rooms[i].used = 0
		}
	}
	return d
}

// enough is how many requests use up the limit of an aim as fast as those in front
// let them through; false where they never do.
func (p *planner) enough(a *aim, rooms []room) (list []portion, takes time.Duration, ok bool) {
	const most = 200 // portions: nobody waits for more
	pol := &a.p.Policy
	for n := a.l; ; {
		list, takes = portions(rooms, n)
		takes += time.Duration(len(list)) * p.step()
		if len(list) > most {
			return nil, takes, false
		}
		if !fills(pol) {
			return list, takes, pol.Algorithm != limit.Concurrency && takes < rest(*pol)*17/20
		}
		need := a.l + int(math.Ceil(float64(pol.Limit)*float64(takes)/float64(max(pol.Window, 1))))
		if pol.Algorithm == limit.RefillBucket {
			need += int(min(pol.Limit, int64(a.l)))
		}
		if need <= n {
			return list, takes, true
		}
		n = need
	}
}

// fills tells whether a limit gives back while it is being used up.
func fills(p *limit.Policy) bool {
	return p.Algorithm == limit.TokenBucket || p.Algorithm == limit.LeakyBucket || p.Algorithm == limit.RefillBucket
}

// behind makes the one experiment about a limit that stands behind others: all that
// it allows, as fast as those let it through, three more, and its opening. It is one,
// and not several as in presets, because each would cost a rest of the slow limit.
func (p *planner) behind(a *aim, name string, rooms []room) {
	const last = 4 // priority: the fast limits first, so that what they use up is not in the way
	preset := "limit"
	if len(p.o.Only) > 0 && !slices.Contains(p.o.Only, "limit") && slices.Contains(p.o.Only, "window") {
		preset = "window"
	}
	list, takes, ok := p.enough(a, rooms)
	if !ok {
		p.plan.LeftOut = append(p.plan.LeftOut, LeftOut{Name: preset + ": " + name, Policy: a.index, Why: fmt.Sprintf(
			"%q lets too little through to use it up: whoever meets it is refused by %q first", rooms[0].name, rooms[0].name)})
		return
	}
	pol := &a.p.Policy
	c, k, w := a.calls[0], p.client(), pol.Window
	b := p.begin(preset+": "+name, a.index)
	start := Wait{}
	head := func(after time.Duration, early float64) Wait {
		return Wait{From: Head, After: after, Early: early, Window: w, Phase: pol.Phase}
	}
	windowed := w > 0 && !fills(pol)
	if windowed && clocked(pol) {
		// Late in the window: one that the first request opened goes on beyond the head.
		start = head(-min(max(takes*23/20+restOf(rooms)+4*p.o.Trip, 4*w/10), 19*w/20), 0)
	}
	first := -1
	for _, s := range list {
		if first >= 0 {
			start = Wait{After: s.after}
		}
		at := b.send(c, k, s.n, start)
		if first < 0 {
			first = at
		}
	}
	over := func(n int, w Wait) { b.over(c, k, n, w) }
	over(2, Wait{After: restOf(rooms)})
	b.over(a.calls[len(a.calls)-1], k, 1, Wait{})
	if n, fresh := clients(p.o.Vary); fresh {
		b.send(c, p.client(), 1, Wait{After: restOf(rooms)}) // another client: has it a count of its own
	} else if n > 1 {
		b.send(c, 1, 1, Wait{After: restOf(rooms)})
	}
	switch {
	case windowed && clocked(pol):
		over(1, head(-p.margin(), 1.3))
		b.send(c, k, 1, head(p.margin(), 0))
		if pol.Algorithm == limit.SlidingWindow {
			b.send(c, k, 1, head(w/3, 0))
			b.send(c, k, 1, head(2*w/3, 0))
		}
		b.e.Takes -= 2 * w // heads that lie together were counted apart
	case windowed && (pol.Algorithm == limit.FixedWindow || pol.Algorithm == limit.SlidingLog):
		over(1, Wait{From: StepSent, Step: first, After: w - p.margin(), Early: 1.2})
		b.send(c, k, 1, Wait{From: StepDone, Step: first, After: w + p.margin()})
		over(1, Wait{})
	case fills(pol):
		unit := time.Duration(float64(w) / float64(pol.Limit))
		b.send(c, k, 1, Wait{After: max(5*unit/2, restOf(rooms))})
		over(2, Wait{})
	}
	b.add(preset, last)
}

// restOf is how long limits need until all of them are as good as new.
func restOf(rooms []room) (d time.Duration) {
	for _, r := range rooms {
		d = max(d, r.rest)
	}
	return d
}
