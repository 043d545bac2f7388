package forecast

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/retry"
)

// Sources are where a plan's names are looked up. Each may be nil when the plan
// names none of its kind.
type Sources struct {
	Limits func(name string) (*policy.File, error)
	Tier   func(name string) ([]policy.Policy, error)
	Curve  func(name string) ([]byte, error)
	Run    func(name string) (at []time.Duration, length time.Duration, err error) // when its requests were sent
}

// Study is a plan with everything that it names at hand: it makes models, as
// planned or changed. It is a plain value.
type Study struct {
	Name     string
	Start    time.Time
	For      time.Duration
	Retry    retry.Rule
	Seed     uint64
	Policies []policy.Policy
	Chain    bool
	Works    []Work
	Tenants  []Share
	Notes    []string // what was left out, and what was assumed

	Allotment *AllotmentPlan

	Times, Per int64 // the arrivals are multiplied by Times/Per; 0 is as planned
	Column     time.Duration
}

// Work is a flow with its arrivals.
type Work struct {
	Name     string
	Arrivals pace.Pacer // before multiplying, and before Poisson
	Poisson  bool
	Clients  int
	Each     bool
	Calls    []Step
	Source   string
}

// monday is when a forecast begins that does not say: windows of the day, week and
// month begin with it as far as they can.
var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// Bind looks up what a plan names.
func (p *Plan) Bind(from Sources) (*Study, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	s := &Study{Name: p.Name, Start: p.Start, For: p.For, Retry: p.Retry, Seed: p.Seed, Tenants: slices.Clone(p.Tenants), Allotment: p.Allotment}
	if s.Start.IsZero() {
		s.Start = monday
	}
	if err := s.limits(p, from); err != nil {
		return nil, err
	}
	if err := s.works(p, from); err != nil {
		return nil, err
	}
	if s.For == 0 {
		s.For = time.Hour
	}
	return s, nil
}

func (s *Study) limits(p *Plan, from Sources) error {
	for _, name := range p.Limits {
		f, err := from.Limits(name)
		if err != nil {
			return err
		}
		if f.Chain && len(p.Limits) == 1 && p.Tier == "" {
			s.Chain = true
		} else if f.Chain {
			s.Notes = append(s.Notes, fmt.Sprintf("%s asks its limits one after the other; together with other limits all are asked at once", name))
		}
		for _, n := range f.Notes {
			s.Notes = append(s.Notes, fmt.Sprintf("%s: left out: %s", name, n.Text))
		}
		s.Policies = append(s.Policies, f.Policies...)
	}
	if p.Tier != "" {
		more, err := from.Tier(p.Tier)
		if err != nil {
			return err
		}
		s.Policies = append(s.Policies, more...)
	}
	s.Policies = slices.Clone(s.Policies)
	kept := s.Policies[:0]
	for _, one := range s.Policies {
		why := ""
		switch {
		case one.Descriptor != nil:
			why = "it belongs to Envoy's service, which is asked by descriptors"
		case one.Shadow:
			why = "it only watches"
		}
		if why != "" {
			s.Notes = append(s.Notes, fmt.Sprintf("limit %s is left out: %s", title(&one), why))
			continue
		}
		if len(one.Overrides) > 0 || one.Counter != "" {
			s.Notes = append(s.Notes, fmt.Sprintf("limit %s: overrides and shared counters are not played", title(&one)))
		}
		kept = append(kept, one)
	}
	s.Policies = kept
	return nil
}

// title is what a limit is called.
func title(p *policy.Policy) string {
	if p.Name != "" {
		return p.Name
	}
	if len(p.Match) > 0 {
		return p.Match[0].String()
	}
	return p.Policy.String()
}

func (s *Study) works(p *Plan, from Sources) error {
	var total, done int64
	for _, f := range p.Flows {
		if f.Arrivals.IsZero() {
			total += max(f.Part, 1) * part(f.Part)
		}
	}
	var shared pace.Pacer
	if total > 0 {
		var err error
		if shared, err = s.pacer(p.Arrivals, "arrivals", from); err != nil {
			return err
		}
	}
	for i, f := range p.Flows {
		w := Work{Name: f.Name, Clients: f.Clients, Each: f.Each, Calls: f.Calls, Poisson: p.Arrivals.Poisson}
		if f.Ready != "" {
			r, err := readyFlow(f.Ready, f.With)
			if err != nil {
				return err
			}
			w.Calls, w.Source = r.Calls, r.Source
			w.Each = w.Each || r.Each && f.Clients == 0
			cached := false
			for j := range w.Calls {
				if w.Calls[j].Cacheable {
					w.Calls[j].Cache, cached = f.Cache, true
				}
			}
			if f.Cache.TTL > 0 && !cached {
				return fmt.Errorf("flows[%d].cache: %s makes no call that can be cached; add the modifier client-credentials", i, f.Ready)
			}
		}
		w.Calls = slices.Clone(w.Calls)
		for j := range w.Calls {
			if w.Calls[j].Lasts == 0 {
				w.Calls[j].Lasts = p.Lasts
			}
		}
		if !f.Arrivals.IsZero() {
			own, err := s.pacer(f.Arrivals, fmt.Sprintf("flows[%d].arrivals", i), from)
			if err != nil {
				return err
			}
			w.Arrivals, w.Poisson = own, f.Arrivals.Poisson
		} else {
			mine := max(f.Part, 1) * part(f.Part)
			w.Arrivals = shared
			if mine != total {
				w.Arrivals = split{shared, mine, total, done}
			}
			done += mine
		}
		s.Works = append(s.Works, w)
	}
	return nil
}

