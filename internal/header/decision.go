package header

import (
	"time"

	"github.com/weir-dev/weir/limit"
)

// FromDecision returns what a service that keeps policy p tells after decision
// d: the limit and, for a refused request, how long to wait. Durations that no
// field can express (limit.Never, limit.Unknown) are left out.
//
// Quota is the most that Remaining can be (a bucket's burst), so that the two
// are of one kind; Refill and Window tell the rate where that differs.
func FromDecision(p limit.Policy, d limit.Decision) Reading {
	l := NoLimit()
	l.Name, l.Quota, l.Remaining, l.Window = p.Name, d.Limit, d.Remaining, p.Window
	if p.Limit != d.Limit && p.Window > 0 {
		l.Refill = p.Limit
	}
	if told(d.ResetAfter) {
		l.ResetAfter = d.ResetAfter
	}
	r := Reading{Limits: []Limit{l}}
	if !d.Allowed && told(d.RetryAfter) {
		r.RetryAfter, r.RetryAfterSet = d.RetryAfter, true
	}
	return r
}

func told(d time.Duration) bool { return d >= 0 && d <= maxWait }
