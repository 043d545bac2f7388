package load

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/pace"
)

// Part is one of several loads of a plan, which go on side by side or one after
// another: that is in their Users and Arrivals (pace.Level.Delay, pace.Delay).
// Exactly one of Users, Arrivals and Led is set.
type Part struct {
	Name     string   // for people, when there are several; "" is "load 2"
	Scenario Scenario // nil: that of the plan. Its NewUser gets numbers from 0 in each part

	Users    pace.Level
	Arrivals pace.Pacer
	MaxUsers int // most users of Arrivals, 1 or more
	// Led, instead of Users and Arrivals: Engine.Lead says while the run goes on how
	// many users there are, none at first. It ends at End, or by Engine.Stop.
	Led bool

	// Lasting lets it go on when all of its users have stopped themselves.
	Lasting bool

	// End is when it ends, since the start of the run. 0: with the last step of
	// Users, or with the last arrival.
	End time.Duration
	// MaxRequests ends it, too: never more of it are handed to senders. 0: no limit.
	MaxRequests int64
	// Sleep is as that of the plan. Each part calls its own.
	Sleep func(ctx context.Context, until time.Time)
}

// model is how a part makes its users send.
type model interface {
	run(ctx context.Context) // until nobody will start any more
	halt()                   // let nobody start any more; drop what is left
	// nudge changes the load by n steps and says in a few words what it is now.
	nudge(n int) string
}

// part is a Part of a run.
type part struct {
	Part
	e     *Engine
	first int // the ID of its first user
	model model

	ctx   context.Context // senders and scenarios get it
	cut   context.CancelFunc
	plan  context.Context // of the model
	quit  context.CancelFunc
	over  atomic.Bool // it has ended; its iterations under way have Plan.StopTimeout
	taken atomic.Int64

	timer *time.Timer // of sleepUntil, without Sleep
}

// makeParts makes the parts of a run, ready to start.
func (e *Engine) makeParts(plan, hard context.Context) {
	users := 0
	for i := range e.plan.Parts {
		p := &part{Part: e.plan.Parts[i], e: e, first: users}
		if p.Scenario == nil {
			p.Scenario = e.plan.Scenario
		}
		if p.Sleep == nil {
			p.Sleep = e.plan.Sleep
		}
		if p.Name == "" {
			p.Name = fmt.Sprintf("load %d", i+1)
		}
		p.ctx, p.cut = context.WithCancel(hard)
		p.plan, p.quit = context.WithCancel(plan)
		users += p.most()
		e.parts = append(e.parts, p)
	}
	e.crew = newCrew(users, len(e.parts))
	e.extra.Store(int64(users))
	e.going.Store(int32(len(e.parts)))
	for _, p := range e.parts {
		if p.Arrivals != nil {
			p.model = newOpen(p)
		} else {
			p.model = &closed{p: p, e: e, level: p.Users}
		}
	}
}

// most returns how many users the part has at once.
func (p *Part) most() int {
	switch {
	case p.Arrivals != nil:
		return p.MaxUsers
	case p.Led:
		return ledUsers
	}
	return p.Users.Max()
}

// ledUsers is how many users of a part that is led have numbers in a row.
const ledUsers = 10_000

// alone reports whether there is no other part.
func (p *part) alone() bool { return len(p.e.parts) == 1 }

// id returns the number of user k of the part in the run. Users who were added
// by Engine.Nudge have numbers behind those of all parts.
func (p *part) id(k int) int {
	if k < p.most() {
		return p.first + k
	}
	return int(p.e.extra.Add(1) - 1)
}

// ended reports whether no iteration of the part begins any more.
func (p *part) ended() bool { return p.over.Load() || p.e.ended() }

// end ends the part, and the run with the last one. Without arm, iterations
// under way may take as long as they want.
func (p *part) end(reason string, arm bool) {
	if !p.over.CompareAndSwap(false, true) {
		return
	}
	e := p.e
	if e.going.Add(-1) == 0 {
		e.end(reason, arm)
		return
	}
	e.note("stage", fmt.Sprintf("%s ended: %s.", p.Name, reason))
	p.quit()
	if arm {
		time.AfterFunc(e.plan.StopTimeout, p.stop)
	}
}

// stop ends the part hard.
func (p *part) stop() {
	p.cut()
	p.model.halt()
}

// admit says that a request may be sent, or else why not.
func (p *part) admit() (refusal string) {
	if p.ctx.Err() != nil {
		return "the run was stopped"
	}
	if p.MaxRequests > 0 {
		n := p.taken.Add(1)
		if n == p.MaxRequests {
			p.end(usedUp(n), false)
		}
		if n > p.MaxRequests {
			return noBudget
		}
	}
	return p.e.admit()
}

// sleepUntil returns true at that instant of the run, or false when ctx is
// done. Only the model calls it.
func (p *part) sleepUntil(ctx context.Context, at time.Duration) bool {
	e := p.e
	for e.since() < at {
		if ctx.Err() != nil {
			return false
		}
		if p.Sleep != nil {
			p.Sleep(ctx, e.start.Add(at))
			continue
		}
		if p.timer == nil {
			p.timer = time.NewTimer(at - e.since())
		} else {
			p.timer.Reset(at - e.since())
		}
		select {
		case <-p.timer.C:
		case <-ctx.Done():
			p.timer.Stop()
		}
	}
	return ctx.Err() == nil
}