// part is the unit of a share that was not written.
func part(written int64) int64 {
	if written == 0 {
		return 1e6
	}
	return 1
}

// pacer makes a schedule, and lets it say how long the forecast is, if nothing else does.
func (s *Study) pacer(a Arrivals, path string, from Sources) (pace.Pacer, error) {
	switch {
	case !a.Rate.IsZero():
		return pace.Constant(a.Rate, 0), nil
	case len(a.Stages) > 0:
		if s.For == 0 {
			s.For = a.Stages.Length()
		}
		return a.Stages.Pacer(), nil
	case a.Curve != "":
		data, err := from.Curve(a.Curve)
		if err != nil {
			return nil, err
		}
		stages, err := ParseCurve(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Curve, err)
		}
		if s.For == 0 {
			s.For = stages.Length()
		}
		p := stages.Pacer()
		return repeated{p, pace.Count(p), stages.Length()}, nil
	}
	at, length, err := from.Run(a.Run)
	if err != nil {
		return nil, err
	}
	if len(at) == 0 {
		return nil, fmt.Errorf("%s: %s sent nothing", path, a.Run)
	}
	if s.For == 0 {
		s.For = length
	}
	return pace.Schedule(at), nil
}

// arrivals of a flow, multiplied, split between tenants and at random as said.
func (s *Study) arrivals(w *Work, tenant int, seed uint64) pace.Pacer {
	p := w.Arrivals
	if s.Times > 0 && s.Times != s.Per {
		p = scaled{p, s.Times, s.Per}
	}
	if len(s.Tenants) > 1 {
		var total, before int64
		for i, t := range s.Tenants {
			if i < tenant {
				before += t.Part
			}
			total += t.Part
		}
		p = split{p, s.Tenants[tenant].Part, total, before}
	}
	if w.Poisson {
		p = pace.Poisson(p, seed)
	}
	return p
}

// Model returns the model of the study. The error is that of an expression of a
// limit.
func (s *Study) Model() (*Model, error) {
	m := &Model{Retry: s.Retry, Chain: s.Chain, Start: s.Start, For: s.For, Seed: s.Seed, Column: s.Column}
	b := binder{s: s, m: m, places: map[place]int{}}
	for t := range max(1, len(s.Tenants)) {
		for i := range s.Works {
			w := &s.Works[i]
			f := Flow{Name: w.Name, Clients: w.Clients, Arrivals: s.arrivals(w, t, s.Seed+uint64(t*len(s.Works)+i))}
			if len(s.Tenants) > 0 {
				f.Name = s.Tenants[t].Name + ": " + f.Name
			}
			for _, step := range w.Calls {
				asks, err := b.asks(t, w, &step)
				if err != nil {
					return nil, fmt.Errorf("flow %s, %s: %w", w.Name, step.Request, err)
				}
				for range max(1, step.Times) {
					f.Calls = append(f.Calls, Call{Name: step.Request, After: step.After, Lasts: step.Lasts, Asks: asks, Cache: step.Cache})
				}
			}
			m.Flows = append(m.Flows, f)
		}
	}
	if err := b.allot(); err != nil {
		return nil, err
	}
	for _, n := range b.notes {
		if !slices.Contains(s.Notes, n) {
			s.Notes = append(s.Notes, n)
		}
	}
	return m, m.Validate()
}

// allot gives the burst allotment to its limit, of each tenant.
func (b *binder) allot() error {
	a := b.s.Allotment
	if a == nil {
		return nil
	}
	found := false
	var names []string
	for i := range b.m.Limits {
		l := &b.m.Limits[i]
		_, plain, ok := strings.Cut(l.Name, ": ")
		if !ok || len(b.s.Tenants) == 0 {
			plain = l.Name
		}
		names = append(names, plain)
		if a.Limit == "" && (!found || len(b.s.Tenants) > 0 && plain == names[0]) || a.Limit == plain {
			one := a.Allotment
			l.Allotment, found = &one, true
		}
	}
	if !found {
		return fmt.Errorf("burst-allotment.limit: no limit in use is called %q; there are %s", a.Limit, strings.Join(names, ", "))
	}
	return nil
}
