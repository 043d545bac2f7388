package main

import (
	"math/rand/v2"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// routing is how a balancer chooses among replicas.
type routing uint8

const (
	atRandom  routing = iota // as kube-proxy does
	inTurn                   // strict round robin, as nginx by default
	leastBusy                // to who has the fewest under way, in turn among equals, as HAProxy's leastconn
	sticky                   // each connection has its replica, as a balancer of TCP connections does
	routings
)

var routingNames = [routings]string{"at random", "in turn", "least connections", "by connection"}

// connections is how many connections a client of the world has, as the command.
const connections = 200

// router is a balancer.
type router struct {
	how  routing
	rng  *rand.Rand
	last int
	busy []int       // requests under way
	ends []finish    // of these, soonest first
	of   map[int]int // the replica of a connection
}

type finish struct {
	at      time.Time
	replica int
}

func (r *router) route(at time.Time, connection int) int {
	n := len(r.busy)
	if n == 1 {
		return 0
	}
	for len(r.ends) > 0 && !r.ends[0].at.After(at) {
		r.busy[r.ends[0].replica]--
		r.ends = r.ends[1:]
	}
	switch r.how {
	case inTurn:
		r.last = (r.last + 1) % n
	case leastBusy:
		best := -1
		for k := 1; k <= n; k++ {
			if i := (r.last + k) % n; best < 0 || r.busy[i] < r.busy[best] {
				best = i
			}
		}
		r.last = best
	case sticky:
		to, ok := r.of[connection]
		if !ok || connection == 0 { // others come with connections of their own
			to = r.rng.IntN(n)
			if r.of == nil {
				r.of = map[int]int{}
			}
			r.of[connection] = to
		}
		return to
	default:
		return r.rng.IntN(n)
	}
	return r.last
}

// works notes that a replica works on a request until an instant.
func (r *router) works(replica int, until time.Time) {
	if r.how != leastBusy || len(r.busy) == 1 {
		return
	}
	r.busy[replica]++
	i := len(r.ends)
	for i > 0 && r.ends[i-1].at.After(until) {
		i--
	}
	r.ends = append(r.ends[:i:i], append([]finish{{until, replica}}, r.ends[i:]...)...)
}

// spread draws a balancer, and where the windows of each replica begin: all with the
// clock, or each when it was started. Windows of one clock behind strict turns are
// left out: whatever is sent, they answer as one limit of their sum does.
func (tr *truth) spread(r *rand.Rand) {
	tr.routing = routing(r.IntN(int(routings)))
	p := tr.policies[0]
	if p.Algorithm != limit.FixedWindow || p.Align == limit.AlignFirst {
		return
	}
	if own := r.IntN(2) == 0; own || tr.routing == inTurn || tr.routing == leastBusy {
		for range tr.replicas {
			tr.phases = append(tr.phases, time.Duration(r.Int64N(int64(p.Window))))
		}
	}
}

// asOne tells whether the replicas answer as one limit of their sum, whatever is sent:
// reached in turn, with windows of one clock, or buckets that give back a request's
// worth sooner than the network tells instants apart (within half a round trip, which is
// as much as one request may come later than another).
func (tr *truth) asOne() bool {
	if tr.routing != inTurn && tr.routing != leastBusy {
		return false
	}
	p := tr.policies[0]
	if p.Burst > 0 {
		return per(p) < tr.network.Seconds()/2
	}
	return p.Align != limit.AlignFirst && tr.phases == nil
}

// route makes all replicas be reached in one way, named by number; -1: as drawn.
func (tr *truth) route(how int) {
	if how < 0 || tr.family != probe.Replicas {
		return
	}
	tr.routing = routing(how)
	p := tr.policies[0]
	if clock := p.Algorithm == limit.FixedWindow && p.Align != limit.AlignFirst; !clock || tr.phases != nil || how != int(inTurn) && how != int(leastBusy) {
		return
	}
	for i := range tr.replicas {
		tr.phases = append(tr.phases, (p.Phase+time.Duration(0.618*float64(i)*float64(p.Window)))%p.Window)
	}
}
