package forecast

import (
	"math"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/limit"
)

// Quota is what to ask for, of a limit that refuses: the least with which it would
// not, found by playing.
type Quota struct {
	Limit string `json:"limit"`
	Now   string `json:"now"`

	// Enough is the smallest limit, with everything else of the policy as it is; a
	// burst that the policy gives grows with it.
	Enough int64  `json:"limit_enough"`
	Policy string `json:"policy_enough"`

	// Burst is the smallest burst with the limit as it is; nil where there is none, or
	// none is enough.
	Burst *int64 `json:"burst_enough,omitempty"`
}

// quotas finds what to ask for, of each limit that refuses.
//
// Subtle: each limit is searched by itself, with the others out of the way. When
// none of them refuses, nothing is tried again, so together they refuse nothing
// either.
func (e *examiner) quotas() ([]Quota, error) {
	out := []Quota{}
	for i := range e.m.Limits {
		if e.res.Limits[i].Refused == 0 {
			continue
		}
		e.o.Progress("what to ask for", float64(i)/float64(len(e.m.Limits)))
		l := &e.m.Limits[i]
		q := Quota{Limit: l.Name, Now: plain(l.Policy)}
		var enough int64
		var err error
		switch l.Algorithm {
		case limit.TokenBucket, limit.RefillBucket, limit.LeakyBucket:
			if enough, err = e.least(i, l.Policy.Limit, func(p *limit.Policy, n int64) { raise(p, l.Policy, n) }); err != nil {
				return nil, err
			}
			burst, err := e.deepest(i, func(p *limit.Policy, n int64) { p.Burst = n })
			if err != nil {
				return nil, err
			}
			if l.Algorithm == limit.LeakyBucket && burst > 0 {
				burst-- // the one that is being served waits for nobody
			}
			if burst > 0 {
				q.Burst = &burst
			}
		case limit.Concurrency:
			enough, err = e.least(i, l.Policy.Limit, func(p *limit.Policy, n int64) { p.Limit = n })
		default:
			enough, err = e.deepest(i, func(p *limit.Policy, n int64) { p.Limit = n })
		}
		if err != nil {
			return nil, err
		}
		q.Enough = enough
		p := l.Policy
		raise(&p, l.Policy, enough)
		q.Policy = plain(p)
		if enough > 0 {
			out = append(out, q)
		}
	}
	return out, nil
}

// raise sets the limit of a policy, and its burst in proportion.
func raise(p *limit.Policy, from limit.Policy, n int64) {
	p.Limit = n
	if from.Burst > 0 {
		p.Burst = int64(math.Ceil(float64(from.Burst) * float64(n) / float64(from.Limit)))
	}
}

// alone is the model of a stretch with one limit only.
func (e *examiner) alone(i int, from, to time.Duration) *Model {
	m := cut(e.m, from, to)
	for f := range m.Flows {
		for c := range m.Flows[f].Calls {
			call := &m.Flows[f].Calls[c]
			var asks []Ask
			for _, a := range call.Asks {
				if a.Limit == i {
					asks = append(asks, a)
				}
			}
			call.Asks = asks
		}
	}
	return m
}

// deepest is how much a limit that counts has to hold: what is taken of one that
// holds more than anybody takes. One play tells it, since how much is taken at an
// instant does not depend on how much there is.
func (e *examiner) deepest(i int, set func(p *limit.Policy, n int64)) (int64, error) {
	m := e.alone(i, 0, e.m.For)
	l := &m.Limits[i]
	taken := int64(0) // if nothing is refused
	for j := range m.Flows {
		for _, c := range m.Flows[j].Calls {
			for _, a := range c.Asks {
				taken += max(1, a.Cost) * e.res.Flows[j].Arrived
			}
		}
	}
	set(&l.Policy, taken+1)
	l.Allotment = nil
	if l.Validate() != nil {
		return 0, nil // longer to drain than there is time
	}
	all := l.Capacity()
	res, err := Run(m, Options{})
	if err != nil {
		return 0, err
	}
	return all - res.Limits[i].Least, nil
}

