package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/locust"
	"github.com/weir-dev/weir/internal/pace"
)

// mix is all the load of a run: one profile, or several.
type mix struct {
	loads    []*profile
	parts    []load.Part
	profiles []profileRecord // when there are several
	notes    []string        // what the flags replaced

	model    string // closed or open: open as soon as one of them is
	words    string
	users    string        // of a single closed load
	most     int           // users at once, of all
	maxUsers int           // of a single open load
	length   time.Duration // as planned; 0: unknown
	planned  int64         // arrivals; 0 when some load has users, or no end
	runTime  time.Duration // of the whole run; 0: as the loads say
	warmUp   time.Duration
}

// mix says how much load there is: what flags say comes before what the scenario
// declares, and is noted then.
func (c *runCmd) mix(w *workload, now time.Time) (*mix, error) {
	m := &mix{}
	asked, err := c.asked(w, m)
	if err != nil {
		return nil, err
	}
	if c.RunTime != "" && len(asked) > 1 {
		if m.runTime, err = parseDuration("--run-time", c.RunTime); err != nil {
			return nil, err
		}
	}
	for i := range asked {
		p, err := c.one(&asked[i], w, len(asked), now)
		if err != nil {
			return nil, err
		}
		m.loads = append(m.loads, p)
	}
	if !slices.ContainsFunc(m.loads, func(p *profile) bool { return p.arrivals != nil }) {
		// Flags of rates, where there is none.
		if err := c.loadFlags.rateless(); err != nil {
			return nil, err
		}
	}
	if err := m.warm(&c.loadFlags, asked); err != nil {
		return nil, err
	}
	return m, m.assemble(c, w)
}

// asked returns the profiles of the run. The only one of a run without any has
// what the flags say.
func (c *runCmd) asked(w *workload, m *mix) ([]pace.Profile, error) {
	f := &c.loadFlags
	var flags []string // that say how much load there is
	for _, x := range []struct {
		flag  string
		given bool
	}{
		{"--users", f.Users != 0}, {"--rate", f.Rate != ""}, {"--stages", f.Stages != ""},
		{"--burst", f.Burst != ""}, {"--schedule", f.Schedule != ""},
	} {
		if x.given {
			flags = append(flags, x.flag)
		}
	}
	if len(f.Profile) > 0 {
		if f.SpawnRate != "" {
			flags = append(flags, "--spawn-rate")
		}
		if len(flags) > 0 {
			return nil, usage("say it in the profiles: --profile 'users=10, spawn=5'", "--profile and %s exclude each other", strings.Join(flags, " and "))
		}
		var all []pace.Profile
		for _, text := range f.Profile {
			p, err := pace.ParseProfile(text)
			if err != nil {
				return nil, usage("write --profile 'Admin: users=10, start=15s, for=1m'", "--profile: %v", err)
			}
			all = append(all, p)
			if p.Name != "" && len(p.Classes) == 0 && len(w.known) > 0 && !slices.Contains(w.known, p.Name) {
				m.notes = append(m.notes, fmt.Sprintf("profile %s is for all user classes (%s): none has that name", p.Name, strings.Join(w.known, ", ")))
			}
		}
		m.replaced(w, "--profile")
		return all, nil
	}
	own := pace.Profile{Users: f.Users, SpawnRate: f.SpawnRate, Rate: f.Rate, Stages: f.Stages, RunTime: f.RunTime, MaxUsers: f.MaxUsers}
	switch {
	case len(w.profiles) == 0:
		return []pace.Profile{own}, nil
	case len(flags) > 0 || f.SpawnRate != "" && len(w.profiles) > 1:
		if len(flags) == 0 {
			flags = []string{"--spawn-rate"}
		}
		if len(w.profiles) == 1 {
			p := w.profiles[0]
			if f.Users > 0 {
				own.SpawnRate = cmp.Or(own.SpawnRate, p.SpawnRate)
			}
			own.RunTime = cmp.Or(own.RunTime, p.RunTime)
			own.Classes, own.WarmUp = p.Classes, p.WarmUp
			if p.Load() {
				m.replaced(w, strings.Join(flags, " and "))
			}
			return []pace.Profile{own}, nil
		}
		m.replaced(w, strings.Join(flags, " and "))
		return []pace.Profile{own}, nil
	case len(w.profiles) == 1:
		p := w.profiles[0]
		p.SpawnRate = cmp.Or(f.SpawnRate, p.SpawnRate)
		p.RunTime = cmp.Or(f.RunTime, p.RunTime)
		return []pace.Profile{p}, nil
	}
	if f.RunTime != "" {
		m.notes = append(m.notes, fmt.Sprintf("--run-time %s ends all profiles of %s that would go on longer", f.RunTime, w.name))
	}
	return slices.Clone(w.profiles), nil
}

