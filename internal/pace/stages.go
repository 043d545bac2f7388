package pace

import (
	"math"
	"strings"
	"time"
)

// Stage is a stretch of time over which the arrival rate goes in a straight
// line from From to To. Equal rates hold it; two zero rates are a pause. A
// stage whose For is not positive takes no time and sends nothing.
type Stage struct {
	From, To Rate
	For      time.Duration
}

// Stages is an arrival rate over time: one stage after the other. A stage that
// would end later than the longest duration, 292 years, is left out with all
// that follow.
type Stages []Stage

// ParseStages reads stages separated by commas, each a rate or two with ".."
// between them, a colon and how long:
//
//	0..200/s:30s,200/s:1m     a ramp from nothing to 200/s, held for a minute
//	50/s:10s,..200/s:20s      ".." alone goes on from where the last stage ended
//	0/s:10s                   a pause
//
// The unit may be left out before the "..": it is that of the second rate. An
// error is a *ParseError.
func ParseStages(s string) (Stages, error) {
	p := parser{what: "stages", s: s}
	var all Stages
	var total time.Duration
	for {
		p.space()
		var st Stage
		st.From, st.To = p.rates(all)
		st.For = p.stageLength(&total, "200/s")
		if p.err != nil {
			return nil, p.err
		}
		all = append(all, st)
		if !p.take(",") {
			break
		}
	}
	p.end()
	if p.err != nil {
		return nil, p.err
	}
	return all, nil
}

// IsRateStages says whether s, the text of stages, is meant for ParseStages
// (arrival rates, with a slash) rather than for ParseLevel (users).
func IsRateStages(s string) bool { return strings.Contains(s, "/") }

// String returns the stages in the form that ParseStages reads.
func (s Stages) String() string {
	var b strings.Builder
	for _, st := range s {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if st.From.String() != st.To.String() {
			b.WriteString(st.From.String() + "..")
		}
		b.WriteString(st.To.String() + ":" + formatDuration(st.For))
	}
	return b.String()
}

// fit returns the stages that end within the longest duration there is, 292
// years: those before the first that does not.
func (s Stages) fit() Stages {
	var sum time.Duration
	for i, st := range s {
		if st.For > math.MaxInt64-sum {
			return s[:i]
		}
		sum += max(st.For, 0)
	}
	return s
}

// Length returns how long all stages take.
func (s Stages) Length() time.Duration {
	var sum time.Duration
	for _, st := range s.fit() {
		sum += max(st.For, 0)
	}
	return sum
}

// Total returns the integral of the rate over all stages: the number of
// arrivals before it is rounded to a whole one.
func (s Stages) Total() float64 {
	var sum float64
	for _, st := range s.fit() {
		sum += (st.From.PerSecond() + st.To.PerSecond()) / 2 * max(st.For, 0).Seconds()
	}
	return sum
}

// RateAt returns the planned arrivals per second at t: where one stage ends and
// another begins, that of the later one; 0 before the start and from the end.
func (s Stages) RateAt(t time.Duration) float64 {
	if t < 0 {
		return 0
	}
	for _, st := range s.fit() {
		if st.For <= 0 {
			continue
		}
		if t < st.For {
			from, to := st.From.PerSecond(), st.To.PerSecond()
			return from + (to-from)*(float64(t)/float64(st.For))
		}
		t -= st.For
	}
	return 0
}

// rates reads "A", "A..B" or "..B", where ".." alone goes on from the stages
// read before.
func (p *parser) rates(before Stages) (from, to Rate) {
	start := p.i
	if p.take("..") {
		if len(before) == 0 {
			p.fail(start, "there is no stage before to go on from; write 0..200/s")
			return
		}
		to, _ = p.rate(0)
		return before[len(before)-1].To, to
	}
	text, _, _ := strings.Cut(p.s[p.i:], ":")
	dots := strings.Index(text, "..")
	if dots < 0 {
		from, _ = p.rate(0)
		return from, from
	}
	// The first rate may have its unit from the second, so that is read first.
	second := *p
	second.i += dots + len("..")
	second.space()
	to, per := second.rate(0)
	if second.err != nil {
		per = time.Second // to find a mistake in the first rate, which comes before
	}
	from, _ = p.rate(per)
	if p.err == nil && !p.take("..") {
		p.fail(p.i, "%s is not expected here; write .. between two rates", p.next())
	}
	if p.err == nil {
		p.i, p.err = second.i, second.err
	}
	return from, to
}

// stageLength reads the colon and the length of a stage, and adds it to total.
func (p *parser) stageLength(total *time.Duration, example string) time.Duration {
	if !p.take(":") {
		p.fail(p.i, "how long does this stage last? Write a colon and a duration, as in %s:30s", example)
		return 0
	}
	start := p.i
	d := p.duration()
	switch {
	case p.err != nil:
		return 0
	case d == 0:
		p.fail(start, "a stage must last longer than 0")
	case d > math.MaxInt64-*total:
		p.fail(start, "all stages together last longer than 292 years")
	}
	*total += d
	return d
}
