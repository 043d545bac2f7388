package weir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/crowd"
	"github.com/weir-dev/weir/internal/load"
)

// cast is some of the classes of a scenario as that of one load of a run.
type cast struct {
	sc       *scenario
	classes  []*class
	staff    *crowd.Staff
	arrivals bool         // the load has an arrival rate
	n        atomic.Int64 // arrivals so far
}

// part returns the scenario of one load: its users are of the classes of these
// names, of all of them when there are none.
func (sc *scenario) part(classes []string, arrivals bool) (load.Scenario, error) {
	if len(classes) == 0 {
		return sc.cast(sc.classes, arrivals)
	}
	var chosen []*class
	for _, want := range classes {
		if !slices.Contains(sc.known, want) {
			return nil, fmt.Errorf("a profile is for the class %s: there are %s", want, strings.Join(sc.known, ", "))
		}
		for _, k := range sc.classes {
			if k.name == want {
				chosen = append(chosen, k)
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("a profile is for %v, which --class or the tags leave out", classes)
	}
	return sc.cast(chosen, arrivals)
}

func (sc *scenario) cast(classes []*class, arrivals bool) (*cast, error) {
	var shares []crowd.Share
	for _, k := range classes {
		if k.fixed > 0 && arrivals {
			return nil, fmt.Errorf("class %s has a FixedCount, which counts users; with an arrival rate give it a Weight", k.name)
		}
		shares = append(shares, crowd.Share{Weight: k.weight, Fixed: k.fixed})
	}
	return &cast{sc: sc, classes: classes, staff: crowd.New(shares), arrivals: arrivals}, nil
}

// NewUser makes a user of the whole scenario.
func (sc *scenario) NewUser(k int, s *load.Session) (load.User, error) { return sc.whole.NewUser(k, s) }

// NewUser makes user k, of the class whose turn it is, and runs its OnStart.
func (c *cast) NewUser(k int, s *load.Session) (load.User, error) {
	v, ok := c.sc.wires.LoadAndDelete(s.ID())
	if !ok {
		return nil, errors.New("the plan's senders do not come from the scenario")
	}
	w := v.(*wire)
	if c.arrivals && len(c.classes) > 1 {
		return &mixture{cast: c, s: s, wire: w}, nil
	}
	u := c.sc.newUser(c.classes[c.staff.User(k)], s, w)
	if err := u.start(); err != nil {
		return nil, err
	}
	return iterant{u}, nil
}

// mixture is a user of the open model when there are several classes: it has one
// self in each of them, with cookies and state of its own, and each arrival is
// taken by the self whose turn it is in the mixture of all arrivals.
type mixture struct {
	cast  *cast
	s     *load.Session
	wire  *wire
	selfs []*User // by class; nil before the first turn
}

// Iterate runs one task of the class whose turn it is.
func (m *mixture) Iterate(ctx context.Context) (time.Duration, error) {
	i := m.cast.staff.Arrival(m.cast.n.Add(1) - 1)
	if m.selfs == nil {
		m.selfs = make([]*User, len(m.cast.classes))
	}
	u := m.selfs[i]
	if u == nil {
		u = m.cast.sc.newUser(m.cast.classes[i], m.s, newWire(m.wire.sender))
		if err := u.start(); err != nil {
			return 0, err
		}
		u.release()
		m.selfs[i] = u
	}
	u.wire.use()
	_, err := iterant{u}.Iterate(ctx)
	u.release() // the session's answer, which is the next self's
	return 0, err
}

// Leave lets every self say good-bye.
func (m *mixture) Leave(ctx context.Context) error {
	var errs []error
	for _, u := range m.selfs {
		if u != nil {
			u.wire.use()
			errs = append(errs, iterant{u}.Leave(ctx))
		}
	}
	return errors.Join(errs...)
}
