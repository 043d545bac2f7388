package track

import (
	"time"

	"github.com/weir-dev/weir/limit"
)

// grid numbers the windows of a clock.
type grid interface {
	index(t int64) int64 // the window that holds the instant t
	head(k int64) int64  // the instant at which window k begins
}

// evenGrid has windows of one width; window 0 begins at base.
type evenGrid struct{ base, width int64 }

func (g evenGrid) index(t int64) int64 {
	d := t - g.base
	k := d / g.width
	if d%g.width < 0 {
		k--
	}
	return k
}

func (g evenGrid) head(k int64) int64 { return g.base + k*g.width }

// calendarGrid has the periods of a calendar. It asks the limiter itself where
// they end, and numbers them as it meets them.
type calendarGrid struct {
	policy limit.Policy
	heads  []int64 // of windows 0 and following
}

func (g *calendarGrid) end(t int64) int64 {
	at := time.Unix(0, t)
	l, err := g.policy.New(at)
	if err != nil {
		return t + int64(time.Hour) // New accepted it before
	}
	return t + int64(l.Take(at, 1).ResetAfter)
}

// longest is more than any period.
const longest = int64(370 * 24 * time.Hour)

func (g *calendarGrid) index(t int64) int64 {
	if len(g.heads) == 0 {
		// Window 0 is the one two years ago, so that none asked for is before it.
		g.heads = []int64{g.end(t - 2*longest)}
		if g.policy.Period == limit.PerHour || g.policy.Period == limit.PerDay || g.policy.Period == limit.PerWeek {
			g.heads = []int64{g.end(t - int64(30*24*time.Hour))}
		}
	}
	for g.heads[len(g.heads)-1] <= t {
		g.heads = append(g.heads, g.end(g.heads[len(g.heads)-1]))
	}
	for k := len(g.heads) - 1; k >= 0; k-- {
		if g.heads[k] <= t {
			return int64(k)
		}
	}
	return 0
}

func (g *calendarGrid) head(k int64) int64 {
	if k < 0 || len(g.heads) == 0 {
		return -1 << 62
	}
	for int64(len(g.heads)) <= k {
		g.heads = append(g.heads, g.end(g.heads[len(g.heads)-1]))
	}
	return g.heads[k]
}
