package limit

import (
	"fmt"
	"slices"
	"time"
)

// Counter is one count that several policies judge, each by its own limit:
// what one of them admits, all have spent.
//
// Azure API Management's rate-limit-by-key is one. Two APIs whose policies name
// the same counter-key share a count, so with 3 calls allowed on one and 5 on
// the other, and calls that alternate, the first refuses at the fifth call and
// the second at the eighth.
//
// A Counter is not safe for concurrent use; nor are its views together.
type Counter struct {
	counts counting
	views  []viewed
	most   int64 // the largest of the limits
}

// viewed is what a policy brings to a counter.
type viewed struct{ limit, warnBelow int64 }

// counting is a part that keeps a count which several limits can judge.
type counting interface {
	part
	// relimit makes the part judge by limit. largest is that of all limits in use.
	relimit(limit, largest, warnBelow int64)
}

// NewCounter returns a counter that the policies judge. They must be of one
// algorithm that counts (FixedWindow, SlidingLog, SlidingWindow, Quota or
// Concurrency) and may differ in Name, Limit and WarnAt only. For origin see
// Policy.New.
func NewCounter(origin time.Time, policies ...Policy) (*Counter, error) {
	if len(policies) == 0 {
		return nil, fmt.Errorf("a counter needs at least one policy")
	}
	c := &Counter{}
	for i, p := range policies {
		l, err := p.build(origin)
		if err != nil {
			return nil, fmt.Errorf("policy %d: %w", i, err)
		}
		if p.Ban != 0 {
			return nil, fmt.Errorf("policy %d: %w", i, &FieldError{Field: "ban", Reason: "needs a count of its own; leave it out, or do not share the counter"})
		}
		counts, ok := l.(counting)
		if !ok {
			return nil, fmt.Errorf("policy %d: %w", i, &FieldError{Field: "algorithm", Reason: p.Algorithm.String() + " does not count, so it cannot share a counter"})
		}
		if field := differs(policies[0], p); field != "" {
			return nil, fmt.Errorf("policy %d: %w", i, &FieldError{Field: field, Reason: "differs from that of the first policy on this counter"})
		}
		if i == 0 {
			c.counts = counts
		}
		c.views = append(c.views, viewed{p.Limit, warnBelow(p.WarnAt, p.Limit)})
		c.most = max(c.most, p.Limit)
	}
	return c, nil
}

// differs names the first field that policies on one counter must have in
// common and a and b do not.
func differs(a, b Policy) string {
	switch {
	case a.Algorithm != b.Algorithm:
		return "algorithm"
	case a.Window != b.Window:
		return "window"
	case a.Align != b.Align:
		return "align"
	case a.Phase != b.Phase:
		return "phase"
	case a.CountDenied != b.CountDenied:
		return "count-denied"
	case a.Period != b.Period:
		return "period"
	case newCalendar(a).loc.String() != newCalendar(b).loc.String():
		return "location"
	case !a.Start.Equal(b.Start):
		return "start"
	}
	return ""
}

// Take is Limiter.Take by the i-th policy. It panics when there is none such.
func (c *Counter) Take(i int, at time.Time, cost int64) Decision {
	return c.by(i).Take(at, cost)
}

// by makes the i-th policy the judging one.
func (c *Counter) by(i int) counting {
	v := c.views[i]
	c.counts.relimit(v.limit, c.most, v.warnBelow)
	return c.counts
}

// View returns the i-th policy's limiter on this counter. Cloning a view copies
// the counter: the copy counts by itself. All and Chain keep views of one
// counter together when they are cloned.
func (c *Counter) View(i int) Limiter { return &view{c, i} }

// Clone returns an independent counter in the same state.
func (c *Counter) Clone() *Counter {
	return &Counter{counts: c.counts.Clone().(counting), views: slices.Clone(c.views), most: c.most}
}

// view is a counter as one policy judges it.
type view struct {
	counter *Counter
	i       int
}

func (v *view) Take(at time.Time, cost int64) Decision { return v.counter.Take(v.i, at, cost) }

func (v *view) judge(d *Decision, at time.Time, cost int64, commit bool) {
	v.counter.by(v.i).judge(d, at, cost, commit)
}

func (v *view) refused(at time.Time, cost int64) { v.counter.by(v.i).refused(at, cost) }

// Release implements Releaser, for a Concurrency counter.
func (v *view) Release(at time.Time, cost int64) {
	if r, ok := v.counter.counts.(Releaser); ok {
		r.Release(at, cost)
	}
}

func (v *view) Clone() Limiter { return &view{v.counter.Clone(), v.i} }
