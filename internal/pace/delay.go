package pace

import (
	"math"
	"time"
)

// Delay returns p with every arrival d later. A d that is not positive changes
// nothing.
func Delay(p Pacer, d time.Duration) Pacer {
	if d <= 0 {
		return p
	}
	if c, ok := p.(curve); ok {
		return delayedCurve{delayed{p, d}, c}
	}
	return delayed{p, d}
}

type delayed struct {
	p  Pacer
	by time.Duration
}

func (s delayed) Due(n int64) (time.Duration, bool) {
	at, ok := s.p.Due(n)
	return later(at, s.by), ok
}

type delayedCurve struct {
	delayed
	c curve
}

func (s delayedCurve) at(n int64, frac uint64) (time.Duration, bool) {
	at, ok := s.c.at(n, frac)
	return later(at, s.by), ok
}

// later returns at + by, or the longest duration.
func later(at, by time.Duration) time.Duration {
	if at > math.MaxInt64-by {
		return math.MaxInt64
	}
	return at + by
}

// Delay returns the level with nobody for the time d, and then l. A d that is
// not positive changes nothing.
func (l Level) Delay(d time.Duration) Level {
	if d <= 0 || len(l.steps) == 0 {
		return l
	}
	out := Level{steps: make([]slant, 0, len(l.steps)+1)}
	out.steps = append(out.steps, slant{})
	for _, s := range l.steps {
		s.start = later(s.start, d)
		out.steps = append(out.steps, s)
	}
	if l.end > 0 {
		out.end = later(l.end, d)
	}
	return out
}
