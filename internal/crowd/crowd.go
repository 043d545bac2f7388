// Package crowd is Staff, which says which class each user is of, and Row, which
// says when the next of a row of paced tasks begins. Scenarios in Starlark and
// in Go share them, so that the same weights and waits give the same load.
package crowd

import "time"

// maxCycle bounds the table of a Staff; weights that do not fit are scaled.
const maxCycle = 10_000

// Share is how many of the users are of a class: Fixed of them, or, when that
// is 0, as many as Weight says against the weights of the other classes.
type Share struct{ Weight, Fixed int64 }

// Staff shares users and arrivals out among classes, which are numbered from 0
// in the order that they were given in. It never changes, so any number of
// goroutines may use it.
type Staff struct {
	fixed []int // class of each user of a class with a fixed count
	cycle []int // classes by weight, over and over
}

// New makes the Staff for at least one class. Weights are 1 or more.
//
// Users of fixed classes come first, in turn, as Locust starts them. When there
// are only fixed classes, further users are shared out evenly, rather than idle.
func New(shares []Share) *Staff {
	s := &Staff{}
	for n := int64(0); ; n++ {
		more := false
		for i, c := range shares {
			if n < c.Fixed {
				s.fixed = append(s.fixed, i)
				more = true
			}
		}
		if !more {
			break
		}
	}
	weights := make([]int64, len(shares))
	weighted := false
	for i, c := range shares {
		if c.Fixed == 0 {
			weights[i], weighted = c.Weight, true
		}
	}
	if !weighted {
		for i := range weights {
			weights[i] = 1
		}
	}
	s.cycle = cycle(weights)
	return s
}

// User returns the class of user id, from 0.
func (s *Staff) User(id int) int {
	if id < len(s.fixed) {
		return s.fixed[id]
	}
	return s.Arrival(int64(id - len(s.fixed)))
}

// Arrival returns the class of arrival n, from 0, by weight: so evenly that any
// row of consecutive numbers has the asked-for mixture as nearly as whole
// numbers can.
func (s *Staff) Arrival(n int64) int { return s.cycle[n%int64(len(s.cycle))] }

// cycle is smooth weighted round robin: each turn everybody earns its weight,
// the richest is chosen and pays the total.
func cycle(w []int64) []int {
	reduce(w)
	var total int64
	for _, v := range w {
		total += v
	}
	order := make([]int, 0, total)
	credit := make([]int64, len(w))
	for range total {
		best := 0
		for i := range w {
			credit[i] += w[i]
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		order = append(order, best)
	}
	return order
}

// reduce divides weights by their greatest common divisor, and scales them down
// when their sum is still large; none but 0 becomes 0.
func reduce(w []int64) {
	var g int64
	for _, v := range w {
		for a := v; a != 0; {
			g, a = a, g%a
		}
	}
	var total int64
	for i := range w {
		w[i] /= g
		total += w[i]
	}
	if total <= maxCycle {
		return
	}
	for i := range w {
		if w[i] > 0 {
			w[i] = max(1, int64(float64(w[i])/float64(total)*maxCycle+0.5))
		}
	}
}

// Row is a row of tasks that begin every period. The zero value is a row that
// has not begun. It is not safe for concurrent use.
type Row struct{ due time.Time }

// Begun reports whether a task of the row has ended before.
func (r *Row) Begun() bool { return !r.due.IsZero() }

// Next returns how long to wait now, at the end of a task, until the next one;
// begun is when the first task of the row began.
//
// Subtle: it counts from when the task was to begin, not from when it did, so
// that late wake-ups do not add up. A task that took longer than the period is
// followed by the next at once, and the row begins anew.
func (r *Row) Next(period time.Duration, begun, now time.Time) time.Duration {
	if r.due.IsZero() {
		r.due = begun
	}
	next := r.due.Add(period)
	if !next.After(now) {
		r.due = now
		return 0
	}
	r.due = next
	return next.Sub(now)
}
