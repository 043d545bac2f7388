package limit

import (
	"math"
	"time"
)

// All returns one limiter of several, that admits what every one of them
// admits, and takes all or nothing: when one refuses, none has taken anything.
// nginx combines several limit_req directives so.
//
// Of a refused request, every limiter whose policy has CountDenied counts it,
// whichever refused. The Decision is that of the binding limiter, except that
// Remaining is the least of all, RetryAfter and Delay are the longest, and Warn
// is set when any warns.
//
// The limiters belong to the combination from now on. They may be combinations
// themselves, and views of a Counter; no limiter and no Counter should be
// among them twice. Limiters made outside this package work too: each decision
// costs them a Clone, and of refused requests they count nothing. A nil limiter
// admits everything.
func All(limiters ...Limiter) Limiter { return combine(limiters, false) }

// Chain returns one limiter of several, asked in the order given. The first to
// refuse ends the chain; those before it keep what they took, those after it
// never hear of the request. Azure API Management's policies work so.
//
// Only a Concurrency limit gives its units back at once, because the refused
// request has ended. In all else Chain is like All, and Binding of a refused
// request is the limiter that refused.
func Chain(limiters ...Limiter) Limiter { return combine(limiters, true) }

// combined is what All and Chain return.
type combined struct {
	parts   []part
	inOrder bool
	answer  Decision // of one part; kept here because a part is asked through an interface, and a local one would be allocated
}

func combine(limiters []Limiter, inOrder bool) *combined {
	c := &combined{parts: make([]part, len(limiters)), inOrder: inOrder}
	for i, l := range limiters {
		switch l := l.(type) {
		case nil:
			c.parts[i] = &combined{}
		case part:
			c.parts[i] = l
		default:
			c.parts[i] = &foreign{l}
		}
	}
	return c
}

func (c *combined) Take(at time.Time, cost int64) (d Decision) {
	c.judge(&d, at, cost, true)
	return d
}

func (c *combined) judge(d *Decision, at time.Time, cost int64, commit bool) {
	by := c.all(d, at, cost, false)
	switch {
	case !commit:
		return
	case d.Allowed:
		c.all(d, at, cost, true)
		return
	case c.inOrder:
		for _, p := range c.parts[:by] {
			c.ask(p, at, cost, true)
			if r, ok := p.(Releaser); ok {
				r.Release(at, cost)
			}
		}
		// It has refused already, and counts the request if it is to.
		c.ask(c.parts[by], at, cost, true)
	default:
		for _, p := range c.parts {
			p.refused(at, cost)
		}
	}
	// Asked again, since what was just counted makes the wait longer.
	c.all(d, at, cost, false)
	if c.inOrder {
		c.ask(c.parts[by], at, cost, false)
		d.Binding, d.Limit, d.ResetAfter = by, c.answer.Limit, c.answer.ResetAfter
	}
}

// ask puts the answer of a part into c.answer.
func (c *combined) ask(p part, at time.Time, cost int64, commit bool) {
	c.answer = Decision{}
	p.judge(&c.answer, at, cost, commit)
}

// all asks every part, and merges the answers into d. It returns the index of
// the first that refused.
func (c *combined) all(d *Decision, at time.Time, cost int64, commit bool) (first int) {
	*d = Decision{Allowed: true, Binding: -1, Limit: math.MaxInt64, Remaining: math.MaxInt64}
	for i, p := range c.parts {
		c.ask(p, at, cost, commit)
		if !c.answer.Allowed && d.Allowed {
			first = i
		}
		d.merge(&c.answer, i)
	}
	return first
}

// merge adds the answer e of part i to the answer d of those before it.
func (d *Decision) merge(e *Decision, i int) {
	binds := d.Binding < 0
	switch {
	case e.Allowed != d.Allowed:
		binds = binds || !e.Allowed
	case e.Allowed:
		binds = binds || e.Remaining < d.Remaining
	default:
		binds = longer(e.RetryAfter, d.RetryAfter)
	}
	if binds {
		d.Binding, d.Limit, d.ResetAfter = i, e.Limit, e.ResetAfter
	}
	if longer(e.RetryAfter, d.RetryAfter) {
		d.RetryAfter = e.RetryAfter
	}
	d.Allowed = d.Allowed && e.Allowed
	d.Warn = d.Warn || e.Warn
	d.Remaining = min(d.Remaining, e.Remaining)
	if d.Delay = max(d.Delay, e.Delay); !d.Allowed {
		d.Delay = 0
	}
}

// longer orders waits: Unknown is longer than any known one, and Never longer
// than that.
func longer(a, b time.Duration) bool {
	if a == Unknown || b == Unknown {
		return a == Never || a == Unknown && b != Never && b != Unknown
	}
	return a > b
}

func (c *combined) refused(at time.Time, cost int64) {
	for _, p := range c.parts {
		p.refused(at, cost)
	}
}

// Release implements Releaser, for the parts that do.
func (c *combined) Release(at time.Time, cost int64) {
	for _, p := range c.parts {
		if r, ok := p.(Releaser); ok {
			r.Release(at, cost)
		}
	}
}

func (c *combined) Clone() Limiter { return c.clone(map[*Counter]*Counter{}) }

// clone copies the parts; two views of one counter stay views of one.
func (c *combined) clone(seen map[*Counter]*Counter) *combined {
	n := &combined{parts: make([]part, len(c.parts)), inOrder: c.inOrder}
	for i, p := range c.parts {
		switch p := p.(type) {
		case *combined:
			n.parts[i] = p.clone(seen)
		case *view:
			if seen[p.counter] == nil {
				seen[p.counter] = p.counter.Clone()
			}
			n.parts[i] = &view{seen[p.counter], p.i}
		default:
			n.parts[i] = p.Clone().(part)
		}
	}
	return n
}

// foreign makes a part of a limiter that was not made here.
type foreign struct{ Limiter }

func (f *foreign) judge(d *Decision, at time.Time, cost int64, commit bool) {
	l := f.Limiter
	if !commit {
		l = l.Clone()
	}
	*d = l.Take(at, cost)
}

func (f *foreign) refused(time.Time, int64) {}

// Release implements Releaser, if the limiter does.
func (f *foreign) Release(at time.Time, cost int64) {
	if r, ok := f.Limiter.(Releaser); ok {
		r.Release(at, cost)
	}
}

func (f *foreign) Clone() Limiter { return &foreign{f.Limiter.Clone()} }
