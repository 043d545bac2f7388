// Package track follows limits from outside: a Track carries every state that
// they may be in, given what a client sent, when, and what came back.
//
// A client knows when it sent a request and when it had the answer. The server
// decided at some instant between. A Track never guesses that instant: it keeps
// all of them, and drops a state only when no instant explains the answer. So when
// no state is left, network delay alone cannot be the reason, and the limiter
// does not keep the policy.
//
// What a Track carries is a little more than what is possible, never less: times
// are rounded outward by nanoseconds, what several limits have to do with each
// other is forgotten between requests, and requests that were under way together
// are taken to have been decided in any order. That costs some power to
// tell policies apart, and never a false accusation.
package track

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/limit"
)

// State is one count at the server: a policy and a key. With several Limits it is
// a limit.Counter, whose views differ in nothing but the limit.
type State struct {
	Policy limit.Policy
	Limits []int64 // of each view; empty: one, the policy's own

	// Unrested, when not zero, is an instant before the first request at which
	// nothing is known of the state: others may have used it. Zero: it is as good
	// as new.
	Unrested time.Time
}

// Options say what is known of the server. The zero value says that its clock
// shows the same as the client's.
type Options struct {
	// Origin is where the windows of a limit.Quota without a Start count from,
	// and when every State is as good as new. Zero: the Unix epoch.
	Origin time.Time

	// Skew is how far the server's clock may be from the client's, in either
	// direction. At least a window's length means that nothing is known about
	// where windows begin.
	Skew time.Duration

	// Hold is how long the server works on an admitted request at least, and
	// Release how long after its answer it may count a request as still being
	// worked on. Both are for limit.Concurrency.
	Hold, Release time.Duration

	// Chain says that limits are asked in order, as limit.Chain does. Else they
	// are asked together, as limit.All does.
	Chain bool
}

// Ask is what a request takes of one State.
type Ask struct {
	State int
	View  int   // of State.Limits
	Cost  int64 // units, at least 1
}

// Request is one request and its answer.
type Request struct {
	Sent, Done time.Time // just before the first byte went, and when the answer was in
	Allowed    bool
}

// Wave is requests that asked the same, and were under way together; mostly one.
type Wave struct {
	Asks     []Ask
	Requests []Request
}

// Verdict is what an answer says about the policies.
type Verdict uint8

const (
	Consistent Verdict = iota // some state explains it
	TooMany                   // admitted, where every state refuses
	TooFew                    // refused, where every state admits
)

// String returns one or two words.
func (v Verdict) String() string {
	return [...]string{"consistent", "too many", "too few"}[v]
}

// Track follows a set of states. Make one with New. It is not safe for
// concurrent use.
type Track struct {
	specs   []*spec
	sets    [][]box
	opt     Options
	last    int64
	lost    string
	blocked int // the state that could not explain the latest wave
}

// New returns a Track of states that are all as good as new at the origin. The
// error names the policy that is not valid.
func New(states []State, o Options) (*Track, error) {
	t := &Track{opt: o, last: -1 << 62, blocked: -1}
	for i, s := range states {
		sp, err := newSpec(s, o)
		if err != nil {
			return nil, fmt.Errorf("state %d: %w", i, err)
		}
		set := []box{sp.fresh()}
		if !s.Unrested.IsZero() {
			if set = sp.unrested(s.Unrested.UnixNano()); len(set) == 0 {
				t.lost = "what it holds at the start cannot be followed"
			}
		}
		t.specs = append(t.specs, sp)
		t.sets = append(t.sets, set)
	}
	return t, nil
}

// Clone returns an independent Track in the same state.
func (t *Track) Clone() *Track {
	c := *t
	c.sets = make([][]box, len(t.sets))
	for i, set := range t.sets {
		c.sets[i] = make([]box, len(set))
		for j, b := range set {
			c.sets[i][j] = b.clone()
		}
	}
	return &c
}

// Lost says why the Track can tell nothing any more, "" while it can: an answer
// took as long as many windows, say. Every later answer is Consistent.
func (t *Track) Lost() string { return t.lost }

