package script

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"go.starlark.net/starlark"

	"github.com/weir-dev/weir/internal/pace"
)

// maxProfiles bounds what a file may declare.
const maxProfiles = 100

// shapeSteps is how many Starlark steps a shape may take for one second.
const shapeSteps = 1_000_000

// declared is a profile with the classes it is for, whose names are not known yet.
type declared struct {
	pace.Profile
	classes []*class
	at      *Error
}

// newProfile is profile(name, classes, start, run_time, users, spawn_rate, rate,
// stages, shape, max_users, requests, warm_up).
func newProfile(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	l, err := loading(t, "profile(…)")
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		return nil, errors.New("profile takes named arguments only: profile(users = 100, run_time = \"5m\")")
	}
	if len(l.profiles) >= maxProfiles {
		return nil, fmt.Errorf("more than %d profiles", maxProfiles)
	}
	p := &declared{at: &Error{}}
	var users, spawn, runTime, start, warmUp, rate, shape, classes, most, requests starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "users??", &users, "spawn_rate??", &spawn, "run_time??", &runTime,
		"stages?", &p.Stages, "rate??", &rate, "name?", &p.Name, "start??", &start, "classes??", &classes, "shape??", &shape,
		"max_users??", &most, "requests??", &requests, "warm_up??", &warmUp); err != nil {
		return nil, err
	}
	n, err := countArg("users", users, 1, 1_000_000, 0)
	if err != nil {
		return nil, err
	}
	p.Users = int(n)
	if n, err = countArg("max_users", most, 1, 1_000_000, 0); err != nil {
		return nil, err
	}
	p.MaxUsers = int(n)
	if p.Requests, err = countArg("requests", requests, 1, 1<<53, 0); err != nil {
		return nil, err
	}
	if spawn != nil {
		f, ok := starlark.AsFloat(spawn)
		if !ok || !(f > 0 && f <= 1e6) {
			return nil, fmt.Errorf("spawn_rate = %s: want users per second, such as 100", spawn)
		}
		p.SpawnRate = strconv.FormatFloat(f, 'f', -1, 64)
	}
	for _, x := range []struct {
		name string
		v    starlark.Value
		to   *string
	}{{"run_time", runTime, &p.RunTime}, {"start", start, &p.Start}, {"warm_up", warmUp, &p.WarmUp}} {
		if *x.to, err = durationText(x.name, x.v); err != nil {
			return nil, err
		}
	}
	if shape != nil {
		if p.Shape, err = l.s.shapeArg("shape", shape, false); err != nil {
			return nil, err
		}
	}
	switch v := rate.(type) {
	case nil:
	case starlark.String:
		p.Rate = string(v)
	case starlark.Int, starlark.Float:
		return nil, fmt.Errorf("rate = %s: per what time? Write rate = \"%[1]s/s\", or a function of the seconds", v)
	default:
		if p.Shape != nil {
			return nil, errors.New("shape and rate each say how much load there is: keep one")
		}
		if p.Shape, err = l.s.shapeArg("rate", rate, true); err != nil {
			return nil, err
		}
	}
	if p.classes, err = classesArg(classes); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	at := t.CallFrame(1).Pos
	*p.at = Error{File: pathBase(at.Filename()), Line: int(at.Line), Col: int(at.Col)}
	l.profiles = append(l.profiles, p)
	return starlark.None, nil
}

// durationText reads a text such as "1h30m", or seconds; nil is "".
func durationText(name string, v starlark.Value) (string, error) {
	if v == nil {
		return "", nil
	}
	if text, ok := starlark.AsString(v); ok {
		if _, err := pace.ParseDuration(text); err != nil {
			return "", fmt.Errorf("%s: %v", name, err)
		}
		return text, nil
	}
	d, err := seconds(name, v)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}

