package probe

import (
	"math"
	"slices"
)

// This file is about a queue that never refuses: everybody is made to wait for those before,
// however long. It cannot be told from a queue that is longer than was tried, so it is
// made as long as answers are waited for, but no longer: what is beyond is lost, and may
// be done all the same.

// longWait is how long a queue is made, as a share of what an answer is waited for, and
// longEnough the least of it that will do. Where all is sent within dullTime anyway, nothing is cut.
const (
	longWait, longEnough = 0.55, 0.5
	dullTime             = 45.0
)

// patience is how long an answer is waited for.
func (p *Probe) patience() float64 {
	if p.opt.Patience > 0 {
		return p.opt.Patience.Seconds()
	}
	return 150
}

// queued is how many answers a second came of the latest waves, where these came at an even
// pace, the same in each however many were sent, and had to wait for it; else 0.
func (p *Probe) queued() float64 {
	rate, answers, waves := 0.0, 0, 0
	for i := len(p.sights) - 1; i >= 0 && waves < 3; i-- {
		w := p.sights[i]
		switch {
		case w.r > 0 || w.lost > 0:
			return 0
		case w.a < 3:
			continue
		case w.queue < 2 || w.pace == 0 || w.slow < 0.05+3*p.rtt():
			return 0
		case waves == 0:
			rate = w.pace
		case math.Abs(w.pace-rate) > 0.15*rate:
			return 0
		}
		waves, answers = waves+1, answers+w.a
	}
	if waves < 3 || answers < 15 {
		return 0
	}
	return rate
}

// endlessly is how many requests a growing wave of n may have where all wait in a queue,
// and whether it was long enough by now: then nothing more is learnt of it. most is
// how many may be sent in all.
func (p *Probe) endlessly(n, most int) (fewer int, enough bool) {
	rate := p.queued()
	if rate == 0 || float64(most-p.v.Requests)/rate < dullTime {
		return n, false
	}
	w := &p.sights[len(p.sights)-1]
	full := max(1, int(rate*longWait*p.patience()))
	held := w.under < w.a*9/10 // the sender has no more connections
	return min(n, full), held || w.slow >= longEnough*p.patience() || w.a >= full
}

// underWay is how many of these were under way at once, at most.
func underWay(answers []Answer) (most int) {
	type turn struct {
		at int64
		by int
	}
	var turns []turn
	for _, a := range answers {
		turns = append(turns, turn{a.Sent.UnixNano(), 1}, turn{a.Done.UnixNano(), -1})
	}
	slices.SortFunc(turns, func(a, b turn) int {
		switch {
		case a.at != b.at && a.at < b.at:
			return -1
		case a.at != b.at:
			return 1
		}
		return a.by - b.by
	})
	now := 0
	for _, t := range turns {
		now += t.by
		most = max(most, now)
	}
	return most
}

// evenly is how many answers a second came, 0 where they did not come at an even pace. Some
// give a few at once each second: the line that fits best is not bent by that.
func evenly(answers []Answer) float64 {
	var at []float64
	for _, a := range answers {
		if a.Outcome == Admitted {
			at = append(at, a.Done.Sub(answers[0].Sent).Seconds())
		}
	}
	slices.Sort(at)
	n := float64(len(at))
	if n < 3 {
		return 0
	}
	mean := 0.0
	for _, t := range at {
		mean += t / n
	}
	tt, ti, ii := 0.0, 0.0, 0.0
	for i, t := range at {
		x := float64(i) - (n-1)/2
		tt, ti, ii = tt+(t-mean)*(t-mean), ti+(t-mean)*x, ii+x*x
	}
	if tt < 1e-12 || ti*ti < 0.9*tt*ii {
		return 0
	}
	return ti / tt
}