// Blocked is the index of the State that had no explanation for the latest Wave
// whose verdict was not Consistent; -1 before, and when several might have been
// the one.
func (t *Track) Blocked() int { return t.blocked }

// See takes in a wave. Waves must be given in the order in which they were sent,
// and one that overlaps the wave before it makes the Track lost. After a verdict
// other than Consistent the states are what they were before.
func (t *Track) See(w Wave) Verdict {
	if t.lost != "" || len(w.Requests) == 0 {
		return Consistent
	}
	o := observe(w)
	switch {
	case o.done < o.sent:
		t.lost = "an answer came before its request"
	case o.sent < t.last:
		t.lost = "requests overlapped that were not given as one wave"
	}
	for _, a := range w.Asks {
		if ban := int64(t.specs[a.State].policy.Ban); ban > 0 && t.lost == "" && o.done-o.sent >= ban {
			t.lost = "an answer took as long as a ban"
		}
	}
	if t.lost != "" {
		return Consistent
	}
	if len(w.Asks) == 1 && !t.early(w.Asks[0], o) {
		t.blocked = w.Asks[0].State
		return TooFew
	}
	next := make([][]box, len(w.Asks))
	for i, a := range w.Asks {
		set, ok := t.admit(a, &o)
		if !ok {
			t.blocked = a.State
			return TooMany
		}
		next[i] = set
	}
	if o.refused > 0 && !t.refuse(w.Asks, next, &o) {
		return TooFew
	}
	for i, a := range w.Asks {
		t.sets[a.State] = t.tidy(next[i])
	}
	t.last = o.done
	return Consistent
}

// Expect tells what the answer to one more request could be, if the server
// decides between sent and done.
func (t *Track) Expect(asks []Ask, sent, done time.Time) (allowed, refused bool) {
	if t.lost != "" {
		return true, true
	}
	try := func(ok bool) bool {
		return t.Clone().See(Wave{Asks: asks, Requests: []Request{{Sent: sent, Done: done, Allowed: ok}}}) == Consistent
	}
	return try(true), try(false)
}

// Remaining tells how many units a State may have left, as a look by view at an
// instant between sent and done would find.
func (t *Track) Remaining(state, view int, sent, done time.Time) (least, most int64) {
	sp := t.specs[state]
	if t.lost != "" {
		return 0, sp.room(view)
	}
	least, most = sp.room(view), 0
	for _, b := range t.sets[state] {
		lo, hi := b.left(sent.UnixNano(), done.UnixNano(), sp.limits[view])
		least, most = min(least, lo), max(most, hi)
	}
	return max(0, least), min(sp.room(view), most)
}

// admit steps a state over the admitted requests of a wave.
func (t *Track) admit(a Ask, o *observation) ([]box, bool) {
	set := make([]box, len(t.sets[a.State]))
	for i, b := range t.sets[a.State] {
		set[i] = b.clone()
	}
	for range o.allowed {
		set = each(set, func(b box) []box { return b.allow(o, a.Cost, t.specs[a.State].limits[a.View]) })
		if len(set) == 0 {
			return nil, false
		}
		set = t.tidy(set)
	}
	set = slices.DeleteFunc(set, func(b box) bool { return !b.together(o, a.Cost, t.specs[a.State].limits[a.View]) })
	return set, len(set) > 0
}

// early tells whether the first refusal of a wave has an explanation within the
// time that refusals took. Admitted requests may have taken much longer, as those
// do that a queue holds back or an API works on: what was decided later than the
// latest answer of a refused one cannot be why it was refused.
func (t *Track) early(a Ask, o observation) bool {
	latest := int64(math.MinInt64)
	for _, r := range o.requests {
		if !r.Allowed {
			latest = max(latest, r.Done.UnixNano())
		}
	}
	switch sp := t.specs[a.State]; {
	case o.refused == 0 || sp.policy.Algorithm == limit.Concurrency:
		return true
	case sp.policy.Algorithm == limit.TokenBucket || sp.policy.Algorithm == limit.LeakyBucket:
		return slices.ContainsFunc(t.sets[a.State], func(b box) bool { return b.(*level).overflows(&o, a.Cost) })
	case latest >= o.done:
		return true
	}
	o.done = latest
	lim := t.specs[a.State].limits[a.View]
	set := t.sets[a.State]
	for before := 0; len(set) > 0; before++ { // as many were admitted before it
		for _, b := range set {
			if len(b.clone().refuse(&o, a.Cost, lim)) > 0 {
				return true
			}
		}
		if before == o.allowed {
			return false
		}
		set = t.tidy(each(set, func(b box) []box { return b.clone().allow(&o, a.Cost, lim) }))
	}
	return false
}

