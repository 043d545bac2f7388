package script

import (
	"errors"
	"fmt"
	"strconv"

	"go.starlark.net/starlark"

	"github.com/weir-dev/weir/internal/pace"
)

// Profile is how much load the file asks for: defaults of the flags of the same
// names, in the form that those take. "" and 0 are what was not given.
type Profile struct {
	Users     int    // --users
	SpawnRate string // --spawn-rate: "100"
	RunTime   string // --run-time: "5m"
	Stages    string // --stages
	Rate      string // --rate
}

// newProfile is profile(users, spawn_rate, run_time, stages, rate).
func newProfile(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	l, err := loading(t, "profile(…)")
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		return nil, errors.New("profile takes named arguments only: profile(users = 100, run_time = \"5m\")")
	}
	if l.profile != nil {
		return nil, errors.New("profile(…) was called before: a scenario has one")
	}
	p := &Profile{}
	var users, spawn, runTime starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "users??", &users, "spawn_rate??", &spawn, "run_time??", &runTime,
		"stages?", &p.Stages, "rate?", &p.Rate); err != nil {
		return nil, err
	}
	n, err := countArg("users", users, 1, 10_000_000, 0)
	if err != nil {
		return nil, err
	}
	p.Users = int(n)
	if spawn != nil {
		f, ok := starlark.AsFloat(spawn)
		if !ok || !(f > 0 && f <= 1e6) {
			return nil, fmt.Errorf("spawn_rate = %s: want users per second, such as 100", spawn)
		}
		p.SpawnRate = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if runTime != nil {
		if text, ok := starlark.AsString(runTime); ok {
			if _, err := pace.ParseDuration(text); err != nil {
				return nil, fmt.Errorf("run_time: %v", err)
			}
			p.RunTime = text
		} else {
			d, err := seconds("run_time", runTime)
			if err != nil {
				return nil, err
			}
			p.RunTime = d.String()
		}
	}
	if p.Rate != "" {
		if _, err := pace.ParseRate(p.Rate); err != nil {
			return nil, fmt.Errorf("rate: %v", err)
		}
		if p.Users > 0 || p.Stages != "" {
			return nil, errors.New("rate says how many arrivals there are; users and stages say it differently: keep one")
		}
	}
	if p.Stages != "" {
		if p.Users > 0 {
			return nil, errors.New("stages and users both say how many users there are: keep one")
		}
		if pace.IsRateStages(p.Stages) {
			_, err = pace.ParseStages(p.Stages)
		} else {
			_, err = pace.ParseLevel(p.Stages)
		}
		if err != nil {
			return nil, fmt.Errorf("stages: %v", err)
		}
	}
	l.profile, l.s.profile = p, p
	return starlark.None, nil
}