// least is the smallest figure with which limit i refuses nothing, 0 when there is
// none.
func (e *examiner) least(i int, now int64, set func(p *limit.Policy, n int64)) (int64, error) {
	try := func(n int64, from, to time.Duration) (bool, error) {
		m := e.alone(i, from, to)
		set(&m.Limits[i].Policy, n)
		if m.Limits[i].Validate() != nil {
			return false, nil
		}
		res, err := Run(m, Options{StopAtRefusal: true})
		if err != nil {
			return false, err
		}
		return res.Limits[i].Refused == 0, nil
	}
	low, high := int64(0), now
	for {
		ok, err := try(high, e.from, e.to)
		if err != nil {
			return 0, err
		}
		if ok {
			break
		}
		if low, high = high, high*2; high > 1<<40 {
			return 0, nil
		}
	}
	// To the unit up to a thousand, to a thousandth above.
	for high-low > max(1, high/1000) {
		mid := low + (high-low)/2
		ok, err := try(mid, e.from, e.to)
		if err != nil {
			return 0, err
		}
		if ok {
			high = mid
		} else {
			low = mid
		}
	}
	// What is enough for the busiest stretch is shown to be enough for all.
	for step := max(1, high/200); e.cut; step *= 2 {
		ok, err := try(high, 0, e.m.For)
		if err != nil || ok {
			return high, err
		}
		if high += step; high > 1<<40 {
			return 0, nil
		}
	}
	return high, nil
}

// stretch chooses what further questions are played on: everything, or the busiest
// part when that would be too many calls.
func (e *examiner) stretch() {
	var calls int64
	for i := range e.res.Flows {
		f := &e.res.Flows[i]
		calls += f.Arrived * int64(len(e.m.Flows[i].Calls))
	}
	e.from, e.to = 0, e.m.For
	if calls <= e.most {
		return
	}
	columns := make([]int64, len(e.res.Flows[0].Columns))
	for i := range e.res.Flows {
		for j, c := range e.res.Flows[i].Columns {
			columns[j] += c.Arrived * int64(len(e.m.Flows[i].Calls))
		}
	}
	// The run of columns with the most calls among those that hold about the bound.
	width := 1
	best, at := int64(-1), 0
	for {
		var sum int64
		b, a := int64(-1), 0
		for j := range columns {
			if sum += columns[j]; j >= width {
				sum -= columns[j-width]
			}
			if j >= width-1 && sum > b {
				b, a = sum, j-width+1
			}
		}
		if best >= 0 && (b > e.most || width > len(columns)) {
			break
		}
		best, at = b, a
		width++
	}
	width--
	e.cut = true
	e.from = time.Duration(at) * e.res.Column
	e.to = min(e.from+time.Duration(width)*e.res.Column, e.m.For)
	if best > 2*e.most { // one column is too much already
		e.to = e.from + time.Duration(float64(e.to-e.from)*2*float64(e.most)/float64(best))
	}
}

// cut is the model of a stretch of the time, with everything full at its start.
func cut(m *Model, from, to time.Duration) *Model {
	c := m.clone()
	if from == 0 && to == m.For {
		return c
	}
	c.Start, c.For, c.Column = m.Start.Add(from), to-from, 0
	for i := range c.Flows {
		p := c.Flows[i].Arrivals
		c.Flows[i].Arrivals = later{p, pace.CountBefore(p, from), from}
	}
	return c
}

// later is a schedule from some arrival and instant on.
type later struct {
	of   pace.Pacer
	skip int64
	from time.Duration
}

// Due returns the instant of the n-th arrival from there on.
func (l later) Due(n int64) (time.Duration, bool) {
	if n < 0 {
		return 0, false
	}
	at, ok := l.of.Due(n + l.skip)
	return at - l.from, ok
}
