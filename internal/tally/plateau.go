package tally

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Plateau is how much was let through while throttling was under way: the best
// estimate of the limit that can be had by looking from outside.
//
// It does not count by tick. It counts from the last refusal of one tick to the
// last refusal of the next: at both instants the limiter was full, so what it
// admitted between them is what it gave back in that time, whether it counts in
// windows, wherever these begin, or by tokens. Counting by tick is off by 3 to
// 6 % for windows under a growing load. Rate is then the ratio of admitted hits
// to time over the middle half of these spans, ordered by rate: spans over
// which the load sagged, or a burst was given back, do not move it.
//
// In simulation (plateau_test.go) it is within 2 % of a limit of 120/s
// for fixed, sliding and weighted windows of a second and for token buckets, if
// the load exceeds the limit by a quarter for ten seconds or more. It says too
// little (up to 6 %) about a sliding window when the load is random and hardly
// above the limit, because such a limit then really admits less; it says too
// little about any limit when users in step leave pauses in the load; and limits
// of a few hits per second are known no better than to one hit in a window.
//
// A window longer than a tick shows as Cycles: see there.
type Plateau struct {
	Rate     float64       // admitted per second
	Min, Max float64       // the same for single spans
	StdErr   float64       // standard error of Rate from the spread of the spans used; 0 when there is one only
	Spans    int           // how many there are, about one for each second
	From, To time.Duration // the first and the last refusal that it rests on
	// Cycles is not 0 when nothing was admitted while refusals lasted, as with a
	// quota for a minute. Rate is then counted from the beginning of one interval
	// of throttling to the beginning of another, and this is how many such cycles
	// there were. Min, Max and StdErr are those of the cycles and 0.
	Cycles int
}

const (
	minSpan    = 300 * time.Millisecond // a shorter one is joined to the next: too few hits
	fewSpans   = 4                      // fewer than this have no middle half
	fewPerSpan = 30                     // with fewer hits in a span, leaving spans out rounds the rate
)

// Plateau returns the estimate, or nil when too little was throttled for one.
func (t *Totals) Plateau() *Plateau { return t.throttle.gauge.plateau() }

// span is the time between two refusals, and what was admitted in it.
type span struct {
	admitted int64
	length   time.Duration
}

func (s span) rate() float64 { return perSecond(s.admitted, s.length) }

// gauge collects spans, 16 bytes for each second of throttling.
type gauge struct {
	spans       []span
	from, to    time.Duration
	last        time.Duration // latest refusal
	after       int64         // sent after it within its tick, so admitted, and not part of the span before
	admitted    int64         // in the ticks since the one of the latest refusal
	any         bool
	cycles      []span
	cycleFrom   time.Duration // first refusal of the interval before
	cycleHits   int64         // admitted since its tick
	cycleEnding time.Duration // latest refusal, to tell a new interval
}

// add takes one tick: what it refused, what it admitted, and how many requests
// were sent after its last refusal up to its end.
func (g *gauge) add(r refusals, admitted, after int64) {
	g.addCycle(r, admitted)
	g.admitted += admitted
	if r.count == 0 {
		return
	}
	if !g.any || r.first-g.last >= EpisodeGap {
		g.any, g.last, g.after, g.admitted = true, r.last, after, 0
		return
	}
	length := r.last - g.last
	if length < minSpan {
		return
	}
	if len(g.spans) == 0 {
		g.from = g.last
	}
	g.to = r.last
	g.spans = append(g.spans, span{max(0, g.admitted+g.after-after), length})
	g.last, g.after, g.admitted = r.last, after, 0
}

func (g *gauge) addCycle(r refusals, admitted int64) {
	if r.count == 0 {
		g.cycleHits += admitted
		return
	}
	switch {
	case !g.any:
		g.cycleFrom, g.cycleHits = r.first, 0
	case r.first-g.cycleEnding >= EpisodeGap:
		g.cycles = append(g.cycles, span{g.cycleHits + admitted, r.first - g.cycleFrom})
		g.cycleFrom, g.cycleHits = r.first, 0
	default:
		g.cycleHits += admitted
	}
	g.cycleEnding = max(g.cycleEnding, r.last)
}

func (g *gauge) plateau() *Plateau {
	if len(g.spans) == 0 {
		return nil
	}
	p := estimate(g.spans)
	p.From, p.To = g.from, g.to
	if p.Rate == 0 && len(g.cycles) > 0 {
		c := estimate(g.cycles)
		c.Cycles, c.Spans = len(g.cycles), p.Spans
		c.From, c.To = g.from, g.to
		return c
	}
	return p
}

func estimate(spans []span) *Plateau {
	byRate := slices.SortedFunc(slices.Values(spans), func(a, b span) int {
		return cmp.Or(cmp.Compare(a.rate(), b.rate()), cmp.Compare(a.length, b.length))
	})
	n := len(byRate)
	p := &Plateau{Min: byRate[0].rate(), Max: byRate[n-1].rate(), Spans: n}
	used := byRate
	if n >= fewSpans && byRate[n/2].admitted >= fewPerSpan {
		used = byRate[n/4 : n-n/4]
	}
	var hits int64
	var length time.Duration
	for _, s := range used {
		hits += s.admitted
		length += s.length
	}
	p.Rate = perSecond(hits, length)
	if len(used) > 1 {
		var squares float64
		for _, s := range used {
			squares += (s.rate() - p.Rate) * (s.rate() - p.Rate)
		}
		p.StdErr = math.Sqrt(squares / float64(len(used)-1) / float64(len(used)))
	}
	return p
}
