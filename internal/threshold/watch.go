package threshold

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Watch follows one condition over a run, tick by tick. It is not safe for
// concurrent use.
type Watch struct {
	expr   *Expr
	course *course // of a rate over the whole run; else nil

	since   time.Duration // whole run: the end of the tick since which the condition holds
	holding bool

	stretch stretch // with "for": the one under way
	longest stretch
	broke   time.Duration // when a stretch was long enough for the first time
	broken  bool
	hadData bool
}

// stretch is a time over which every tick fulfilled the condition.
type stretch struct{ from, to time.Duration }

func (s stretch) length() time.Duration { return s.to - s.from }

// NewWatch returns a Watch that has seen nothing yet.
func NewWatch(e *Expr) *Watch {
	w := &Watch{expr: e}
	if e.metric.counted() && e.hold == 0 {
		w.course = &course{}
	}
	return w
}

// Expr returns the condition.
func (w *Watch) Expr() *Expr { return w.expr }

// Tick takes the next tick, and the totals to which it was already added. It
// says whether the condition is true now; a stop rule stops at the first true.
//
// Ticks of the warm-up do not count, but what is watched in them does.
func (w *Watch) Tick(k *tally.Tick, t *tally.Totals) bool {
	if k.Warm && w.expr.Watched() == "" {
		return false
	}
	if w.expr.hold > 0 {
		return w.tickHeld(k, t)
	}
	if w.course != nil {
		w.course.follow(&w.expr.metric, k, t.Warm)
	}
	r, slack := w.whole(t)
	holds := r.none == "" && w.expr.holds(r.number, slack)
	if holds && !w.holding {
		w.since = k.Start + k.Length
	}
	w.holding = holds
	return holds
}

// whole reads the metric over the run so far, and by how much a rate may be off
// for no other reason than where the run begins and ends.
func (w *Watch) whole(t *tally.Totals) (r reading, slack float64) {
	e := w.expr
	r = e.readRun(t)
	if r.none != "" || w.course == nil || w.course.end <= 0 {
		return r, 0
	}
	per := perSeconds(e.limit.per)
	scale := per / w.course.end.Seconds()
	if e.metric.end == "" {
		return r, w.course.slack(per) * scale
	}
	if x := e.estimate(w.course); x.Known() {
		r.number = x.High
		if e.metric.end == "low" {
			r.number = x.Low
		}
	}
	return r, 0
}

func (w *Watch) tickHeld(k *tally.Tick, t *tally.Totals) bool {
	if w.expr.readRun(t).none != "" {
		return false // seconds before the first request are no data either
	}
	r := w.expr.readTick(k)
	if r.none != "" {
		return false
	}
	w.hadData = true
	if !w.expr.op.holds(r.number, w.expr.limit.number) {
		w.holding = false
		return false
	}
	if !w.holding {
		w.holding = true
		w.stretch.from = k.Start
	}
	w.stretch.to = k.Start + k.Length
	if w.stretch.length() > w.longest.length() {
		w.longest = w.stretch
	}
	enough := w.stretch.length() >= w.expr.hold
	if enough && !w.broken {
		w.broken, w.broke = true, w.stretch.to
	}
	return enough
}

// Check returns the verdict on everything seen. The totals must be the sum of
// the ticks that Tick was given; then it is the same however often it is asked.
func (w *Watch) Check(t *tally.Totals) Check {
	c := Check{Expr: w.expr.String()}
	if w.expr.hold > 0 {
		return w.checkHeld(c, t)
	}
	r, slack := w.whole(t)
	if r.none != "" {
		c.Verdict, c.Value = NoData, r.none
		return c
	}
	c.Value = w.expr.describe(r.number) + r.detail
	if c.Estimate = w.expr.estimate(w.course); c.Estimate.Known() {
		c.Value += w.expr.extrapolated(c.Estimate)
	}
	switch holds := w.expr.holds(r.number, slack); {
	case w.expr.wanted && !holds:
		c.Verdict = Fail
	case !w.expr.wanted && holds:
		c.Verdict, c.At = Fail, w.since
	}
	return c
}

func (w *Watch) checkHeld(c Check, t *tally.Totals) Check {
	whole := w.expr.readRun(t)
	switch {
	case whole.none != "":
		c.Verdict, c.Value = NoData, whole.none
	case w.broken:
		c.Verdict, c.At = Fail, w.broke
		c.Value = fmt.Sprintf("held for %v, from %v", w.longest.length().Round(time.Millisecond), w.longest.from.Round(time.Millisecond))
	case !w.hadData:
		c.Verdict, c.Value = NoData, "no tick had data"
	case t.Length < w.expr.hold:
		c.Verdict, c.Value = NoData, fmt.Sprintf("the run was shorter than %v", w.expr.hold)
	case w.longest.length() == 0:
		c.Value = "never"
	default:
		c.Value = fmt.Sprintf("held for %v at most", w.longest.length().Round(time.Millisecond))
	}
	return c
}
