package drill

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// watch is the looking for stages, beside a load or without one.
type watch struct {
	d       *Drill
	stages  []Stage
	results []StageResult
	since   time.Time // of what counts
	over    time.Time // when the load ended; zero while it goes on
	lost    time.Time // since when every look failed; zero: the latest did not
	err     error
}

// provoke is the load and the looking beside it.
func (d *Drill) provoke(ctx context.Context) {
	d.load = newLoad(ctx, &d.o, d.brief, d.sender)
	loading, proven := context.WithCancel(ctx)
	defer proven()
	over := make(chan struct{})
	d.o.Tell("sending: "+d.fact("Load"), false)
	go func() {
		defer close(over)
		d.load.run(loading, d.plan.Rate)
	}()
	w := &watch{d: d, stages: d.plan.Stages, results: d.report.Stages, since: d.o.Clock.Now()}
	w.follow(ctx, over, proven)
	proven()
	<-over
	if ctx.Err() != nil {
		return
	}
	w.explain(ctx)
}

// rehearse makes the side notice without load, and says whether it did.
func (d *Drill) rehearse(ctx context.Context) bool {
	side, ok := d.side.(Rehearser)
	if !ok || len(d.brief.Rehearsal) == 0 {
		d.report.Notes = append(d.report.Notes, "this cannot be rehearsed")
		return true
	}
	w := &watch{d: d, stages: d.brief.Rehearsal, since: d.o.Clock.Now()}
	for _, s := range w.stages {
		w.results = append(w.results, resultOf(s))
	}
	defer func() { d.report.Rehearsal = w.results }()
	d.o.Tell("rehearsal: the alarm is set to ALARM by hand", false)
	if err := side.Rehearse(ctx); err != nil {
		d.report.add(Finding{Code: CodeBroken, Level: Fails, Stage: "rehearsal", Text: "the rehearsal: " + err.Error(), Advice: "leave out --rehearse, or allow it"})
		return false
	}
	over := make(chan struct{})
	close(over)
	w.over = w.since
	w.follow(ctx, over, func() {})
	if ctx.Err() != nil {
		return false
	}
	before := len(d.report.Findings)
	w.explain(ctx)
	return !slices.ContainsFunc(d.report.Findings[before:], func(f Finding) bool { return f.Level != Note })
}

func (d *Drill) fact(name string) string {
	for _, f := range d.plan.Facts {
		if f.Name == name {
			return f.Text
		}
	}
	return ""
}

// follow looks until every stage was seen or cannot come any more.
func (w *watch) follow(ctx context.Context, over <-chan struct{}, proven func()) {
	d := w.d
	started := d.o.Clock.Now()
	for ctx.Err() == nil {
		w.look(ctx)
		select {
		case <-over:
			if w.over.IsZero() {
				w.over = d.load.endedAt()
				w.throttled()
			}
		default:
		}
		now := d.o.Clock.Now()
		if w.over.IsZero() && w.proved() {
			proven()
		}
		w.deadlines(now, started)
		if !w.pending() {
			return
		}
		w.tell(now)
		wait := d.o.Clock.Real(d.brief.Every)
		if w.over.IsZero() {
			wait = min(wait, 250*time.Millisecond) // the first refusal is shown when it comes
		}
		t := time.NewTimer(max(wait, 10*time.Millisecond))
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-ended(over, w.over):
		}
		t.Stop()
	}
}

// ended is the channel that says so, until it was seen.
func ended(over <-chan struct{}, seen time.Time) <-chan struct{} {
	if seen.IsZero() {
		return over
	}
	return nil
}

func (w *watch) look(ctx context.Context) {
	if w.over.IsZero() || w.result(Throttled) != nil && !w.result(Throttled).Seen {
		w.throttled()
	}
	// Nobody is asked before there is something to be noticed, so that asking stays rare.
	if r := w.result(Throttled); r != nil && !r.Seen {
		return
	}
	if !w.due() {
		return
	}
	list, err := w.d.side.Look(ctx, w.since)
	for _, s := range list {
		w.see(s)
	}
	if err == nil || ctx.Err() != nil {
		w.lost = time.Time{}
		return
	}
	if w.err = err; w.lost.IsZero() {
		w.lost = w.d.o.Clock.Now()
	}
	w.d.o.Tell("looking failed: "+err.Error(), true)
}

// due spaces the looks: the loop runs more often while there is load.
func (w *watch) due() bool {
	now := w.d.o.Clock.Now()
	if now.Before(w.d.next) {
		return false
	}
	w.d.next = now.Add(w.d.brief.Every * 9 / 10)
	return true
}

// throttled takes the first refusal, or that there were enough calls, from the load.
func (w *watch) throttled() {
	if w.d.load == nil {
		return
	}
	if at, text, ok := w.d.load.enoughSeen(); ok {
		w.see(Sighting{Stage: Throttled, At: at, Text: text})
	}
}

func (w *watch) result(id string) *StageResult {
	for i := range w.results {
		if w.results[i].ID == id {
			return &w.results[i]
		}
	}
	return nil
}

