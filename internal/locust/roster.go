package locust

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// roster is who is there, of which class. It is safe for concurrent use.
type roster struct {
	mu      sync.Mutex
	classes []Class // of the script
	alive   []int   // by class
	total   int
	// places are those that were given out and not been taken back: of users who are
	// there, or who ended by themselves, as Locust's plan has it.
	places  []int
	placed  int
	allowed []string // classes of which users are started now; nil: all
	target  int      // users wanted in the end
	rate    float64  // users started per second
	full    bool     // target was reached, and told
	fewer   bool     // it is below how many there were
	state   string
}

func (r *roster) init() { r.state = "ready" }

// hire chooses the class of one more user among some of them, and counts it in:
// those with a fixed count first, then the one that closest keeps the weights.
func (r *roster) hire(among []int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alive == nil {
		r.alive, r.places = make([]int, len(r.classes)), make([]int, len(r.classes))
	}
	best := r.next(among, func(i int) float64 {
		if c := &r.classes[i]; int64(r.places[i]) < c.FixedCount {
			return float64(c.FixedCount)
		}
		return 0
	})
	if best < 0 {
		best = r.next(among, func(i int) float64 {
			if r.classes[i].FixedCount > 0 {
				return 0
			}
			return r.classes[i].Weight
		})
	}
	if best < 0 { // only fixed ones, all there: evenly, rather than idle
		best = among[0]
		for _, i := range among {
			if r.places[i] < r.places[best] {
				best = i
			}
		}
	}
	r.places[best]++
	r.placed++
	r.alive[best]++
	r.total++
	return best
}

// next returns which of some classes the next user is of, -1 when none has a
// weight: the one by which the shares of those who are there come closest to the
// weights, in Kullback and Leibler's measure, as Locust chooses. Weights of 8, 1
// and 1 give each class one of the first six users, so that a small run, too, has
// every class in it.
func (r *roster) next(among []int, weight func(int) float64) int {
	best, least, size := -1, 0.0, 0.0
	for _, i := range among {
		w := weight(i)
		if w <= 0 || r.allowed != nil && !slices.Contains(r.allowed, r.classes[i].Name) {
			continue
		}
		n := w + float64(r.places[i])
		d := w * math.Log2(n/(n+1))
		if best >= 0 {
			order := cmp.Or(cmp.Compare(d, least), cmp.Compare(n, size), cmp.Compare(r.classes[i].Name, r.classes[best].Name))
			if order >= 0 {
				continue
			}
		}
		best, least, size = i, d, n
	}
	return best
}

// started is told when a user that was hired has been started.
func (r *roster) started(b *Bridge) { r.look(b) }

// left counts a user out; byItself tells that nobody takes its place.
func (r *roster) left(b *Bridge, class int, byItself bool) {
	r.mu.Lock()
	if !byItself {
		r.places[class]--
		r.placed--
	}
	r.alive[class]--
	r.total--
	r.mu.Unlock()
	r.look(b)
}

// look tells the script and whoever listens when there are as many as wanted.
func (r *roster) look(b *Bridge) {
	r.mu.Lock()
	there := r.placed >= r.target
	if r.fewer {
		there = r.placed <= r.target
	}
	full := !r.full && r.target > 0 && there && r.state != "stopping" && r.state != "stopped"
	if full {
		r.full, r.state = true, "running"
	}
	n := r.total
	r.mu.Unlock()
	b.opts.Book.Users(n, time.Now())
	if full {
		by := r.byClass()
		b.opts.Book.UsersByClass(by)
		b.opts.Notify(Event{Kind: "spawned", N: n, ByClass: by})
		go b.fire(map[string]any{"event": "spawning_complete", "user_count": n})
	}
}

// aim sets how many users are wanted in the end. look is to be called after it: there
// may be as many already, which Locust tells again.
func (r *roster) aim(n int, rate float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.full, r.fewer = false, n < r.placed
	r.target, r.rate = n, rate
	if r.state != "stopping" {
		r.state = "spawning"
	}
}

// allow sets of which classes users are started from now on; nil is as before. Those
// who are there stay, as in Locust.
func (r *roster) allow(classes []string) {
	if classes == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allowed = classes
}

func (r *roster) set(state string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = state
}

func (r *roster) byClass() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	by := make(map[string]int, len(r.classes))
	for i, c := range r.classes {
		by[c.Name] = 0
		if i < len(r.alive) {
			by[c.Name] = r.alive[i]
		}
	}
	return by
}

// counts is what runner.user_count and its like say.
type counts struct {
	Event   string         `json:"event,omitempty"`
	State   string         `json:"state"`
	Users   int            `json:"user_count"`
	Target  int            `json:"target_user_count"`
	ByClass map[string]int `json:"by_class"`
	Rate    float64        `json:"spawn_rate"`
}

// news is counts as an event.
func (r *roster) news() counts {
	c := r.counts()
	c.Event = "state"
	return c
}

func (r *roster) counts() counts {
	by := r.byClass()
	r.mu.Lock()
	defer r.mu.Unlock()
	return counts{State: r.state, Users: r.total, Target: r.target, ByClass: by, Rate: r.rate}
}

// Nudged takes that somebody has changed by hand how many users are wanted, by so
// many: the script hears of it, and again once they are there.
func (b *Bridge) Nudged(step int) {
	r := &b.crew
	r.mu.Lock()
	n := max(r.target+step, 0)
	r.mu.Unlock()
	r.aim(n, nudgeRate)
	r.look(b)
}

// nudgeRate is what Locust says that its keys start users with, per second.
const nudgeRate = 100
