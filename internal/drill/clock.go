package drill

import (
	"context"
	"time"
)

// Clock is the time of the side that is to notice. The zero value is this machine's.
// A stand-in's may run faster: what is told and bounded is in its time, and waiting
// takes as long as it says.
type Clock struct {
	local, there time.Time
	speed        float64 // 0: this machine's own
}

// NewClock is a clock that showed an instant at an instant of this machine, and goes
// so many times faster than this one.
func NewClock(local, there time.Time, speed float64) Clock {
	return Clock{local: local, there: there, speed: max(speed, 1)}
}

// Now is its time now.
func (c Clock) Now() time.Time { return c.At(time.Now()) }

// At is its time at an instant of this machine.
func (c Clock) At(t time.Time) time.Time {
	if c.speed == 0 {
		return t.Round(0).UTC()
	}
	return c.there.Add(time.Duration(float64(t.Sub(c.local)) * c.speed)).Round(0).UTC()
}

// Real is how long a time of it takes here.
func (c Clock) Real(d time.Duration) time.Duration {
	if c.speed == 0 {
		return d
	}
	return time.Duration(float64(d) / c.speed)
}

// Own says whether it is this machine's.
func (c Clock) Own() bool { return c.speed == 0 }

// Speed is how many times faster than this machine's it goes.
func (c Clock) Speed() float64 { return max(c.speed, 1) }

// Sleep waits for a time of it, or until ctx ends.
func (c Clock) Sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(c.Real(d))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
