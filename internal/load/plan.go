package load

import (
	"errors"
	"fmt"

	"github.com/weir-dev/weir/internal/hit"
)

const (
	defaultNames = 1000
	mostNames    = 100_000
	mostUsers    = 1_000_000
)

// withDefaults returns p with what was left out, or the first thing that is
// wrong with it.
func (p Plan) withDefaults() (Plan, error) {
	closed, open := p.Users.Max() > 0, p.Arrivals != nil
	switch {
	case p.Scenario == nil:
		return p, errors.New("the plan has no scenario: it does not say what users do")
	case p.NewSender == nil:
		return p, errors.New("the plan has no senders")
	case closed && open:
		return p, errors.New("the plan has both users and an arrival rate: a number of users that iterate by themselves, or arrivals that are due whatever happens, but not both")
	case !closed && !open:
		return p, errors.New("the plan sends nothing: it needs users (more than 0) or an arrival rate")
	case closed && p.MaxUsers != 0:
		return p, errors.New("a maximum of users belongs to an arrival rate; with users, their number is the maximum")
	case open && p.MaxUsers < 1:
		return p, fmt.Errorf("with an arrival rate, the maximum of users must be 1 or more, not %d", p.MaxUsers)
	case max(p.MaxUsers, p.Users.Max()) > mostUsers:
		return p, fmt.Errorf("%d users are too many for one machine: at most %d", max(p.MaxUsers, p.Users.Max()), mostUsers)
	case p.CatchUp > Skip:
		return p, fmt.Errorf("unknown catch-up policy %d: it is spread, burst or skip", p.CatchUp)
	case p.RunTime < 0:
		return p, fmt.Errorf("the run time is negative: %v", p.RunTime)
	case p.StopTimeout < 0:
		return p, fmt.Errorf("the stop time-out is negative: %v", p.StopTimeout)
	case p.MaxRequests < 0:
		return p, fmt.Errorf("the request budget is negative: %d", p.MaxRequests)
	case p.MaxThrottled < 0:
		return p, fmt.Errorf("the budget of throttled answers is negative: %d", p.MaxThrottled)
	case p.MaxNames < 0 || p.MaxNames > mostNames:
		return p, fmt.Errorf("the number of request names must be from 1 to %d, not %d", mostNames, p.MaxNames)
	}
	if open {
		if _, ok := p.Arrivals.Due(0); !ok {
			return p, errors.New("the plan sends nothing: its schedule has no arrivals")
		}
	}
	if r, ok := p.Scenario.(*repeat); ok {
		if err := r.validate(); err != nil {
			return p, err
		}
	}
	if p.Rules == nil {
		p.Rules = hit.DefaultRules()
	}
	if p.MaxNames == 0 {
		p.MaxNames = defaultNames
	}
	return p, nil
}