func (w *watch) stage(id string) *Stage {
	for i := range w.stages {
		if w.stages[i].ID == id {
			return &w.stages[i]
		}
	}
	return nil
}

// see notes a stage, and those that it proves.
func (w *watch) see(s Sighting) { w.note(s, true) }

// note is see, which tells of it when it is news.
func (w *watch) note(s Sighting, news bool) {
	r, st := w.result(s.Stage), w.stage(s.Stage)
	if r == nil || r.Seen || r.Missed {
		return
	}
	if s.Wrong {
		r.Missed, r.Text = true, s.Text
		w.d.o.Tell(r.Title+": "+s.Text, false)
		return
	}
	if st.Needs != "" {
		n := w.result(st.Needs)
		if st.Proof && st.Needs != Throttled && n != nil && (!n.Seen || n.At.After(s.At)) {
			// What it rests on was there at that instant at the latest.
			text := n.Text
			if !n.Seen {
				text = "not seen by itself, but there at the latest when the next was"
			}
			again := n.Seen // it was told
			n.Seen, n.Missed = false, false
			w.note(Sighting{Stage: st.Needs, At: s.At, Text: text}, !again)
			if n.Seen && n.At.After(s.At) {
				n.At = s.At
			}
		}
		if n = w.result(st.Needs); n == nil || !n.Seen && !st.Aside {
			return // its turn comes
		}
	}
	r.Seen, r.At, r.Text = true, s.At, s.Text
	r.Seconds = s.At.Sub(w.d.began).Seconds()
	from := w.since
	if n := w.result(st.Needs); n != nil && n.Seen {
		from = n.At
	}
	if st.After && w.over.After(from) {
		from = w.over
	}
	r.Gap = max(s.At.Sub(from).Seconds(), 0)
	if !news {
		return
	}
	text := ""
	if s.Text != "" {
		text = ": " + clip(s.Text, 80)
	}
	w.d.o.Tell(fmt.Sprintf("%s  %s%s", Span(r.Seconds), r.Title, text), false)
}

// proved says whether no more load is needed.
func (w *watch) proved() bool {
	if u := w.result(w.d.brief.Until); u != nil && u.Seen {
		return true
	}
	for i := range w.stages {
		if s := &w.stages[i]; !s.After && !s.Aside && !w.results[i].Seen {
			return false
		}
	}
	return true
}

// blindFor is how long looking may fail before it is given up.
const blindFor = 2 * time.Minute

// deadlines gives up what is late.
func (w *watch) deadlines(now, started time.Time) {
	if !w.lost.IsZero() && now.Sub(w.lost) > blindFor {
		for i := range w.results {
			if r := &w.results[i]; !r.Seen && r.ID != Throttled && w.possible(i) {
				r.Missed, r.Text = true, "could not be read: "+w.err.Error()
			}
		}
	}
	for i := range w.stages {
		s, r := &w.stages[i], &w.results[i]
		if r.Seen || r.Missed {
			continue
		}
		if s.ID == Throttled {
			r.Missed = !w.over.IsZero()
			continue
		}
		n := w.result(s.Needs)
		switch {
		case s.Aside:
			r.Missed = w.othersDone()
			continue
		case n != nil && n.Missed:
			continue // it cannot come
		case n != nil && !n.Seen || w.over.IsZero():
			continue
		}
		from := w.since
		if n != nil {
			from = n.At
		}
		if w.over.After(from) {
			from = w.over
		}
		if now.Sub(from) > s.Bound {
			r.Missed = true
			r.Text = fmt.Sprintf("not within %s", Span(s.Bound.Seconds()))
			w.d.o.Tell(fmt.Sprintf("%s  %s: %s", Span(now.Sub(w.d.began).Seconds()), r.Title, r.Text), false)
		}
	}
	if limit := w.d.o.Caps.Time; limit > 0 && w.d.load != nil && now.Sub(started) > limit && !w.proved() {
		for i := range w.stages {
			// The first of them: the others were never waited for.
			if r := &w.results[i]; !w.stages[i].After && !w.stages[i].Aside && !r.Seen && !r.Missed && w.possible(i) {
				r.Missed, r.Text = true, fmt.Sprintf("not within the %v that the drill may take", limit)
			}
		}
		w.d.load.stop(fmt.Sprintf("%v have passed, and no more are allowed", limit))
		w.d.report.add(Finding{Code: CodeCap, Level: Fails, Text: fmt.Sprintf("it was not proved within %v", limit), Advice: "allow more with --max-time"})
	}
}

func (w *watch) othersDone() bool {
	for i := range w.stages {
		if r := &w.results[i]; !w.stages[i].Aside && !w.stages[i].After && !r.Seen && !r.Missed && w.possible(i) {
			return false
		}
	}
	return true
}

// possible says whether what a stage rests on has not been given up.
func (w *watch) possible(i int) bool {
	for n := w.result(w.stages[i].Needs); n != nil; n = w.result(n.Needs) {
		if n.Missed {
			return false
		}
	}
	return true
}