// refuse steps the states over the refused requests of a wave. next holds the
// states after the admitted ones, and those after all when it returns.
func (t *Track) refuse(asks []Ask, next [][]box, o *observation) bool {
	var able []int
	stepped := make([][]box, len(asks))
	for i, a := range asks {
		lim := t.specs[a.State].limits[a.View]
		n := o.refused
		if len(asks) > 1 {
			n = 1 // the others may have been refused by another limit
		}
		set := next[i]
		for ; n > 0 && len(set) > 0; n-- {
			set = t.tidy(each(set, func(b box) []box { return b.clone().refuse(o, a.Cost, lim) }))
		}
		if len(set) > 0 {
			able = append(able, i)
			stepped[i] = set
		}
	}
	if len(able) == 0 {
		t.blocked = -1
		if len(asks) == 1 {
			t.blocked = asks[0].State
		}
		return false
	}
	by := -1 // the one that refused, where that is known
	if len(able) == 1 && (len(asks) == 1 || o.refused == 1) {
		by = able[0]
	}
	for i, a := range asks {
		sp := t.specs[a.State]
		admit := func(b box) []box { return b.allow(o, a.Cost, sp.limits[a.View]) }
		heeds := sp.policy.CountDenied || sp.policy.Ban > 0
		charge := func(b box) []box {
			if sp.policy.Ban > 0 { // it may have refused, too
				return append(b.clone().refuse(o, a.Cost, sp.limits[a.View]), b.charge(o, a.Cost)...)
			}
			return b.charge(o, a.Cost)
		}
		either := func(b box) []box {
			if heeds {
				return append(charge(b.clone()), admit(b)...)
			}
			return admit(b)
		}
		switch {
		case i == by:
			next[i] = stepped[i]
		case t.opt.Chain && by >= 0 && i > by:
			// It never heard of them.
		case t.opt.Chain && sp.policy.Algorithm == limit.Concurrency:
			// It let them pass, or never heard of them, and has its units back.
		case t.opt.Chain && by >= 0:
			next[i] = t.union(next[i], o, admit, false)
		case t.opt.Chain:
			next[i] = t.union(next[i], o, either, true)
		case heeds:
			next[i] = t.union(next[i], o, charge, false)
		}
	}
	return true
}

// union steps a set once for each refused request; with keep, each of those steps
// may or may not have happened.
func (t *Track) union(set []box, o *observation, f func(box) []box, keep bool) []box {
	for range o.refused {
		after := each(set, func(b box) []box { return f(b.clone()) })
		if keep {
			after = append(after, set...)
		}
		if len(after) == 0 {
			return set
		}
		set = t.tidy(after)
	}
	return set
}

func each(set []box, f func(box) []box) []box {
	out := make([]box, 0, len(set)+1)
	for _, b := range set {
		out = append(out, f(b)...)
	}
	return out
}

// most is how many boxes of one state are kept apart.
const most = 12

// tidy merges boxes that are alike, and more when there are many.
func (t *Track) tidy(set []box) []box {
	if len(set) < 2 {
		return set
	}
	set = merge(set, false)
	if len(set) > most {
		set = merge(set, true)
	}
	if len(set) > most {
		t.lost = "an answer took as long as many windows"
	}
	return set
}

func merge(set []box, force bool) []box {
	out := set[:0:0]
next:
	for _, b := range set {
		for _, kept := range out {
			if kept.absorb(b, force) {
				continue next
			}
		}
		out = append(out, b)
	}
	return out
}
