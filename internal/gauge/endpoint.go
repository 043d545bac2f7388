package gauge

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/tally"
)

// Answer is one answer of an endpoint whose limit headers were read.
type Answer struct {
	Sent    time.Duration // when it was sent
	At      time.Duration // when the service counted it, as well as that is known
	User    int
	Spent   int64 // requests to the endpoint that were admitted or failed, this one included
	Flight  int64 // requests under way
	Status  int
	Refused bool
	Reading header.Reading
}

// Bounds on what an endpoint keeps.
const (
	maxLimits  = 16
	maxClashes = 12
)

// Endpoint is what the answers of one endpoint have said of all its limits. The
// zero value has seen none. It is not safe for concurrent use.
type Endpoint struct {
	rows    []*row
	clashes []tally.Clash
}

type row struct {
	name    string
	dialect header.Dialect
	gauge   Gauge
	read    int64 // since the latest tick
	seen    bool  // since the latest tick
	prior   prior
}

// prior is the answer before, of the same limit.
type prior struct {
	known bool
	at    time.Duration // when its answer was counted
	user  int
	limit header.Limit
}

// Read takes an answer.
func (e *Endpoint) Read(a Answer) {
	for _, l := range a.Reading.Limits {
		r := e.row(l)
		if r == nil {
			continue
		}
		r.read++
		r.seen = true
		e.changed(r, l, a)
		r.prior = prior{true, a.At, a.User, l}
		r.gauge.Add(Sample{At: a.At, User: a.User, Spent: a.Spent, Flight: a.Flight, Limit: l})
	}
	for _, p := range a.Reading.Problems {
		e.clash("untrue", p, a.Sent)
	}
	if !a.Refused {
		return
	}
	if t, ok := a.Reading.Tightest(); ok && t.Remaining > 0 {
		e.clash("refused-with-left", fmt.Sprintf("refused with status %d while the answer told %s", a.Status, t), a.Sent)
	}
}

// changed looks for what cannot be after the answer before.
func (e *Endpoint) changed(r *row, l header.Limit, a Answer) {
	p := &r.prior
	if !p.known || p.limit.Key != l.Key {
		return
	}
	if p.limit.Quota != l.Quota && p.limit.Quota != header.Unknown && l.Quota != header.Unknown {
		e.clash("limit-changed", fmt.Sprintf("the limit was %d and is %d now", p.limit.Quota, l.Quota), a.Sent)
	}
	// A bucket that fills steadily gives something back before its reset. A window does not.
	ahead := p.limit.ResetAfter - (a.Sent - p.at)
	if !a.Refused && p.user == a.User && p.limit.Remaining == 0 && p.limit.ResetAfter > 2*resetStep && a.Sent > p.at && ahead > 2*resetStep && r.gauge.Stands() {
		e.clash("admitted-at-zero", fmt.Sprintf("admitted %v before the reset, after an answer that told %s", ahead.Round(100*time.Millisecond), p.limit), a.Sent)
	}
}

func (e *Endpoint) row(l header.Limit) *row {
	for _, r := range e.rows {
		if r.name == l.Name && r.dialect == l.Dialect {
			return r
		}
	}
	if len(e.rows) == maxLimits {
		return nil
	}
	r := &row{name: strings.Clone(l.Name), dialect: l.Dialect}
	e.rows = append(e.rows, r)
	return r
}

func (e *Endpoint) clash(kind, text string, at time.Duration) {
	for i := range e.clashes {
		if c := &e.clashes[i]; c.Kind == kind {
			c.Count++
			return
		}
	}
	if len(e.clashes) < maxClashes {
		e.clashes = append(e.clashes, tally.Clash{Kind: kind, Text: text, Count: 1, First: max(at, 0)})
	}
}

// Drain moves what came since the call before into t, for the endpoint's method
// and name. now is the end of the tick, which the forecasts are seen from.
func (e *Endpoint) Drain(t *tally.Limits, method, name string, now time.Duration) {
	for _, c := range e.clashes {
		c.Method, c.Name = method, name
		t.Clashes = append(t.Clashes, c)
	}
	e.clashes = e.clashes[:0]
	first := len(t.Told)
	binds, share := -1, 2.0
	for _, r := range e.rows {
		if !r.seen {
			continue
		}
		told := r.told(now)
		told.Method, told.Name = method, name
		if s := urgency(&told); binds < 0 || s < share {
			binds, share = len(t.Told), s
		}
		t.Told = append(t.Told, told)
	}
	if len(t.Told)-first > 0 && binds >= 0 {
		t.Told[binds].Binds = true
	}
}

// urgency is below 1 where a refusal is in sight, the nearer the smaller, and the
// share of the quota that is left otherwise, plus 1.
func urgency(t *tally.Told) float64 {
	if t.Forecast == Within.String() {
		return 1 - 1/(1+t.Soonest.Seconds())
	}
	if t.Left == tally.NotTold || t.Quota <= 0 {
		return 2
	}
	return 1 + float64(t.Left)/float64(t.Quota)
}

func (r *row) told(now time.Duration) tally.Told {
	s, _ := r.gauge.Latest()
	l := s.Limit
	t := tally.Told{
		Limit: r.name, Dialect: string(r.dialect), Unit: l.Unit, Quota: l.Quota, Left: l.Remaining, Least: r.gauge.Least(),
		Window: l.Window, Reset: tally.NotTold, Read: r.read, Used: r.gauge.Rate(), Differs: r.gauge.Differs(),
	}
	if l.ResetAfter != header.Unknown {
		t.Reset = s.At + l.ResetAfter
	}
	f := r.gauge.Forecast(now)
	if t.Unit != "" {
		f = Forecast{Why: "it counts " + t.Unit + ", and what a request costs is not known"}
	}
	t.Forecast, t.Soonest, t.Latest, t.Why = f.Verdict.String(), f.Soonest, f.Latest, f.Why
	r.read, r.seen = 0, false
	return t
}