func (w *watch) pending() bool {
	for i := range w.results {
		if r := &w.results[i]; !r.Seen && !r.Missed && w.possible(i) {
			return true
		}
	}
	return false
}

// tell says what is waited for.
func (w *watch) tell(now time.Time) {
	sent, refused := 0, 0
	if w.d.load != nil {
		sent, refused = w.d.load.counts()
	}
	for i := range w.results {
		r := &w.results[i]
		if r.Seen || r.Missed || !w.possible(i) || w.stages[i].Aside {
			continue
		}
		text := fmt.Sprintf("%s  waiting for: %s", Span(now.Sub(w.d.began).Seconds()), r.Title)
		if r.Bound > 0 && r.ID != Throttled {
			text += ", at most " + Span(r.Bound)
		}
		if w.d.load != nil {
			text += fmt.Sprintf(" (%s, %d refused)", count(sent, "request"), refused)
		}
		w.d.o.Tell(text, true)
		return
	}
}

// explain makes findings of what was missed.
func (w *watch) explain(ctx context.Context) {
	r := w.d.report
	if w.d.load != nil && w.result(Throttled) != nil {
		w.explainLoad()
	}
	for i := range w.stages {
		s, res := &w.stages[i], &w.results[i]
		if !res.Missed || s.ID == Throttled {
			continue
		}
		level := Fails
		if s.Soft {
			level = Note
		}
		f := Finding{Code: s.Missing, Level: level, Stage: s.ID, Text: s.Title + ": " + res.Text}
		reasons := w.d.side.Why(ctx, s.ID)
		for i := range reasons {
			reasons[i].Stage = s.ID
			if reasons[i].Level == "" {
				reasons[i].Level = level
			}
		}
		if res.Text == "" {
			f.Text = s.Title + ": it did not come"
		}
		if !w.lost.IsZero() {
			f.Code = CodeUnreadable
		}
		if len(reasons) > 0 && reasons[0].Code == f.Code {
			f.Text, f.Detail, f.Advice = f.Text+": "+reasons[0].Text, reasons[0].Detail, reasons[0].Advice
			reasons = reasons[1:]
		} else if len(reasons) == 0 {
			f.Advice = "allow more time with --bound " + s.ID + "=DURATION, or look at the side that should have noticed"
		}
		r.add(f)
		r.add(reasons...)
	}
}

// explainLoad says why too little was refused.
func (w *watch) explainLoad() {
	l, r := w.d.load, w.d.report
	res := l.result(w.d.began)
	l.mu.Lock()
	status, why, stopped, reached := l.status, l.why, l.stopped, l.reached
	var detail []string
	if l.held {
		detail = []string{"answers are slow, and never more requests are under way than may be refused, or billed: higher bounds let the rate go higher"}
	}
	l.mu.Unlock()
	if res.Failed > 0 && 2*res.Failed >= res.Requests {
		text := fmt.Sprintf("%d of %s failed", res.Failed, count(res.Requests, "request"))
		if status > 0 {
			text += fmt.Sprintf(", the last with status %d", status)
		}
		if why != "" {
			text += ": " + why
		}
		r.add(Finding{Code: CodeRequestFails, Level: Fails, Stage: Throttled, Text: text, Advice: "try it once with curl: are the credentials, the method and the body right? What is a refusal here can be said with --throttled"})
	}
	enough := "enough was refused"
	if w.d.brief.byCalls() {
		enough = "there were enough calls"
	}
	u := w.result(w.d.brief.Until)
	switch {
	case res.Throttled == 0 && res.Failed < res.Requests && !w.d.brief.byCalls():
		r.add(Finding{
			Code: CodeNotThrottled, Level: Fails, Stage: Throttled, Text: fmt.Sprintf("%s, and none was refused (%s)", count(res.Requests, "request"), stopped),
			Detail: detail,
			Advice: "the limit may be higher than --max-rate, or count over a longer time than --max-requests reach: allow more, or drill where it is lower",
		})
	case !reached && (u == nil || !u.Seen) && res.Failed < res.Requests:
		r.add(Finding{
			Code: CodeCap, Level: Fails, Stage: Throttled,
			Text:   fmt.Sprintf("the load ended before %s: %s, in %d of %s that are needed", enough, stopped, res.Periods, count(max(w.d.brief.Periods, 1), "period")),
			Detail: detail,
			Advice: "allow more with --max-requests, --max-throttled, --max-cost or --max-time",
		})
	}
}

// Span writes seconds as a clock does: 0:01.3, 12:05.
func Span(seconds float64) string {
	if seconds < 0 {
		return "-" + Span(-seconds)
	}
	if seconds < 10 {
		return fmt.Sprintf("0:%04.1f", seconds)
	}
	t := int(seconds + 0.5)
	if t >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", t/3600, t/60%60, t%60)
	}
	return fmt.Sprintf("%d:%02d", t/60, t%60)
}