// replaced notes that flags take the place of the scenario's profiles.
func (m *mix) replaced(w *workload, by string) {
	switch len(w.profiles) {
	case 0:
	case 1:
		m.notes = append(m.notes, fmt.Sprintf("%s takes the place of the load that %s asks for", by, w.name))
	default:
		m.notes = append(m.notes, fmt.Sprintf("%s takes the place of the %d profiles of %s", by, len(w.profiles), w.name))
	}
}

// one makes one of several loads of what is asked for.
func (c *runCmd) one(p *pace.Profile, w *workload, several int, now time.Time) (*profile, error) {
	f := c.loadFlags
	f.Users, f.SpawnRate, f.Rate, f.Stages, f.RunTime, f.shape = p.Users, p.SpawnRate, p.Rate, p.Stages, p.RunTime, p.Shape
	if p.MaxUsers > 0 {
		f.MaxUsers = p.MaxUsers
	}
	f.Requests = cmp.Or(p.Requests, f.Requests)
	open := f.open() || p.Shape != nil // a shape may turn out to be users: then rateless looks at the flags
	if !open {
		f.Poisson, f.CatchUp, f.MaxUsers = false, "", 0
		if several == 1 {
			f.Poisson, f.CatchUp, f.MaxUsers = c.Poisson, c.CatchUp, c.MaxUsers
		}
	} else if p.Shape == nil && several > 1 {
		f.Wait = ""
	}
	if p.Shape != nil {
		f.Poisson, f.CatchUp = false, ""
	}
	var start time.Duration
	if p.Start != "" {
		var err error
		if start, err = parseDuration("start", p.Start); err != nil {
			return nil, err
		}
	}
	if several > 1 && f.RunTime == "" && c.RunTime != "" && p.Requests == 0 && p.Stages == "" && p.Shape == nil {
		all, err := parseDuration("--run-time", c.RunTime)
		if err != nil {
			return nil, err
		}
		if all <= start {
			return nil, usage("run longer", "profile %s starts after %v, and --run-time ends the run at %v", p.Name, start, all)
		}
		f.RunTime = (all - start).String()
	}
	out, err := f.profile(now)
	if err != nil {
		if several > 1 && p.Name != "" {
			err = inProfile(p.Name, err)
		}
		return nil, err
	}
	if p.Shape != nil && out.arrivals != nil && c.Poisson {
		out.arrivals = pace.Poisson(out.arrivals, c.Seed)
	}
	if p.Requests > 0 {
		out.words += fmt.Sprintf(", at most %d requests", p.Requests)
	}
	out.name, out.classes, out.start, out.requests = p.Name, p.Classes, start, p.Requests
	if len(out.classes) == 0 && slices.Contains(w.known, p.Name) {
		out.classes = []string{p.Name}
	}
	if len(out.classes) > 0 && w.part == nil {
		return nil, usage("leave them out", "profile %s has classes, and a single request has no user classes", p.Name)
	}
	if w.part != nil {
		out.words = strings.Replace(out.words, ", no pause", "", 1)
	}
	if start > 0 {
		out.words += ", from " + start.String()
		if out.level != nil {
			later := out.level.Delay(start)
			out.level = &later
		} else {
			out.arrivals = pace.Delay(out.arrivals, start)
		}
		if out.runTime > 0 {
			out.runTime += start
		}
		if out.length > 0 {
			out.length += start
		}
	}
	return out, nil
}

