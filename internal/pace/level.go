package pace

import (
	"math"
	"math/bits"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Level is how many users there are over time, in exact steps. The zero value
// is no users and no end. A Level is immutable and safe for concurrent use.
//
// On a straight line from a to b, the number changes where the line reaches a
// whole number of users, at the nanosecond below: rising from 0 to 300 in 30 s,
// the first user is there at 0.1 s and the last at 30 s; falling, the first one
// leaves at 0.1 s.
type Level struct {
	steps []slant
	end   time.Duration // 0: none of its own
}

// slant is a stretch in which the number of users goes from from to to, in
// equal steps of one.
type slant struct {
	start    time.Duration
	from, to int
	// Step j, counted from 1, is taken at start + j·per/n, up to step last.
	n, per uint64
	last   uint64
}

// Users returns n users, of whom user k, counted from 0, starts at k/spawn; the
// zero spawn starts all at once. The level has no end of its own.
func Users(n int, spawn Rate) Level {
	n = max(n, 0)
	if n < 2 || spawn.IsZero() {
		return Level{steps: []slant{{from: n, to: n}}}
	}
	return Level{steps: []slant{{from: 1, to: n, n: uint64(spawn.N), per: uint64(spawn.Per), last: uint64(n - 1)}}}
}

// ParseLevel reads numbers of users over time: stages separated by commas, each
// a number or two with ".." between them, a colon and how long:
//
//	0..300:30s,300:1m,..0:10s
//
// ".." alone goes on from where the last stage ended. After the end the number
// stays as it was. An error is a *ParseError.
func ParseLevel(s string) (Level, error) {
	p := parser{what: "users", s: s}
	var l Level
	for {
		p.space()
		from, to := p.counts(l)
		start := l.end
		d := p.stageLength(&l.end, "300")
		if p.err != nil {
			return Level{}, p.err
		}
		size := uint64(max(to-from, from-to))
		l.steps = append(l.steps, slant{start: start, from: from, to: to, n: size, per: uint64(d), last: size})
		if !p.take(",") {
			break
		}
	}
	p.end()
	if p.err != nil {
		return Level{}, p.err
	}
	return l, nil
}

// counts reads "A", "A..B" or "..B".
func (p *parser) counts(l Level) (from, to int) {
	start := p.i
	if p.take("..") {
		if len(l.steps) == 0 {
			p.fail(start, "there is no stage before to go on from; write 0..300")
			return
		}
		return l.steps[len(l.steps)-1].to, p.count()
	}
	from = p.count()
	if p.take("..") {
		return from, p.count()
	}
	return from, from
}

func (p *parser) count() int {
	start := p.i
	v, _ := p.number("number of users", separators)
	if v > math.MaxInt32 {
		p.fail(start, "more than %d users", math.MaxInt32)
		return 0
	}
	if p.err == nil && p.peek() == '/' {
		p.fail(p.i, "this is a rate, and users are plain numbers; give every stage a unit for rates, or none for users")
	}
	return int(v)
}

// At returns how many users there are to be at t: before the start as at the
// start, after the end as at the end.
func (l Level) At(t time.Duration) int {
	if len(l.steps) == 0 {
		return 0
	}
	t = max(t, 0)
	return l.steps[l.find(t)].at(t)
}

// find returns the last slant that begins at t or before.
func (l Level) find(t time.Duration) int {
	return max(sort.Search(len(l.steps), func(k int) bool { return l.steps[k].start > t })-1, 0)
}

func (s *slant) at(t time.Duration) int {
	done := int(s.taken(t))
	if s.to < s.from {
		return s.from - done
	}
	return s.from + done
}

// taken returns how many steps were taken at t: the number of j in [1, last]
// with ⌊j·per/n⌋ ≤ t-start, which is ⌈(t-start+1)·n/per⌉-1.
func (s *slant) taken(t time.Duration) uint64 {
	if s.last == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(t-s.start)+1, s.n)
	if hi >= s.per {
		return s.last
	}
	q, r := bits.Div64(hi, lo, s.per)
	if r == 0 {
		q--
	}
	return min(q, s.last)
}

// when returns the instant of step j.
func (s *slant) when(j uint64) time.Duration {
	hi, lo := bits.Mul64(j, s.per)
	if hi >= s.n {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, s.n)
	if q > uint64(math.MaxInt64-s.start) {
		return math.MaxInt64
	}
	return s.start + time.Duration(q)
}

// Next returns the first instant after t at which the number of users changes,
// and false when it never does again.
func (l Level) Next(t time.Duration) (time.Duration, bool) {
	now := l.At(t)
	if len(l.steps) == 0 {
		return 0, false
	}
	for k := l.find(max(t, 0)); k < len(l.steps); k++ {
		s := &l.steps[k]
		stop := time.Duration(math.MaxInt64)
		if k+1 < len(l.steps) {
			stop = l.steps[k+1].start
		}
		if stop <= t {
			continue
		}
		from := max(s.start, t)
		if s.at(from) != now {
			return from, true
		}
		if done := s.taken(from); done < s.last {
			if at := s.when(done + 1); at < stop {
				return at, true
			}
		}
	}
	return 0, false
}

// Length returns when the level ends, or 0 when it has no end of its own.
func (l Level) Length() time.Duration { return l.end }

// Max returns the largest number of users.
func (l Level) Max() int {
	most := 0
	for _, s := range l.steps {
		most = max(most, s.from, s.to)
	}
	return most
}

// String returns the level in the form that ParseLevel reads, or that of Users
// in words: "300 users", "300 users, 100/s".
func (l Level) String() string {
	if l.end == 0 {
		if len(l.steps) == 0 {
			return "0 users"
		}
		s := l.steps[len(l.steps)-1] // before it there is only what Delay put there
		text := strconv.Itoa(s.to) + " users"
		if s.to == 1 {
			text = "1 user"
		}
		if s.last > 0 {
			text += ", " + Rate{int64(s.n), time.Duration(s.per)}.String()
		}
		if s.start > 0 {
			text += ", from " + formatDuration(s.start)
		}
		return text
	}
	var b strings.Builder
	for k, s := range l.steps {
		if k > 0 {
			b.WriteByte(',')
		}
		if s.from != s.to {
			b.WriteString(strconv.Itoa(s.from) + "..")
		}
		stop := l.end
		if k+1 < len(l.steps) {
			stop = l.steps[k+1].start
		}
		b.WriteString(strconv.Itoa(s.to) + ":" + formatDuration(stop-s.start))
	}
	return b.String()
}
