package probe

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/limit"
)

// Told is what the header fields of one answer say about limits.
type Told = header.Reading

// Hints is what headers have said of the limit so far: where to look first. They are
// never believed: nothing they say counts as evidence, and after an answer that
// contradicts them they say nothing more. The zero value knows nothing.
type Hints struct {
	claims []*claim // one for each limit that is told
	wait   time.Time
	waited bool // wait is set
	// waitedAt is how many had been sent then.
	waitedAt int
	wrong    string
	// quotaWrong: what is wrong is the limit itself.
	quotaWrong bool
	left       int64    // what was told to remain, where that is wrong
	sent       []Answer // all, in the order of their waves
}

// claim is one limit as answers tell it.
type claim struct {
	name                 string
	quota, refill        int64
	window               time.Duration
	remaining            int64
	resetAt              time.Time
	longest              time.Duration
	at                   time.Time // when the latest answer of the latest wave was in
	sent                 time.Time // when the first request of that wave went
	tells                int
	knowsReset, hasQuota bool
}

// See takes in the answers of one wave.
func (h *Hints) See(answers []Answer) {
	before := len(h.sent)
	h.sent = append(h.sent, answers...)
	if len(answers) == 0 {
		return
	}
	admitted, first := false, answers[0].Sent
	for i := range answers {
		admitted = admitted || answers[i].Outcome != Refused
		if answers[i].Sent.Before(first) {
			first = answers[i].Sent
		}
	}
	for i := range answers {
		if h.wrong == "" {
			h.check(&answers[i], !admitted && before == h.waitedAt)
		}
	}
	for i := range answers {
		a := &answers[i]
		if a.Told == nil {
			continue
		}
		if a.Outcome == Refused {
			if d, ok := a.Told.Wait(); ok {
				// Of those that went together, the longest wait is that of the last.
				if at := a.Done.Add(d); h.waitedAt != len(h.sent) || at.After(h.wait) {
					h.wait = at
				}
				h.waited, h.waitedAt = true, len(h.sent)
			}
		}
		for _, l := range a.Told.Limits {
			h.learn(a, l, first)
		}
	}
}

// learn takes in what one answer says of one limit; first is when the first request of
// its wave went.
func (h *Hints) learn(a *Answer, l header.Limit, first time.Time) {
	if l.Unit != "" && l.Unit != "requests" {
		return
	}
	var c *claim
	for _, k := range h.claims {
		if k.name == l.Name {
			c = k
		}
	}
	if c == nil {
		if len(h.claims) >= 8 {
			return
		}
		c = &claim{name: l.Name, remaining: header.Unknown}
		h.claims = append(h.claims, c)
	}
	c.tells++
	if l.Quota != header.Unknown {
		c.quota, c.hasQuota = l.Quota, true
	}
	if l.Window > 0 {
		c.window = l.Window
	}
	if l.Refill > 0 {
		c.refill = l.Refill
	}
	// Of those that went together nobody knows which was counted last: the least that
	// is told stands for all of them.
	if !c.sent.Equal(first) {
		c.sent, c.at, c.remaining = first, a.Done, l.Remaining
	}
	c.remaining = min(c.remaining, l.Remaining)
	if a.Done.After(c.at) {
		c.at = a.Done
	}
	if l.ResetAfter != header.Unknown && l.ResetAfter < 40*24*time.Hour {
		c.resetAt, c.knowsReset = a.Done.Add(l.ResetAfter), true
		c.longest = max(c.longest, l.ResetAfter)
	}
}

const wrongWait = "refused after the wait that was told, with nothing sent in between"

// contradiction is what was told, in words, and by the code of the finding.
func (h *Hints) contradiction() (code, told string) {
	switch {
	case h.wrong == wrongWait:
		return CodeRetryEarly, "to wait until " + h.wait.UTC().Format("15:04:05")
	case h.quotaWrong:
		return CodeToldLimit, fmt.Sprintf("a limit of %d", h.tightest().quota)
	}
	return CodeToldRemaining, fmt.Sprintf("%d remaining", h.left)
}

// check looks whether an answer contradicts what was told before its wave. Next says
// that nothing was sent between the wait that was told and this wave, of which
// nothing was admitted.
func (h *Hints) check(a *Answer, next bool) {
	switch a.Outcome {
	case Refused:
		for _, c := range h.claims {
			// Refused although more was left than has been sent since that was told.
			if c.remaining > 0 && a.Sent.After(c.at) && c.at.After(a.Sent.Add(-time.Minute)) && c.remaining > h.since(c.sent) && len(h.claims) == 1 {
				h.wrong, h.left = fmt.Sprintf("one of the next %d was refused", h.since(c.at)), c.remaining
			}
		}
		if h.waited && a.Sent.After(h.wait.Add(time.Second)) && next {
			h.wrong = wrongWait
		}
	case Admitted:
		if c := h.tightest(); c != nil && c.hasQuota {
			// A wave of more than twice the quota fits into no kind of window.
			if n := h.admittedWithin(a.Sent.Add(-min(max(c.window, c.longest)/10, time.Second))); int64(n) > 2*c.quota+2 {
				h.wrong, h.quotaWrong = fmt.Sprintf("%d admitted at once", n), true
			}
		}
	}
}

// since counts what was sent from t on.
func (h *Hints) since(t time.Time) (n int64) {
	for i := len(h.sent) - 1; i >= 0 && !h.sent[i].Sent.Before(t); i-- {
		n++
	}
	return n
}

