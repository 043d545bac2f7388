package locust

import (
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
	allowed []string      // classes that the shape wants now; nil: all
	changed chan struct{} // closed when allowed changes
	target  int           // users wanted in the end
	rate    float64       // users started per second
	full    bool          // target was reached, and told
	fewer   bool          // it is below how many there were
	state   string
}

func (r *roster) init() { r.changed, r.state = make(chan struct{}), "ready" }

// recast returns what is closed when other classes are wanted.
func (r *roster) recast() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *roster) wanted(class int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.allowed == nil || slices.Contains(r.allowed, r.classes[class].Name)
}

// hire chooses the class of one more user among some of them, and counts it in:
// those with a fixed count first, then the one that lacks most by weight.
func (r *roster) hire(among []int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alive == nil {
		r.alive, r.places = make([]int, len(r.classes)), make([]int, len(r.classes))
	}
	best, lack := -1, 0.0
	weights, there := 0.0, 0
	fixed := -1
	for _, i := range among {
		c := &r.classes[i]
		if r.allowed != nil && !slices.Contains(r.allowed, c.Name) {
			continue
		}
		if c.FixedCount > 0 {
			if int64(r.places[i]) < c.FixedCount && (fixed < 0 || r.places[i] < r.places[fixed]) {
				fixed = i
			}
			continue
		}
		weights += c.Weight
		there += r.places[i]
	}
	if fixed >= 0 {
		best = fixed
	}
	for _, i := range among {
		c := &r.classes[i]
		if best == fixed && fixed >= 0 || c.FixedCount > 0 || r.allowed != nil && !slices.Contains(r.allowed, c.Name) {
			continue
		}
		share := 1.0
		if weights > 0 {
			share = c.Weight / weights
		}
		if d := share*float64(there+1) - float64(r.places[i]); best < 0 || d > lack+1e-9 {
			best, lack = i, d
		}
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

// aim sets how many users are wanted in the end.
func (r *roster) aim(n int, rate float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.full, r.fewer = n == r.placed && n > 0, n < r.placed
	r.target, r.rate = n, rate
	if r.state != "stopping" && !r.full {
		r.state = "spawning"
	}
}

// allow sets which classes are wanted; nil is all.
func (r *roster) allow(classes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.allowed, classes) && (r.allowed == nil) == (classes == nil) {
		return
	}
	r.allowed = classes
	close(r.changed)
	r.changed = make(chan struct{})
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
