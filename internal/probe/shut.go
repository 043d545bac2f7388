package probe

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/limit"
)

// Shut is what was seen of a limit that did not open again while it was probed: how
// long its window is, or at which rate it gives back, is then not known, whatever
// explains the rest.
type Shut struct {
	Passed int           // what it let through before
	For    time.Duration // from the first refusal to the latest
	Opens  time.Time     // when the headers say that it opens again; zero where they do not, or not alike
	After  time.Duration // from the latest answer to Opens

	// Told is the policy that the headers alone make of it: nil where they do not
	// say how long its window is.
	Told *limit.Policy
}

// shut looks whether it has opened since it first refused; nil where it has.
func (p *Probe) shut() *Shut {
	first, last, passed := -1.0, 0.0, 0
	for _, w := range p.sights {
		switch {
		case first >= 0 && w.a > 0:
			return nil
		case first < 0 && w.r > 0:
			first = w.s
		}
		passed += w.a
		if w.r > 0 {
			last = w.last
		}
	}
	if first < 0 || passed == 0 || last <= first {
		return nil
	}
	s := &Shut{Passed: passed, For: seconds(last - first)}
	if p.opt.IgnoreHints {
		return s
	}
	s.Opens, s.After = p.hints.opening()
	if !s.Opens.IsZero() {
		s.Told = p.hints.policy(p.start, s)
	}
	return s
}

// unseen notes in what explains the answers that its time is not known.
func (f *Found) unseen(s *Shut) {
	if f.Family != Concurrency && f.Family != None {
		f.Shut, f.WindowOff = s, 1
	}
}

// steady is how far apart the instants may lie that answers tell of one opening: they
// tell it in whole seconds, and clocks differ by parts of one.
const steady = 2500 * time.Millisecond

// opening is when refused answers said that it opens, where all of them say the same:
// who says an hour each time does not count one down.
func (h *Hints) opening() (at time.Time, after time.Duration) {
	if h.wrong != "" {
		return at, 0
	}
	var least, most, last time.Time
	for i := range h.sent {
		a := &h.sent[i]
		t, ok := tells(a)
		if !ok {
			continue
		}
		if least.IsZero() || t.Before(least) {
			least = t
		}
		if t.After(most) {
			most = t
		}
		if a.Done.After(last) {
			last = a.Done
		}
	}
	if least.IsZero() || most.Sub(least) > steady || !most.After(last) {
		return at, 0
	}
	return most, most.Sub(last)
}

// tells is when one refusal says that it opens.
func tells(a *Answer) (at time.Time, ok bool) {
	if a.Outcome != Refused || a.Told == nil {
		return at, false
	}
	if d, ok := a.Told.Wait(); ok {
		return a.Done.Add(d), true
	}
	for _, l := range a.Told.Limits {
		if l.Remaining == 0 && l.ResetAfter != header.Unknown && l.ResetAfter > 0 && a.Done.Add(l.ResetAfter).After(at) {
			at, ok = a.Done.Add(l.ResetAfter), true
		}
	}
	return at, ok
}

// policy is the fixed window that the headers speak of; nil where they do not say how
// long it is. From is when the first request was sent.
func (h *Hints) policy(from time.Time, s *Shut) *limit.Policy {
	p := limit.Policy{Algorithm: limit.FixedWindow, Limit: int64(s.Passed)}
	c := h.tightest()
	if c != nil {
		if c.quota < p.Limit {
			return nil // it let through more
		}
		p.Limit = c.quota
	}
	span := s.Opens.Sub(from)
	near := func(d time.Duration) bool { return d.Abs() <= steady }
	into := func(w time.Duration) bool { // it opens at a head of the clock's
		r := time.Duration(s.Opens.UnixNano() % int64(w))
		return near(r) || near(w-r)
	}
	lengths := []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
	if c != nil && c.window > 0 {
		lengths = []time.Duration{c.window}
	}
	if i := slices.IndexFunc(lengths, func(w time.Duration) bool { return near(span - w) }); i >= 0 {
		p.Window, p.Align = lengths[i], limit.AlignFirst
		return &p
	}
	for _, w := range lengths {
		switch {
		case w <= span || !into(w):
		case p.Window > 0: // midnight is a head of windows of 2 h, of 3 h and of a day
			return nil
		default:
			p.Window = w
		}
	}
	if p.Window == 0 {
		return nil
	}
	return &p
}

// looksBefore and looksFor are how often and how long it is looked whether it opens
// before a wait is believed that is longer than the time left: headers may be wrong.
const (
	looksBefore = 6
	looksFor    = 15.0 // seconds, or a tenth of the bound where that is less
)

// hopeless says that nothing is left to be seen: it opens after the time left, as its
// headers have said for a while.
func (p *Probe) hopeless() error {
	s, tries := p.shut(), 0
	if s == nil || p.opt.IgnoreHints || s.For.Seconds() < min(looksFor, p.opt.MaxTime.Seconds()/10) {
		return nil
	}
	for _, w := range p.sights {
		tries += int(boolTo(w.a == 0 && w.r > 0, 1))
	}
	if tries < looksBefore {
		return nil
	}
	at, _ := p.hints.opening()
	if at.IsZero() || at.Before(p.from.Add(p.opt.MaxTime)) {
		return nil
	}
	// A sixth more, to see what comes back then.
	whole := at.Sub(p.from)
	minutes := math.Ceil((whole + max(whole/6, time.Minute)).Minutes())
	return errStop("it opens after the time that is left, as the headers say; to see it open, probe with --max-time " + minutesWords(minutes))
}

// minutesWords is a bound on time as --max-time takes it.
func minutesWords(m float64) string {
	if m > 180 {
		return fmt.Sprintf("%.0fh", math.Ceil(m/60))
	}
	return fmt.Sprintf("%.0fm", m)
}
