package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/track"
	"github.com/weir-dev/weir/limit"
)

// telling is a header field that cannot be true.
type telling struct {
	code           string
	policy         int
	expected, seen string
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// told compares what an answer tells with what is possible after it. t has taken
// the answer in.
func (r *replay) told(w *Wave, t *track.Track, counted []track.Ask) (out []telling) {
	a := &w.Answers[0]
	if len(a.Fields) == 0 || t.Lost() != "" {
		return nil
	}
	names := header.Names{}
	for _, k := range r.asks[w.Call] {
		p := &r.file.Policies[k.policy]
		if p.Tell.Limit != "" || p.Tell.Remaining != "" || p.Tell.Reset != "" || p.Tell.RetryAfter != "" {
			names = header.Names{Limit: p.Tell.Limit, Remaining: p.Tell.Remaining, Reset: p.Tell.Reset, RetryAfter: p.Tell.RetryAfter}
		}
	}
	var block hit.Fields
	numeric := true
	for _, f := range a.Fields {
		block = block.Append(f.Name, f.Value)
		if equalFold(f.Name, "retry-after") && strings.Trim(f.Value, "0123456789 ") != "" {
			numeric = false
		}
	}
	reading := names.Parse(block, r.rec.Start.Add(a.Done))
	sent, done := r.at(a.Sent-r.set.Grain), r.at(a.Done+r.set.Grain)
	for _, l := range reading.Limits {
		if v, ok := r.limitTold(w, t, &l, sent, done); ok {
			out = append(out, v)
		}
	}
	if reading.RetryAfterSet && a.Outcome == Refused && len(counted) > 0 {
		if v, ok := r.retryTold(w, t, counted, reading.RetryAfter, numeric, sent, done); ok {
			out = append(out, v)
		}
	}
	return out
}

// limitTold checks one limit of an answer. It may be that of any policy which the
// request asks; what contradicts all of them is returned for the nearest.
func (r *replay) limitTold(w *Wave, t *track.Track, l *header.Limit, sent, done time.Time) (telling, bool) {
	if l.Unit != "" && l.Unit != "requests" {
		return telling{}, false
	}
	var worst telling
	grade := 0 // of worst: how much of it is right
	checked := false
	for _, a := range r.asks[w.Call] {
		p := r.list[a.state].Policy
		if holds(p) || a.late {
			return telling{}, false // what a header says of these is out of date at once
		}
		lim := r.list[a.state].Limits[a.view]
		checked = true
		if l.Quota != header.Unknown && l.Quota != lim && l.Quota != p.Capacity() {
			if grade == 0 {
				worst = telling{CodeToldLimit, a.policy, fmt.Sprintf("a limit of %d", lim), fmt.Sprintf("told: %d", l.Quota)}
			}
			continue
		}
		if !windowTold(p, l) {
			if grade <= 1 {
				grade, worst = 1, telling{CodeToldLimit, a.policy, "a window of " + p.Window.String(), "told: " + l.Window.String()}
			}
			continue
		}
		least, most := t.Remaining(a.state, a.view, sent, done)
		if l.Remaining != header.Unknown && (l.Remaining < least || l.Remaining > most) {
			if grade <= 2 {
				grade, worst = 2, telling{CodeToldRemaining, a.policy, between(least, most) + " remaining", fmt.Sprintf("told: %d remaining", l.Remaining)}
			}
			continue
		}
		if l.ResetAfter != header.Unknown && p.Algorithm != limit.SlidingWindow {
			slack := time.Second + r.skew // instants have whole seconds
			room := lim
			if p.Algorithm == limit.TokenBucket || p.Algorithm == limit.LeakyBucket || p.Algorithm == limit.RefillBucket {
				room = p.Capacity()
			}
			_, then := t.Remaining(a.state, a.view, sent.Add(l.ResetAfter), done.Add(l.ResetAfter+slack))
			if then < min(room, most+1) && then < min(room, max(1, l.Remaining+1)) {
				if grade <= 3 {
					grade, worst = 3, telling{CodeToldReset, a.policy, "nothing more " + l.ResetAfter.String() + " later", "told: it resets then"}
				}
				continue
			}
		}
		return telling{}, false
	}
	return worst, checked
}

// retryTold checks Retry-After of a refused request.
func (r *replay) retryTold(w *Wave, t *track.Track, counted []track.Ask, wait time.Duration, numeric bool, sent, done time.Time) (telling, bool) {
	if !numeric || wait > 10*365*24*time.Hour {
		return telling{}, false // an instant in whole seconds of a clock that we do not share
	}
	for _, a := range counted {
		if p := r.list[a.State].Policy; holds(p) || a.Cost > p.Capacity() {
			return telling{}, false
		}
	}
	blame := r.asks[w.Call][0].policy
	if can, _ := t.Expect(counted, sent.Add(wait), done.Add(wait)); !can {
		return telling{CodeRetryEarly, blame, "refused still, after the wait that is told", "Retry-After: " + seconds(wait)}, true
	}
	if early := wait - time.Second - time.Millisecond; early > 0 && sent.Add(early).After(done) {
		if _, cannot := t.Expect(counted, sent.Add(early), done.Add(early)); !cannot {
			return telling{CodeRetryLate, blame, "admitted a second earlier and more", "Retry-After: " + seconds(wait)}, true
		}
	}
	return telling{}, false
}

func seconds(d time.Duration) string { return fmt.Sprintf("%d", int64(d/time.Second)) }

func between(lo, hi int64) string {
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}

// windowTold tells whether the window of a limit may be the policy's. Of buckets it
// may be the time in which all of the quota comes back, too.
func windowTold(p limit.Policy, l *header.Limit) bool {
	if l.Window == 0 || p.Window < time.Second || p.Period != limit.NoPeriod {
		return true
	}
	near := func(d time.Duration) bool { return l.Window > d-time.Second && l.Window < d+time.Second }
	return near(p.Window) || near(time.Duration(float64(p.Capacity())*float64(p.Window)/float64(p.Limit)))
}
