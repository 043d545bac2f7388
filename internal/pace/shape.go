package pace

import (
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	// ShapeStep is how often a Shape is asked.
	ShapeStep = time.Second
	// MaxShape is the longest a Shape may go on without an end of its own.
	MaxShape = 24 * time.Hour

	maxShapeUsers = 1_000_000
)

// Point is the load that a Shape asks for: users, or a rate of arrivals.
type Point struct {
	Users int
	Spawn Rate // how fast users come or go until there are Users; the zero rate: at once
	Rate  Rate // arrivals, when Open
	Open  bool
}

// Shape is load as a function of the time since it began: it is asked once for
// each whole second before anything is sent, so it must depend on nothing else.
// more is false when the load ends there.
type Shape func(at time.Duration) (p Point, more bool, err error)

// Drawing is a Shape as a plan: exactly one of Level and Stages is set.
type Drawing struct {
	Level  Level
	Stages Stages
	Open   bool
	Length time.Duration
}

// Draw asks the shape for the load of each second, up to length or, when that is
// 0, until it ends. An error of it names the second.
func Draw(shape Shape, length time.Duration) (*Drawing, error) {
	d := &Drawing{}
	most := length
	if most <= 0 {
		most = MaxShape
	}
	var last Point
	at := time.Duration(0)
	for ; at < most; at += ShapeStep {
		p, more, err := shape(at)
		if err != nil {
			return nil, fmt.Errorf("the shape at %v: %w", at, err)
		}
		if !more {
			break
		}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("the shape at %v: %w", at, err)
		}
		if at == 0 {
			d.Open = p.Open
		} else if d.Open != p.Open {
			return nil, fmt.Errorf("the shape at %v: it asks for users at one time and for a rate at another: keep to one", at)
		}
		switch {
		case p.Open:
			d.hold(p.Rate)
		case at == 0 || p != last:
			d.Level.lead(at, p)
		}
		last = p
	}
	if at == 0 {
		return nil, errors.New("the shape ends before it begins: it has no load at 0 s")
	}
	if at >= most {
		if length <= 0 {
			return nil, fmt.Errorf("the shape does not end within %v: let it end, or say how long the run is to be", MaxShape)
		}
		at = length
	}
	d.Length = at
	if d.Open {
		d.Stages.cut(at)
	} else {
		d.Level.end = at
		if d.Level.Max() == 0 {
			return nil, errors.New("the shape never has any users")
		}
	}
	return d, nil
}

func (p Point) check() error {
	if p.Open || p.Users >= 0 && p.Users <= maxShapeUsers {
		return nil
	}
	return fmt.Errorf("%d users: want a number from 0 to %d", p.Users, maxShapeUsers)
}

// hold adds a second at the rate.
func (d *Drawing) hold(r Rate) {
	if n := len(d.Stages); n > 0 && d.Stages[n-1].To == r {
		d.Stages[n-1].For += ShapeStep
		return
	}
	d.Stages = append(d.Stages, Stage{From: r, To: r, For: ShapeStep})
}

// cut makes the stages end at that instant, which is in the last one.
func (s Stages) cut(end time.Duration) {
	var sum time.Duration
	for i := range s {
		s[i].For = min(s[i].For, end-sum)
		sum += s[i].For
	}
}

// lead lets the number of users go to that of p, beginning at that instant. The
// first user of a step comes or goes at once.
func (l *Level) lead(at time.Duration, p Point) {
	now := l.At(at)
	if len(l.steps) == 0 {
		now = 0
	}
	size := max(p.Users-now, now-p.Users)
	if size < 2 || p.Spawn.IsZero() {
		l.steps = append(l.steps, slant{start: at, from: p.Users, to: p.Users})
		return
	}
	first := now + 1
	if p.Users < now {
		first = now - 1
	}
	l.steps = append(l.steps, slant{start: at, from: first, to: p.Users, n: uint64(p.Spawn.N), per: uint64(p.Spawn.Per), last: uint64(size - 1)})
}

// PerSecond returns the rate of f per second, to a millionth.
func PerSecond(f float64) (Rate, error) {
	const per = 1_000_000
	if !(f >= 0 && f <= 1e9) {
		return Rate{}, fmt.Errorf("%v is no rate per second: want a number from 0 to 1e9", f)
	}
	return Rate{N: int64(math.Round(f * per)), Per: per * time.Second}, nil
}