// inProfile says which profile an error is about.
func inProfile(name string, err error) error {
	code, hint := exitCode(err)
	return &failure{code, fmt.Errorf("profile %s: %w", name, err), hint}
}

// rateless refuses flags that are about rates.
func (f *loadFlags) rateless() error {
	for flag, given := range map[string]bool{"--poisson": f.Poisson, "--catch-up": f.CatchUp != "" && f.CatchUp != "spread", "--max-users": f.MaxUsers > 0} {
		if given {
			return usage("give a rate with --rate, --stages, --burst or --schedule, or leave it out", "%s is for arrival rates", flag)
		}
	}
	return nil
}

// warm finds the warm-up, in whole seconds.
func (m *mix) warm(f *loadFlags, asked []pace.Profile) error {
	texts := []string{f.WarmUp}
	if f.WarmUp == "" {
		texts = texts[:0]
		for _, p := range asked {
			texts = append(texts, p.WarmUp)
		}
	}
	for _, text := range texts {
		if text == "" {
			continue
		}
		d, err := parseDuration("--warm-up", text)
		if err != nil {
			return err
		}
		m.warmUp = max(m.warmUp, (d + time.Second - 1).Truncate(time.Second))
	}
	return nil
}

// assemble makes the plan's parts and the words for it.
func (m *mix) assemble(c *runCmd, w *workload) error {
	m.model = "closed"
	endless, counted := false, true
	var words []string
	for i, p := range m.loads {
		part := load.Part{Name: p.name, End: p.runTime, MaxRequests: p.requests}
		if p.level != nil {
			part.Users = *p.level
			m.most += p.level.Max()
			counted = false
		} else {
			m.model = "open"
			part.Arrivals, part.MaxUsers = p.arrivals, p.maxUsers
			m.most += p.maxUsers
			counted = counted && p.planned > 0
		}
		if part.Name == "" {
			part.Name = fmt.Sprintf("load %d", i+1)
			if len(p.classes) > 0 {
				part.Name = strings.Join(p.classes, " and ")
			}
		}
		p.name = part.Name
		if w.part != nil {
			var err error
			if part.Scenario, err = w.part(p.classes, p.arrivals != nil); err != nil {
				return err
			}
		}
		m.parts = append(m.parts, part)
		m.planned += p.planned
		m.length = max(m.length, p.length)
		endless = endless || p.length == 0
		words = append(words, p.words)
		m.profiles = append(m.profiles, profileRecord{Name: p.name, Classes: p.classes, Start: p.start, Words: p.words})
	}
	if !counted {
		m.planned = 0
	}
	if endless {
		m.length = 0
	}
	if m.runTime > 0 && (m.length == 0 || m.runTime < m.length) {
		m.length = m.runTime
		m.planned = 0
		for i, p := range m.loads {
			if counted {
				m.planned += min(cmp.Or(p.requests, p.planned), pace.CountBefore(m.parts[i].Arrivals, m.length))
			}
		}
	}
	if c.Requests > 0 && m.planned > c.Requests {
		m.planned = c.Requests
	}
	if m.length > 0 && m.warmUp >= m.length {
		return usage("run longer, or warm up for less", "the warm-up of %v is as long as the run, which takes %v", m.warmUp, m.length)
	}
	if len(m.loads) == 1 {
		m.profiles = nil
		m.words = words[0]
		if p := m.loads[0]; p.level != nil {
			m.users = p.level.String()
		} else {
			m.maxUsers = p.maxUsers
		}
		if len(m.loads[0].classes) > 0 {
			m.words += ", of " + strings.Join(m.loads[0].classes, " and ")
		}
	} else {
		for i := range words {
			words[i] = m.loads[i].name + ": " + words[i]
		}
		m.words = fmt.Sprintf("%d loads: %s", len(words), strings.Join(words, "; "))
		if m.runTime > 0 {
			m.words += fmt.Sprintf("; all end after %v", m.runTime)
		}
	}
	if c.Requests > 0 {
		m.words += fmt.Sprintf(", at most %d requests", c.Requests)
	}
	if c.MaxThrottled > 0 {
		m.words += fmt.Sprintf(", until %d were throttled", c.MaxThrottled)
	}
	if m.warmUp > 0 {
		m.words += fmt.Sprintf("; the first %v are warm-up", m.warmUp)
	}
	return nil
}

