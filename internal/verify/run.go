package verify

import (
	"context"
	"slices"
	"time"
)

// Progress is told how a Run goes on.
type Progress func(experiment int, name string, sent, refused int)

// RunOptions say how a plan is carried out.
type RunOptions struct {
	Target string
	Local  bool
	Budget Budget        // is kept even where the plan's figures were too low
	Gap    time.Duration // between the answers of a step and the requests of the next, at least
	Rested bool          // the counts are at rest when the run begins
	Tell   Progress      // may be nil
}

// Run sends a plan. When ctx ends, or the budget is spent, what was made until
// then is returned.
func Run(ctx context.Context, plan *Plan, w World, o RunOptions) *Recording {
	r := &runner{plan: plan, world: w, o: o}
	r.rec = &Recording{Form: 1, Target: o.Target, Start: w.Now(), Calls: plan.Calls, LeftOut: slices.Clone(plan.LeftOut), Local: o.Local, Waited: !o.Rested}
	for i := range plan.Experiments {
		before := len(r.rec.Waves)
		if r.rec.Stopped == "" {
			r.experiment(ctx, i)
		}
		if r.rec.Stopped == "" || len(r.rec.Waves) > before {
			continue
		}
		e := &plan.Experiments[i]
		for _, p := range e.Policies {
			r.rec.LeftOut = append(r.rec.LeftOut, LeftOut{Name: e.Name, Policy: p, Why: r.rec.Stopped})
		}
	}
	return r.rec
}

type runner struct {
	plan          *Plan
	world         World
	o             RunOptions
	rec           *Recording
	last          time.Time // when the latest answer was in
	sent, refused int
	trips         []time.Duration
}

type bounds struct{ sent, done time.Time }

func (r *runner) experiment(ctx context.Context, i int) {
	e := &r.plan.Experiments[i]
	rested := (i == 0 || e.Rest > 0) && !e.Unrested
	if e.Rest > 0 && (i > 0 || !r.o.Rested) {
		r.sleep(ctx, e.Rest)
	}
	r.rec.Experiments = append(r.rec.Experiments, Made{Name: e.Name, Policies: e.Policies, Rested: rested})
	at := len(r.rec.Experiments) - 1
	steps := make([]bounds, len(e.Steps))
	for k := range e.Steps {
		if r.stop(ctx) {
			return
		}
		s := &e.Steps[k]
		r.sleep(ctx, r.due(s, steps[:k]).Sub(r.world.Now()))
		if s.Count == 0 {
			now := r.world.Now()
			steps[k] = bounds{now, now}
			continue
		}
		if r.o.Tell != nil {
			r.o.Tell(i, e.Name, r.sent, r.refused)
		}
		if ctx.Err() != nil {
			r.stop(ctx)
			return
		}
		steps[k] = r.send(ctx, at, s)
		r.sleep(ctx, r.o.Gap)
	}
	r.rec.Experiments[at].Whole = true
}

func (r *runner) send(ctx context.Context, at int, s *Step) (b bounds) {
	w := Wave{Experiment: at, Call: s.Call}
	for _, a := range r.world.Send(ctx, &r.plan.Calls[s.Call], s.Count) {
		if a.Sent.IsZero() || a.Done.Before(a.Sent) { // it never reached the wire
			continue
		}
		if b.sent.IsZero() || a.Sent.Before(b.sent) {
			b.sent = a.Sent
		}
		if a.Done.After(b.done) {
			b.done = a.Done
		}
		r.sent++
		if a.Outcome == Refused {
			r.refused++
		}
		r.trips = append(r.trips, a.Done.Sub(a.Sent))
		w.Answers = append(w.Answers, Seen{
			Sent: a.Sent.Sub(r.rec.Start), Done: a.Done.Sub(r.rec.Start), Outcome: a.Outcome, Status: a.Status, Fields: a.Fields, Err: a.Err,
		})
	}
	if len(w.Answers) == 0 {
		now := r.world.Now()
		return bounds{now, now}
	}
	r.last = b.done
	r.rec.Waves = append(r.rec.Waves, w)
	return b
}

// interrupted is why a run is over whose context has ended.
const interrupted = "stopped before its end"

// Interrupted tells whether somebody ended the experiments before their end.
func (r *Recording) Interrupted() bool { return r.Stopped == interrupted }

// stop tells whether the run is over, and notes why.
func (r *runner) stop(ctx context.Context) bool {
	b := r.o.Budget
	switch {
	case r.rec.Stopped != "":
	case ctx.Err() != nil:
		r.rec.Stopped = interrupted
	case b.Requests > 0 && r.sent >= b.Requests:
		r.rec.Stopped = "the budget of requests was spent (--max-requests)"
	case b.Throttled > 0 && r.refused >= b.Throttled:
		r.rec.Stopped = "the budget of refused requests was spent (--max-throttled)"
	case b.Time > 0 && r.world.Now().Sub(r.rec.Start) >= b.Time:
		r.rec.Stopped = "the budget of time was spent (--max-time)"
	}
	return r.rec.Stopped != ""
}

func (r *runner) sleep(ctx context.Context, d time.Duration) {
	if d > 0 && ctx.Err() == nil {
		r.world.Sleep(ctx, d)
	}
}

// due is when a step is to be sent.
func (r *runner) due(s *Step, before []bounds) time.Time {
	w := &s.Wait
	now := r.world.Now()
	early := time.Duration(w.Early * float64(r.trip()))
	from := now
	switch {
	case w.From == Head:
		width := int64(w.Window)
		base := now.UnixNano() - int64(w.After) + int64(early) - int64(w.Phase)
		k := base/width + 1
		if w.After >= 0 && base%width < width/10 {
			return now // a little late for this head is better than a whole window more
		}
		return time.Unix(0, k*width+int64(w.Phase)).Add(w.After - early)
	case w.From == StepSent && w.Step < len(before):
		from = before[w.Step].sent
	case w.From == StepDone && w.Step < len(before):
		from = before[w.Step].done
	case !r.last.IsZero():
		from = r.last
	}
	return from.Add(w.After - early)
}

// trip is a round trip that nine of ten of the latest kept to. The first of all made
// the connection too, and says little of the others.
func (r *runner) trip() time.Duration {
	n := len(r.trips)
	if n == 0 {
		return 0
	}
	latest := slices.Clone(r.trips[min(1, n-1):][max(0, n-51):])
	slices.Sort(latest)
	return latest[len(latest)*9/10]
}
