package threshold

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Watch follows one condition over a run, tick by tick. It is not safe for
// concurrent use.
type Watch struct {
	expr *Expr

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
func NewWatch(e *Expr) *Watch { return &Watch{expr: e} }

// Expr returns the condition.
func (w *Watch) Expr() *Expr { return w.expr }

// Tick takes the next tick, and the totals to which it was already added. It
// says whether the condition is true now; a stop rule stops at the first true.
func (w *Watch) Tick(k *tally.Tick, t *tally.Totals) bool {
	if w.expr.hold > 0 {
		return w.tickHeld(k, t)
	}
	r := w.expr.metric.readRun(t, w.expr.limit)
	holds := r.none == "" && w.expr.op.holds(r.number, w.expr.limit.number)
	if holds && !w.holding {
		w.since = k.Start + k.Length
	}
	w.holding = holds
	return holds
}

func (w *Watch) tickHeld(k *tally.Tick, t *tally.Totals) bool {
	m := &w.expr.metric
	if m.readRun(t, w.expr.limit).none != "" {
		return false // seconds before the first request are no data either
	}
	f := m.ofTick(k)
	r := m.read(&f, w.expr.limit)
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
	r := w.expr.metric.readRun(t, w.expr.limit)
	if r.none != "" {
		c.Verdict, c.Value = NoData, r.none
		return c
	}
	c.Value = w.expr.describe(r.number) + r.detail
	if w.expr.op.holds(r.number, w.expr.limit.number) {
		c.Verdict, c.At = Fail, w.since
	}
	return c
}

func (w *Watch) checkHeld(c Check, t *tally.Totals) Check {
	whole := w.expr.metric.readRun(t, w.expr.limit)
	switch {
	case whole.none != "":
		c.Verdict, c.Value = NoData, whole.none
	case w.broken:
		c.Verdict, c.At = Fail, w.broke
		c.Value = fmt.Sprintf("held for %v, from %v", w.longest.length(), w.longest.from)
	case !w.hadData:
		c.Verdict, c.Value = NoData, "no tick had data"
	case t.Length < w.expr.hold:
		c.Verdict, c.Value = NoData, fmt.Sprintf("the run was shorter than %v", w.expr.hold)
	case w.longest.length() == 0:
		c.Value = "never"
	default:
		c.Value = fmt.Sprintf("held for %v at most", w.longest.length())
	}
	return c
}
