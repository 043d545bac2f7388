package load

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

const (
	// nudgeShare is the step in which Nudge changes an arrival rate, in percent of
	// the planned one.
	nudgeShare = 10
	leastShare = 10
	mostShare  = 10_000

	maxChanges = 100 // kept for Result
)

// Nudge changes the load of a run while it goes on, as a person at a keyboard
// does: n more users than planned, or fewer, from now on; with an arrival rate, n
// tenths of the planned rate more or less, from the next arrival on. Of several
// parts it is the first one with users that is under way, or else the first with
// a rate. The change is in the events of the ticks and in Result.Changes.
//
// It returns what the load is now, "" when there is nothing to change. It may be
// called from any goroutine.
func (e *Engine) Nudge(n int) string {
	e.mu.Lock()
	parts := e.parts
	e.mu.Unlock()
	var chosen *part
	for _, p := range parts {
		if p.ended() || n == 0 {
			continue
		}
		c, users := p.model.(*closed)
		if users && c.level.At(e.since()) > 0 {
			chosen = p
			break
		}
		if chosen == nil || users && chosen.Arrivals != nil {
			chosen = p
		}
	}
	if chosen == nil {
		return ""
	}
	text := chosen.model.nudge(n)
	if text == "" {
		return ""
	}
	if len(parts) > 1 {
		text = chosen.Name + ": " + text
	}
	e.note("change", "Changed by hand: "+text+".")
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.changes) == maxChanges {
		e.changes = append(e.changes[:0], e.changes[1:]...)
	}
	e.changes = append(e.changes, fmt.Sprintf("at %v: %s", e.since().Round(time.Second/10), text))
	return text
}

// note adds an event.
func (e *Engine) note(kind, text string) {
	e.log.add(tally.Event{At: e.since(), Kind: kind, Text: text})
}

// nudge adds n users to those of the level.
func (c *closed) nudge(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ""
	}
	old := c.planned + c.added
	now := min(max(old+n, 0), mostUsers)
	if now == old {
		return ""
	}
	c.added += now - old
	c.adjust(c.e.since())
	return fmt.Sprintf("%d users wanted, where the plan has %d", now, c.planned)
}

// nudge adds n tenths of the planned rate.
func (o *open) nudge(n int) string {
	for {
		old := o.share.Load()
		now := min(max(old+int64(n)*nudgeShare, leastShare), mostShare)
		if now == old {
			return ""
		}
		if o.share.CompareAndSwap(old, now) {
			return fmt.Sprintf("%d %% of the planned rate, by at most %d users", now, o.p.MaxUsers)
		}
	}
}

// turn makes the wanted share of the rate hold from arrival n on, which itself
// stays where it was. Only run calls it.
func (o *open) turn(n int64) {
	now := *o.arrivals.Load()
	percent := o.share.Load()
	if t, ok := now.(interface{ Percent() int64 }); ok && t.Percent() == percent || !ok && percent == 100 {
		return
	}
	next := pace.Turn(now, n, percent)
	o.mu.Lock() // so that nobody sees two schedules at once
	o.arrivals.Store(&next)
	o.mu.Unlock()
}

// missed counts an arrival of that time that was given up now, unless it
// belongs to the warm-up.
func (e *Engine) missed(due, now time.Duration) {
	if due < e.warm && now >= e.warm {
		e.carried.Add(1)
		return
	}
	e.rec.countMissed(1, now)
}

// firstCounted returns the first arrival below n that is not of the warm-up. The
// caller holds mu.
func (o *open) firstCounted(n int64) int64 {
	now := o.e.since()
	if o.e.warm == 0 || now < o.e.warm {
		return 0
	}
	return min(n, pace.CountBefore(schedule{o}, o.e.warm))
}