// classesArg reads classes = [Admin, Clerk], or one class.
func classesArg(v starlark.Value) ([]*class, error) {
	if v == nil {
		return nil, nil
	}
	if c, ok := v.(*class); ok {
		return []*class{c}, nil
	}
	list, ok := v.(starlark.Iterable)
	if !ok {
		return nil, fmt.Errorf("classes is a %s, want a list of user classes: classes = [Admin]", v.Type())
	}
	var out []*class
	for e := range starlark.Elements(list) {
		c, ok := e.(*class)
		if !ok {
			return nil, fmt.Errorf("classes holds a %s, want user classes, which HttpUser(…) makes: write profile(…) below them, without quotes", e.Type())
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("classes is empty: leave it out for all classes")
	}
	return out, nil
}

// settleProfiles gives the profiles the names of their classes.
func (s *Script) settleProfiles(l *loader, all []*class) error {
	for _, p := range l.profiles {
		for _, c := range p.classes {
			if c.name == "" {
				e := *p.at
				e.Msg = "profile: a class of it has no name at the top of " + s.name + ": write Admin = HttpUser(…)"
				return &e
			}
			p.Classes = append(p.Classes, c.name)
		}
		s.profiles = append(s.profiles, p.Profile)
	}
	return nil
}

// shapeArg reads a function of the seconds since the profile began. perSecond
// says that the numbers it returns are arrivals per second.
func (s *Script) shapeArg(name string, v starlark.Value, perSecond bool) (pace.Shape, error) {
	fn, ok := v.(*starlark.Function)
	if !ok {
		return nil, fmt.Errorf("%s is a %s, want a function of the seconds: def %s(t): return 10 * t", name, v.Type(), name)
	}
	if n := fn.NumParams(); n == 0 || n > 1 && fn.ParamDefault(1) == nil && !fn.HasVarargs() {
		return nil, fmt.Errorf("%s is called with one argument, the seconds since the profile began: write it as def %[1]s(t)", fn.Name())
	}
	return func(at time.Duration) (pace.Point, bool, error) {
		t := &starlark.Thread{Name: name, Print: func(_ *starlark.Thread, text string) { s.logger.line(text) }}
		t.SetMaxExecutionSteps(shapeSteps)
		// Random numbers of a second are always the same ones.
		t.SetLocal(randomKey, rand.New(rand.NewPCG(s.opts.Seed, uint64(at))))
		var arg starlark.Value = starlark.Float(at.Seconds())
		if at%time.Second == 0 {
			arg = starlark.MakeInt64(int64(at / time.Second))
		}
		v, err := starlark.Call(t, fn, starlark.Tuple{arg}, nil)
		if err != nil {
			return pace.Point{}, false, s.secrets.clean(explain(err, shapeSteps))
		}
		p, more, err := point(v, perSecond)
		if err != nil {
			pos := fn.Position()
			err = s.secrets.clean(&Error{File: pathBase(pos.Filename()), Line: int(pos.Line), Col: int(pos.Col),
				Msg: fmt.Sprintf("%s(%s) returned %s: %v", fn.Name(), arg, limit(v.String(), 60), err)})
		}
		return p, more, err
	}, nil
}

// point reads what a shape returned: nothing at its end, a number of users, users
// and a spawn rate, or a rate as a text.
func point(v starlark.Value, perSecond bool) (p pace.Point, more bool, err error) {
	const want = `want a number of users, (users, spawn_rate), a rate such as "50/s", or None for the end`
	switch v := v.(type) {
	case starlark.NoneType:
		return p, false, nil
	case starlark.String:
		p.Open = true
		p.Rate, err = pace.ParseRate(string(v))
		return p, true, err
	case starlark.Int, starlark.Float:
		f, _ := starlark.AsFloat(v)
		if perSecond {
			p.Open = true
			p.Rate, err = pace.PerSecond(f)
			return p, true, err
		}
		p.Users, err = usersOf(f)
		return p, true, err
	case starlark.Tuple:
		if perSecond || len(v) != 2 {
			break
		}
		n, ok := starlark.AsFloat(v[0])
		r, ok2 := starlark.AsFloat(v[1])
		if !ok || !ok2 {
			break
		}
		if p.Users, err = usersOf(n); err != nil {
			return p, false, err
		}
		if !(r > 0) {
			return p, false, fmt.Errorf("a spawn rate of %v: want users per second, above 0", r)
		}
		p.Spawn, err = pace.PerSecond(r)
		return p, true, err
	}
	if perSecond {
		return p, false, errors.New(`want arrivals per second, a rate such as "1000/h", or None for the end`)
	}
	return p, false, errors.New(want)
}

func usersOf(f float64) (int, error) {
	if !(f >= 0 && f <= 1_000_000) {
		return 0, errors.New("want a number of users from 0 to 1000000")
	}
	return int(math.Round(f)), nil
}