// aim is how many users there are to be, of all loads, and how fast they come when
// there is one load.
func (m *mix) aim() locust.Aim {
	a := locust.Aim{Users: m.most}
	if len(m.loads) == 1 {
		a.Rate = m.loads[0].spawn
	}
	return a
}

// describe prints the load, and draws it when it changes over time.
func (m *mix) describe(w io.Writer) {
	if len(m.loads) == 1 {
		fmt.Fprintf(w, "Load:     %s\n", m.words)
		if line := m.loads[0].draw(m.length); line != "" {
			fmt.Fprintf(w, "          %s\n", line)
		}
	} else {
		fmt.Fprintf(w, "Load:     %s\n", plural(len(m.loads), "profile"))
		width := 0
		for _, p := range m.loads {
			width = max(width, len([]rune(p.name)))
		}
		for _, p := range m.loads {
			line := p.words
			if len(p.classes) > 0 && (len(p.classes) > 1 || p.classes[0] != p.name) {
				line += ", of " + strings.Join(p.classes, " and ")
			}
			fmt.Fprintf(w, "  %s%s  %s\n", p.name, strings.Repeat(" ", width-len([]rune(p.name))), line)
			if line := p.draw(m.length); line != "" {
				fmt.Fprintf(w, "  %s  %s\n", strings.Repeat(" ", width), line)
			}
		}
		if m.runTime > 0 {
			fmt.Fprintf(w, "  all end after %v\n", m.runTime)
		}
		if m.warmUp > 0 {
			fmt.Fprintf(w, "Warm-up:  the first %v are not counted\n", m.warmUp)
		}
	}
	for _, n := range m.notes {
		fmt.Fprintf(w, "Note:     %s\n", n)
	}
}

// drawWidth is how many characters a drawn load has.
const drawWidth = 48

var blocks = []rune(" ▁▂▃▄▅▆▇█")

// draw draws the load over the length of the run, or returns "" when that says no
// more than words.
func (p *profile) draw(length time.Duration) string {
	if length <= 0 || p.drawing == nil && p.start == 0 && (p.level == nil || p.level.Length() == 0) {
		return ""
	}
	at := func(i int) time.Duration { return time.Duration(float64(length) * float64(i) / drawWidth) }
	values := make([]float64, drawWidth)
	most := 0.0
	for i := range values {
		from, to := at(i), at(i+1)
		switch {
		case p.level == nil:
			if p.length == 0 || from < p.length {
				values[i] = rateAt(p.arrivals, from+(to-from)/2)
			}
		case p.length > 0 && from >= p.length:
		default:
			values[i] = float64(p.level.At(from + (to-from)/2))
		}
		most = max(most, values[i])
	}
	if most == 0 {
		return ""
	}
	var b strings.Builder
	for _, v := range values {
		k := int(v/most*float64(len(blocks)-1) + 0.5)
		if v > 0 {
			k = max(k, 1)
		}
		b.WriteRune(blocks[k])
	}
	what := fmt.Sprintf("%.4g users", most)
	if p.level == nil {
		what = fmt.Sprintf("%.4g/s", most)
	}
	return "|" + b.String() + "| " + what + ", " + length.String()
}

// rateAt returns the arrivals per second around that instant, from the nearest of
// them.
func rateAt(p pace.Pacer, at time.Duration) float64 {
	const near = 4
	n := pace.CountBefore(p, at+1)
	if n == 0 {
		return 0
	}
	low, high := max(n-near, 0), n+near
	from, _ := p.Due(low)
	to, ok := p.Due(high)
	for ; !ok && high > low; to, ok = p.Due(high) {
		high--
	}
	if high == low || to == from {
		return 0
	}
	return float64(high-low) / (to - from).Seconds()
}
