package load

import (
	"errors"
	"fmt"
	"slices"

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
	case len(p.Parts) > 0 && (closed || open):
		return p, errors.New("the plan has both a load and parts, which are loads of their own")
	case closed && open:
		return p, errors.New("the plan has both users and an arrival rate: a number of users that iterate by themselves, or arrivals that are due whatever happens, but not both")
	case len(p.Parts) > 0 && p.MaxUsers != 0:
		return p, errors.New("a maximum of users belongs to the parts of the plan")
	case !closed && !open && len(p.Parts) == 0:
		return p, errors.New("the plan sends nothing: it needs users (more than 0) or an arrival rate")
	case closed && p.MaxUsers != 0:
		return p, errors.New("a maximum of users belongs to an arrival rate; with users, their number is the maximum")
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
	if p.WarmUp < 0 || p.WarmUp%tickLength != 0 {
		return p, fmt.Errorf("the warm-up is %v, want whole seconds", p.WarmUp)
	}
	if len(p.Parts) == 0 {
		p.Parts = []Part{{Users: p.Users, Arrivals: p.Arrivals, MaxUsers: p.MaxUsers, End: p.RunTime}}
	} else {
		p.Parts = slices.Clone(p.Parts)
		for i := range p.Parts {
			if end := &p.Parts[i].End; p.RunTime > 0 && (*end == 0 || p.RunTime < *end) {
				*end = p.RunTime
			}
		}
	}
	users := 0
	for i := range p.Parts {
		if err := p.Parts[i].check(); err != nil {
			return p, err
		}
		users += p.Parts[i].most()
	}
	if users > mostUsers {
		return p, fmt.Errorf("%d users are too many for one machine: at most %d", users, mostUsers)
	}
	if r, ok := p.Scenario.(*repeat); ok {
		if err := r.validate(); err != nil {
			return p, err
		}
	}
	p.worked = p.Retry.Attempts > 1 || p.Respect.any()
	if p.Rules == nil {
		p.Rules = hit.DefaultRules()
	}
	if p.MaxNames == 0 {
		p.MaxNames = defaultNames
	}
	return p, nil
}

// check returns what is wrong with one load.
func (p *Part) check() error {
	closed, open := p.Users.Max() > 0, p.Arrivals != nil
	switch {
	case p.Led && (closed || open):
		return fmt.Errorf("part %s of the plan is led, so it has neither users nor an arrival rate of its own", p.Name)
	case closed == open && !p.Led:
		return fmt.Errorf("part %s of the plan needs either users or an arrival rate", p.Name)
	case closed && p.MaxUsers != 0:
		return errors.New("a maximum of users belongs to an arrival rate; with users, their number is the maximum")
	case open && p.MaxUsers < 1:
		return fmt.Errorf("with an arrival rate, the maximum of users must be 1 or more, not %d", p.MaxUsers)
	case p.End < 0 || p.MaxRequests < 0:
		return fmt.Errorf("part %s of the plan has a negative end or request budget", p.Name)
	}
	if open {
		if _, ok := p.Arrivals.Due(0); !ok {
			return errors.New("the plan sends nothing: its schedule has no arrivals")
		}
	}
	return nil
}
