package cli

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
)

// profile is how much load, in which model, for how long.
type profile struct {
	level    *pace.Level // closed model
	arrivals pace.Pacer  // open model
	name     string
	classes  []string      // whose users these are; none: of all
	start    time.Duration // after the start of the run
	requests int64         // of a profile: it ends after so many
	maxUsers int
	peakRate float64 // arrivals per second at the peak of the open model; 0 is unknown
	wait     waitTime
	drawing  *pace.Drawing // of a shape
	runTime  time.Duration // 0: the arrivals or the level end by themselves, or the request budget does
	length   time.Duration // as planned; 0: unknown
	planned  int64         // arrivals; 0 in the closed model or when there is no end
	words    string        // the load in words
	spawn    float64       // users started per second; 0: all at once, or as stages say
}

const (
	defaultRunTime  = 10 * time.Second
	leastMaxUsers   = 100
	mostMaxUsers    = 10000
	secondsOfUsers  = 10 // users kept ready, in seconds of arrivals
	mostUsersAtOnce = 1_000_000
)

// profile reads the flags. start is the wall clock at the start of the run, for bursts with a phase.
func (f *loadFlags) profile(start time.Time) (*profile, error) {
	p := &profile{}
	if err := f.oneModel(); err != nil {
		return nil, err
	}
	var err error
	if f.RunTime != "" {
		if p.runTime, err = parseDuration("--run-time", f.RunTime); err != nil {
			return nil, err
		}
		if p.runTime == 0 {
			return nil, usage("leave it out for the default", "--run-time is zero")
		}
	}
	switch {
	case f.Users < 0, f.MaxUsers < 0, f.Requests < 0, f.MaxThrottled < 0:
		return nil, usage("", "--users, --max-users, --requests and --max-throttled cannot be negative")
	case f.zero != "":
		return nil, usage("leave it out for the default", "%s is zero", f.zero)
	case f.StopTimeout < 0:
		return nil, usage("0 cuts requests under way at once", "--stop-timeout is negative")
	case f.Users > mostUsersAtOnce || f.MaxUsers > mostUsersAtOnce:
		return nil, usage("split the run over several machines", "more than %d users", mostUsersAtOnce)
	}
	if p.wait, err = parseWait(f.Wait); err != nil {
		return nil, err
	}
	if f.shape != nil {
		if p.drawing, err = pace.Draw(f.shape, p.runTime); err != nil {
			return nil, scriptError(err)
		}
	}
	if f.open() || p.drawing != nil && p.drawing.Open {
		err = f.openModel(p, start)
	} else {
		err = f.closedModel(p)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

var catchUps = map[string]load.CatchUp{"spread": load.Spread, "burst": load.Burst, "skip": load.Skip}

// open reports whether the load is a rate of arrivals rather than a number of users.
func (f *loadFlags) open() bool {
	return f.Rate != "" || f.Burst != "" || f.Schedule != "" || (f.Stages != "" && pace.IsRateStages(f.Stages))
}

// oneModel refuses flags of two models, or of one that was not asked for.
func (f *loadFlags) oneModel() error {
	var given []string
	for _, x := range []struct{ flag, value string }{
		{"--rate", f.Rate}, {"--stages", f.Stages}, {"--burst", f.Burst}, {"--schedule", f.Schedule},
	} {
		if x.value != "" {
			given = append(given, x.flag)
		}
	}
	if f.Users > 0 {
		given = append(given, "--users")
	}
	if len(given) > 1 {
		hint := "users wait for their answers, a rate does not: choose one"
		if f.Users > 0 {
			hint += "; to bound the users that send a rate, use --max-users"
		}
		return usage(hint, "%s exclude each other", strings.Join(given, " and "))
	}
	openOnly := func(flag string) error {
		return usage("give a rate with --rate, --stages, --burst or --schedule, or leave it out", "%s is for arrival rates", flag)
	}
	open := len(given) == 1 && given[0] != "--users" && (f.Stages == "" || pace.IsRateStages(f.Stages))
	switch {
	case f.MaxUsers > 0 && !open:
		return openOnly("--max-users")
	case f.Poisson && !open:
		return openOnly("--poisson")
	case f.Poisson && f.Burst != "":
		return usage("keep one of them", "--poisson spreads arrivals at random, --burst sends them at once")
	case f.CatchUp != "" && f.CatchUp != "spread" && !open:
		return openOnly("--catch-up")
	case f.Every != "" && f.Burst == "":
		return usage("add --burst N", "--every repeats a burst")
	case f.SpawnRate != "" && (open || f.Stages != ""):
		return usage("it belongs to --users", "--spawn-rate says how fast users start")
	case f.Wait != "" && open:
		return usage("it belongs to --users; with a rate the schedule decides", "--wait is the pause of a user")
	}
	return nil
}

func (f *loadFlags) closedModel(p *profile) error {
	var level pace.Level
	if p.drawing != nil {
		level, p.length = p.drawing.Level, p.drawing.Length
		p.words = fmt.Sprintf("users by a shape, at most %d", level.Max())
	} else if f.Stages != "" {
		var err error
		if level, err = pace.ParseLevel(f.Stages); err != nil {
			return usage("", "--stages: %v", err)
		}
		p.length = level.Length()
		p.words = "users " + level.String()
		if level.Max() == 0 {
			return usage("give at least one user in some stage", "--stages %s has no users", f.Stages)
		}
	} else {
		n := max(f.Users, 1)
		var spawn pace.Rate
		if f.SpawnRate != "" {
			var err error
			if spawn, err = pace.ParseSpawn(f.SpawnRate); err != nil {
				return usage("", "--spawn-rate: %v", err)
			}
		}
		level, p.spawn = pace.Users(n, spawn), spawn.PerSecond()
		p.words = plural(n, "user")
		if !spawn.IsZero() && n > 1 {
			p.words += ", " + spawn.String() + " started"
		}
	}
	if level.Max() > mostUsersAtOnce {
		return usage("split the run over several machines", "more than %d users", mostUsersAtOnce)
	}
	p.level = &level
	p.words += ", " + p.wait.String()
	if p.runTime == 0 && p.length == 0 && f.Requests == 0 && !f.endless {
		p.runTime = defaultRunTime
	}
	if p.runTime > 0 && (p.length == 0 || p.runTime < p.length) {
		p.length = p.runTime
	}
	if p.length > 0 {
		p.words += ", for " + p.length.String()
	}
	return nil
}

func (f *loadFlags) openModel(p *profile, start time.Time) error {
	d := p.runTime
	if d == 0 && f.Requests == 0 {
		d = defaultRunTime
	}
	switch {
	case p.drawing != nil:
		s := p.drawing.Stages
		p.arrivals, p.length = s.Pacer(), p.drawing.Length
		for _, st := range s {
			p.peakRate = max(p.peakRate, st.From.PerSecond())
		}
		p.words = fmt.Sprintf("arrivals by a shape, at most %.6g/s", p.peakRate)
	case f.Rate != "":
		r, err := pace.ParseRate(f.Rate)
		if err != nil {
			return usage("", "--rate: %v", err)
		}
		if r.IsZero() {
			return usage("give a rate such as 10/s", "--rate is zero")
		}
		p.arrivals, p.length, p.peakRate = pace.Constant(r, d), d, r.PerSecond()
		p.words = r.String()
	case f.Stages != "":
		s, err := pace.ParseStages(f.Stages)
		if err != nil {
			return usage("", "--stages: %v", err)
		}
		p.arrivals, p.length = s.Pacer(), s.Length()
		for _, st := range s {
			p.peakRate = max(p.peakRate, st.From.PerSecond(), st.To.PerSecond())
		}
		p.words = "stages " + f.Stages
	case f.Burst != "":
		n, phase, err := parseBurst(f.Burst, start)
		if err != nil {
			return err
		}
		var every time.Duration
		p.words = fmt.Sprintf("%d requests at once", n)
		if f.Every != "" {
			if every, err = parseDuration("--every", f.Every); err != nil {
				return err
			}
			if every == 0 {
				return usage("give a time such as 10s", "--every is zero")
			}
			p.words += " every " + every.String()
		}
		p.arrivals, p.length, p.peakRate = pace.Burst(n, every, phase, d), d, float64(n)
	case f.Schedule != "":
		file, err := os.Open(f.Schedule)
		if err != nil {
			return usage("", "--schedule: %v", err)
		}
		defer file.Close()
		at, err := pace.ParseSchedule(file)
		if err != nil {
			return usage("one instant a line, such as 1.5s", "--schedule %s: %v", f.Schedule, err)
		}
		if len(at) == 0 {
			return usage("one instant a line, such as 1.5s", "--schedule %s has no instants", f.Schedule)
		}
		p.arrivals = pace.Schedule(at)
		p.words = "the schedule in " + f.Schedule
		if last, ok := p.arrivals.Due(int64(len(at) - 1)); ok {
			p.length = last
		}
		p.peakRate = float64(min(len(at), mostMaxUsers)) / secondsOfUsers
	}
	if f.Poisson {
		p.arrivals = pace.Poisson(p.arrivals, f.Seed)
		p.words += " at random (seed " + fmt.Sprint(f.Seed) + ")"
	}
	if p.runTime > 0 && (p.length == 0 || p.runTime < p.length) {
		p.length = p.runTime
	}
	if p.length > 0 {
		p.words += ", for " + p.length.Round(time.Millisecond).String()
		p.planned = pace.CountBefore(p.arrivals, max(p.length, 1))
		if f.Schedule != "" && p.runTime == 0 {
			p.planned = pace.Count(p.arrivals)
		}
	}
	if p.length > 0 && p.planned == 0 && !f.Poisson {
		return usage("run longer, or give a higher rate", "%s is less than one request", p.words)
	}
	if f.Requests > 0 && (p.planned == 0 || f.Requests < p.planned) {
		p.planned = f.Requests
	}
	p.maxUsers = f.MaxUsers
	if p.maxUsers == 0 {
		p.maxUsers = int(math.Min(mostMaxUsers, math.Max(leastMaxUsers, math.Ceil(p.peakRate*secondsOfUsers))))
		if room := room(); room > 0 {
			p.maxUsers = min(p.maxUsers, room)
		}
	}
	p.words += fmt.Sprintf(", by at most %d users", p.maxUsers)
	return nil
}

// parseBurst reads "50", "50@second" or "50@minute+250ms".
func parseBurst(text string, start time.Time) (n int64, phase pace.Phase, err error) {
	const hint = "write 50, 50@second or 50@minute+250ms"
	count, at, phased := strings.Cut(text, "@")
	if _, err := fmt.Sscanf(count+"\n", "%d\n", &n); err != nil || n <= 0 {
		return 0, phase, usage(hint, "--burst %q does not begin with a number of requests above zero", text)
	}
	if !phased {
		return n, phase, nil
	}
	unit, offset, _ := strings.Cut(at, "+")
	phase.Start = start
	switch unit {
	case "second":
		phase.Of = time.Second
	case "minute":
		phase.Of = time.Minute
	case "hour":
		phase.Of = time.Hour
	default:
		return 0, phase, usage(hint, "--burst %q: %q is not second, minute or hour", text, unit)
	}
	if offset != "" {
		if phase.At, err = parseDuration("--burst", offset); err != nil {
			return 0, phase, err
		}
		if phase.At >= phase.Of {
			return 0, phase, usage(hint, "--burst %q: the offset %v is not within a %s", text, phase.At, unit)
		}
	}
	return n, phase, nil
}

func parseDuration(flag, text string) (time.Duration, error) {
	d, err := pace.ParseDuration(text)
	if err != nil {
		return 0, usage("", "%s: %v", flag, err)
	}
	return d, nil
}

// waitTime is the pause of a user between an answer and its next request: uniform in [from, to].
type waitTime struct{ from, to time.Duration }

// parseWait reads "1s" or "2s..5s".
func parseWait(text string) (w waitTime, err error) {
	if text == "" {
		return w, nil
	}
	from, to, ranged := strings.Cut(text, "..")
	if w.from, err = parseDuration("--wait", from); err != nil {
		return w, err
	}
	w.to = w.from
	if ranged {
		if w.to, err = parseDuration("--wait", to); err != nil {
			return w, err
		}
	}
	if w.to < w.from {
		return w, usage("write the shorter one first, as 2s..5s", "--wait %s ends before it begins", text)
	}
	return w, nil
}

func (w waitTime) String() string {
	switch {
	case w.to == 0:
		return "no pause"
	case w.from == w.to:
		return w.from.String() + " pause"
	}
	return w.from.String() + " to " + w.to.String() + " pause"
}