func (h *Hints) admittedWithin(t time.Time) (n int) {
	for i := len(h.sent) - 1; i >= 0 && !h.sent[i].Sent.Before(t); i-- {
		if h.sent[i].Outcome == Admitted {
			n++
		}
	}
	return n
}

// tightest is the claim with the smallest quota.
func (h *Hints) tightest() (best *claim) {
	for _, c := range h.claims {
		if c.hasQuota && (best == nil || c.quota < best.quota) {
			best = c
		}
	}
	return best
}

// Wrong says what contradicted the headers, "" while nothing has.
func (h *Hints) Wrong() string { return h.wrong }

// Quota is how many the headers say get through at once, from rest.
func (h *Hints) Quota() (n int64, ok bool) {
	c := h.tightest()
	if h.wrong != "" || c == nil || c.quota < 1 {
		return 0, false
	}
	return c.quota, true
}

// Left is how many the headers say get through now, at most.
func (h *Hints) Left() (n int64, ok bool) {
	if h.wrong != "" {
		return 0, false
	}
	for _, c := range h.claims {
		if c.remaining != header.Unknown && (!ok || c.remaining < n) {
			n, ok = c.remaining, true
		}
	}
	return n, ok
}

// Opens is when the headers say that requests are admitted again, if that is after now.
func (h *Hints) Opens(now time.Time) (at time.Time, ok bool) {
	switch {
	case h.wrong != "":
		return at, false
	case h.waited && h.wait.After(now):
		return h.wait, true
	}
	for _, c := range h.claims {
		if c.knowsReset && c.remaining == 0 && c.resetAt.After(now) && c.resetAt.After(at) {
			at, ok = c.resetAt, true
		}
	}
	return at, ok
}

// Suppose lists limits that the headers may mean, the likeliest first: of all families
// that fit the figures, because a header never says which it is. None after a
// contradiction, or where no figures are told.
func (h *Hints) Suppose() (out []Found) {
	if h.wrong != "" {
		return nil
	}
	var firsts []limit.Policy
	for _, c := range h.claims {
		if !c.hasQuota || c.quota < 1 || c.quota > 1e6 {
			continue
		}
		for i, w := range c.windows() {
			n := c.quota
			phase := time.Duration(0)
			if c.knowsReset {
				phase = time.Duration(((c.resetAt.UnixNano() % int64(w)) + int64(w)) % int64(w))
			}
			add := func(f Family, p limit.Policy) {
				if len(out) < 64 {
					out = append(out, Found{Family: f, Policies: []limit.Policy{p}, LimitLow: p.Capacity(), LimitHigh: p.Capacity()})
				}
			}
			fixed := limit.Policy{Algorithm: limit.FixedWindow, Limit: n, Window: w, Phase: phase}
			if i == 0 {
				firsts = append(firsts, fixed)
			}
			add(FixedClock, fixed)
			add(FixedFirst, limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: n, Window: w})
			add(SlidingLog, limit.Policy{Algorithm: limit.SlidingLog, Limit: n, Window: w})
			add(SlidingLogDenied, limit.Policy{Algorithm: limit.SlidingLog, Limit: n, Window: w, CountDenied: true})
			add(SlidingWindow, limit.Policy{Algorithm: limit.SlidingWindow, Limit: n, Window: w, Phase: phase})
			add(SlidingWindowDenied, limit.Policy{Algorithm: limit.SlidingWindow, Limit: n, Window: w, Phase: phase, CountDenied: true})
			rate := n
			if c.refill > 0 {
				rate = c.refill
			}
			add(TokenBucket, limit.Policy{Limit: rate, Window: w, Burst: n})
			if n > 1 {
				add(LeakyQueue, limit.Policy{Algorithm: limit.LeakyBucket, Limit: rate, Window: w, Burst: n - 1})
			}
			if c.refill > 0 && c.refill < n {
				add(RefillBucket, limit.Policy{Algorithm: limit.RefillBucket, Limit: c.refill, Window: w, Burst: n, Phase: phase})
			}
		}
	}
	if len(firsts) == 2 {
		a, b := firsts[0], firsts[1]
		if a.Window > b.Window {
			a, b = b, a
		}
		for _, f := range []struct {
			kind limit.Policy
		}{{limit.Policy{Algorithm: limit.FixedWindow}}, {limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst}}, {limit.Policy{Algorithm: limit.SlidingLog}}} {
			x, y := a, b
			for _, p := range []*limit.Policy{&x, &y} {
				p.Algorithm, p.Align = f.kind.Algorithm, f.kind.Align
				if f.kind.Algorithm != limit.FixedWindow || f.kind.Align == limit.AlignFirst {
					p.Phase = 0
				}
			}
			out = append([]Found{{Family: Stacked, Policies: []limit.Policy{x, y}, LimitLow: x.Limit, LimitHigh: x.Limit}}, out...)
		}
	}
	return out
}

// windows are the lengths that a claim may mean: the one it tells, or the round
// lengths at or above the longest reset that was seen.
func (c *claim) windows() (out []time.Duration) {
	if c.window > 0 {
		return []time.Duration{c.window}
	}
	if c.longest <= 0 {
		return nil
	}
	longest := c.longest.Seconds()
	add := func(s float64) {
		d := time.Duration(math.Round(s*1000)) * time.Millisecond
		if d > 0 && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	// Whole seconds are rounded up by some and down by others.
	if r := round(span{longest * 0.98, longest + 1}); r > 0 {
		add(r)
	}
	add(math.Ceil(longest))
	add(longest)
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 300, 600, 900, 3600, 86400} {
		if s > longest && s < 12*longest && len(out) < 5 {
			add(s)
		}
	}
	return out
}
