package script

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/crowd"
	"github.com/weir-dev/weir/internal/load"
)

// cast is some of the classes of a Script as the scenario of one load of a run.
type cast struct {
	s        *Script
	classes  []*class
	staff    *crowd.Staff // which of classes a user or an arrival is of
	arrivals bool         // the load has an arrival rate
	n        atomic.Int64 // arrivals so far
}

// Part returns the scenario of one load of a run: its users are of the classes of
// these names, of all of them when there are none. arrivals says that the load has
// an arrival rate (the open model). There an arrival is one task, and its class is
// drawn by weight for each arrival, because which user takes it says nothing.
func (s *Script) Part(classes []string, arrivals bool) (load.Scenario, error) {
	if len(classes) == 0 {
		return s.cast(s.classes, arrivals)
	}
	var chosen []*class
	for _, want := range classes {
		known := false
		for _, name := range s.known {
			known = known || name == want
		}
		if !known {
			return nil, s.wrong("there is no user class %s%s", want, suggest(want, s.known))
		}
		for _, c := range s.classes {
			if c.name == want {
				chosen = append(chosen, c)
			}
		}
	}
	if len(chosen) == 0 {
		return nil, s.wrong("a profile is for %s, which --class or the tags leave out", sprintf("%v", classes))
	}
	return s.cast(chosen, arrivals)
}

// Classes returns the names of all user classes of the file.
func (s *Script) Classes() []string { return s.known }

func (s *Script) cast(classes []*class, arrivals bool) (*cast, error) {
	var shares []crowd.Share
	for _, c := range classes {
		if c.fixed > 0 && arrivals {
			return nil, s.wrong("%s has a fixed_count, which counts users; with an arrival rate give it a weight", c.name)
		}
		shares = append(shares, crowd.Share{Weight: c.weight, Fixed: c.fixed})
	}
	return &cast{s: s, classes: classes, staff: crowd.New(shares), arrivals: arrivals}, nil
}

// NewUser makes a user of the whole script, see cast.NewUser.
func (s *Script) NewUser(k int, ses *load.Session) (load.User, error) { return s.whole.NewUser(k, ses) }

// NewUser makes user k, of the class whose turn it is, and runs its on_start.
func (c *cast) NewUser(k int, ses *load.Session) (load.User, error) {
	s := c.s
	v, ok := s.wires.LoadAndDelete(ses.ID())
	if !ok {
		return nil, errors.New("the plan's senders do not come from Script.Senders")
	}
	w := v.(*wire)
	if c.arrivals && len(c.classes) > 1 {
		return &mixture{cast: c, s: ses, wire: w}, nil
	}
	u := s.newUser(c.classes[c.staff.User(k)], ses, w)
	if err := u.start(); err != nil {
		return nil, err
	}
	return u, nil
}

// mixture is a user of the open model when there are several classes: it has one
// self in each of them, with cookies and data of its own, and each arrival is
// taken by the self whose turn it is in the mixture of all arrivals.
type mixture struct {
	cast  *cast
	s     *load.Session
	wire  *wire
	selfs map[*class]*user
}

// Iterate runs one task of the class whose turn it is.
func (m *mixture) Iterate(ctx context.Context) (time.Duration, error) {
	k := m.cast.classes[m.cast.staff.Arrival(m.cast.n.Add(1)-1)]
	u := m.selfs[k]
	if u == nil {
		u = m.cast.s.newUser(k, m.s, newWire(m.wire.Sender))
		if err := u.start(); err != nil {
			return 0, err
		}
		u.finish()
		if m.selfs == nil {
			m.selfs = map[*class]*user{}
		}
		m.selfs[k] = u
	}
	u.wire.use()
	_, err := u.Iterate(ctx)
	if errors.Is(err, errOver) {
		return 0, nil
	}
	return 0, err
}

// Leave lets every self say good-bye.
func (m *mixture) Leave(ctx context.Context) error {
	var errs []error
	for _, k := range m.cast.classes {
		if u := m.selfs[k]; u != nil {
			u.wire.use()
			errs = append(errs, u.Leave(ctx))
		}
	}
	return errors.Join(errs...)
}
