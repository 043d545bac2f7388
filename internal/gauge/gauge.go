// Package gauge follows what a service says about its limits: a Gauge is what
// the limit headers of one endpoint have told of one limit over time, how fast it
// is being used up, and when it will be, at the present rate.
//
// A Gauge does not know how the service counts. It looks at what was told: what
// is left falls as requests are sent and rises as the service gives back, all at
// once (windows), steadily (buckets), or as old requests are forgotten (sliding
// windows). What has not been seen yet is not guessed: the forecast says then
// until when nothing can happen, and that it does not know what follows.
package gauge

import (
	"math"
	"time"

	"github.com/weir-dev/weir/internal/header"
)

// Sample is one answer that told of a limit. All instants count from the start of
// the run.
type Sample struct {
	At     time.Duration // when the service counted it, as well as that is known
	User   int           // who asked
	Spent  int64         // units that this run had taken from the limit up to it
	Flight int64         // requests under way then: by so many samples may be out of order
	Limit  header.Limit
}

// keep is how many samples a Gauge remembers. When there are more it keeps every
// second one, of the latest memory, so that it sees further back.
const (
	keep   = 240
	memory = 2 * time.Minute
)

// Gauge is the history of one limit. The zero value has none. It is not safe for
// concurrent use.
type Gauge struct {
	list   []Sample // ascending by At; every one tells what is left
	latest Sample
	least  int64
	read   int64
	gap    time.Duration // samples nearer than this to the one before are not kept
	keys   map[string]bool
	cross  int // pairs of samples by different users
	ups    int // of them: more left than can have been given back
	drops  int // of them: less left than can have been taken
}

// Add takes a sample. One that is older than the latest is only counted.
func (g *Gauge) Add(s Sample) {
	left := s.Limit.Remaining
	if g.read == 0 || left != header.Unknown && (g.least == header.Unknown || left < g.least) {
		g.least = left
	}
	g.read++
	if g.read > 1 && s.At < g.latest.At {
		return
	}
	if s.Limit.Key != "" && len(g.keys) < 2 {
		if g.keys == nil {
			g.keys = map[string]bool{}
		}
		g.keys[s.Limit.Key] = true
	}
	if g.read > 1 {
		g.compare(g.latest, s)
	}
	g.latest = s
	if left == header.Unknown {
		return
	}
	if n := len(g.list); n > 0 {
		if old := g.list[n-1]; old.Limit.Quota != s.Limit.Quota || old.Spent > s.Spent {
			g.list = g.list[:0] // another limit: what was seen of the old one says nothing
		} else if s.At-old.At < g.gap && !jumped(old, s) {
			return
		}
	}
	if len(g.list) == keep {
		first := g.list[0].At
		half := g.list[:0]
		for i, x := range g.list {
			if i%2 == 1 && (x.At >= s.At-memory) {
				half = append(half, x)
			}
		}
		g.list = half
		g.gap = min(max(2*g.gap, (s.At-first)/keep), 2*memory/keep)
	}
	g.list = append(g.list, s)
}

// jumped says that something was given back between two samples.
func jumped(a, b Sample) bool { return b.Limit.Remaining > a.Limit.Remaining }

// compare looks whether two samples can be of one count.
func (g *Gauge) compare(a, b Sample) {
	if a.User == b.User || a.Limit.Remaining == header.Unknown || b.Limit.Remaining == header.Unknown {
		return
	}
	g.cross++
	slack := 3 + max(a.Flight, b.Flight)
	fell, taken := a.Limit.Remaining-b.Limit.Remaining, b.Spent-a.Spent
	switch {
	case fell > taken+slack:
		g.drops++
	case -fell > slack && (a.Limit.ResetAfter == header.Unknown || b.At < a.At+a.Limit.ResetAfter-time.Second):
		g.ups++
	}
}

// Differs reports whether the answers can only be true if not all users share a
// count: each has one, or the service keeps several.
func (g *Gauge) Differs() bool {
	return len(g.keys) > 1 || g.ups >= 3 && g.drops >= 3 && g.ups+g.drops >= g.cross/20
}

// Latest returns the latest sample, and how many there were.
func (g *Gauge) Latest() (s Sample, read int64) { return g.latest, g.read }

// Least returns the smallest number left that was told since the call before,
// header.Unknown when none was.
func (g *Gauge) Least() int64 {
	least := g.least
	g.least = g.latest.Limit.Remaining
	return least
}

// Stands reports whether the told reset has stood still while time passed, as
// the end of a window does and when a bucket will be full does not.
func (g *Gauge) Stands() bool {
	if len(g.list) < few {
		return false
	}
	from := len(g.list) - 1
	for last := g.list[from].At; from > 0 && last-g.list[from-1].At < 3*resetStep; from-- {
	}
	v := &view{list: g.list[from:]}
	v.resets()
	return v.fixed()
}

// Rate returns the units that this run takes from the limit each second, over the
// latest five seconds or so.
func (g *Gauge) Rate() float64 {
	n := len(g.list)
	if n < 2 {
		return 0
	}
	last := g.list[n-1]
	first := n - 2
	for first > 0 && last.At-g.list[first].At < 5*time.Second {
		first--
	}
	return perSecond(last.Spent-g.list[first].Spent, last.At-g.list[first].At)
}

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// recent is the part of the list in which the rate was what it is now.
func (g *Gauge) recent() []Sample {
	list := g.list
	n := len(list)
	last := list[n-1]
	i := n - 1
	for i > 0 && last.At-list[i-1].At <= 3*time.Second {
		i--
	}
	base := perSecond(last.Spent-list[i].Spent, last.At-list[i].At)
	// Go back for as long as the rate of a stretch is that of the latest three seconds.
	for i > 0 {
		j := i
		for j > 0 && list[i].At-list[j-1].At <= 3*time.Second {
			j--
		}
		if j == i {
			j = i - 1
		}
		taken := float64(list[i].Spent - list[j].Spent)
		want := base * (list[i].At - list[j].At).Seconds()
		if math.Abs(taken-want) > 4*math.Sqrt(max(want, 1))+0.15*want {
			break
		}
		i = j
	}
	return list[i:]
}
