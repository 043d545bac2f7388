package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// PlanOptions say what a plan may be made of.
type PlanOptions struct {
	Requests []Call      // beside those that the policies' patterns name
	Header   []hit.Field // of every request
	Body     string      // of requests with a method that has one
	Vary     []Vary
	Budget   Budget
	Trip     time.Duration // how long an answer takes, roughly
	Gap      time.Duration // as RunOptions.Gap
	Only     []string      // names of presets; empty: all that fit
	Rested   bool          // the counts are at rest now
}

// Presets are the names of experiments that NewPlan makes, with what they show.
func Presets() [][2]string {
	return [][2]string{
		{"limit", "at the limit and above it: all that is allowed, then three more, twice"},
		{"window", "when it opens again: just before and just after, around the heads of clock windows"},
		{"ban", "exceeds it once: how long everything is refused then"},
		{"keys", "two clients one after the other: who counts with whom"},
		{"alternating", "two policies in turn: whether they share a count"},
		{"calls", "two requests of one policy in turn: whether they share its count"},
		{"sustained", "a third above the rate for a while: whether it gives what it says"},
		{"denied", "whether refused requests count"},
		{"concurrency", "more at once than may be"},
		{"recovery", "the limit again after a rest, with requests one by one"},
	}
}

// planner makes a plan.
type planner struct {
	file  *policy.File
	o     PlanOptions
	plan  *Plan
	next  int // the next fresh client
	cands []candidate
}

type candidate struct {
	Experiment
	preset   string
	priority int
	policy   int
}

// subject of experiments: a policy and a request that it is for.
type aim struct {
	index int
	p     *policy.Policy
	calls []Call // without the client
	l     int    // requests that it admits from rest
	late  bool
}

// queues tells whether a limit holds requests back until it is their turn.
func queues(p *limit.Policy) bool {
	return p.Algorithm == limit.LeakyBucket && p.Undelayed < p.Burst
}

// NewPlan makes the experiments for a policy file that fit into the budget. The
// error says what is missing to reach a policy.
func NewPlan(f *policy.File, o PlanOptions) (*Plan, error) {
	p := &planner{file: f, o: o, plan: &Plan{}}
	p.o.Trip = max(o.Trip, 100*time.Microsecond)
	for _, name := range o.Only {
		if !slices.ContainsFunc(Presets(), func(x [2]string) bool { return x[0] == name }) {
			return nil, fmt.Errorf("there is no experiment %q; there are %s", name, presetNames())
		}
	}
	aims, err := p.aims()
	if err != nil {
		return nil, err
	}
	for i := range aims {
		if err := p.presets(&aims[i]); err != nil {
			return nil, err
		}
	}
	p.pairs(aims)
	slices.SortStableFunc(p.cands, func(a, b candidate) int { return cmp.Compare(a.priority, b.priority) })
	return p.plan, p.spend()
}

func presetNames() string {
	var names []string
	for _, p := range Presets() {
		names = append(names, p[0])
	}
	return strings.Join(names, ", ")
}

// aims finds the requests for each policy.
func (p *planner) aims() (out []aim, err error) {
	var errs []error
	for i := range p.file.Policies {
		pol := &p.file.Policies[i]
		if why := unverifiable(pol); why != "" {
			p.plan.LeftOut = append(p.plan.LeftOut, LeftOut{Name: "all", Policy: i, Why: why})
			continue
		}
		a, err := p.aim(i, pol)
		if err != nil {
			errs = append(errs, fmt.Errorf("policy %d (%q): %w", i+1, pol.Name, err))
			continue
		}
		out = append(out, a)
	}
	return out, errors.Join(errs...)
}

func (p *planner) aim(i int, pol *policy.Policy) (aim, error) {
	a := aim{index: i, p: pol, late: pol.Late()}
	try := func(c Call) error {
		c = p.o.dressed(c)
		s := c.as(p.o.Vary, 0)
		subject := s.subject()
		ok, err := pol.For(subject)
		if err != nil || !ok {
			return err
		}
		key, err := pol.Key.Of(subject)
		if err != nil {
			return err
		}
		if key == "" && pol.Key.Kind != policy.Global {
			return fmt.Errorf("it counts by %s, which the requests do not have: %s", pol.Key, supply(pol.Key))
		}
		cost, err := pol.Cost.Of(subject)
		if err != nil {
			return err
		}
		held := pol.With(pol.Overrides[key])
		l := held.Capacity()
		a.l = int(min(l/max(cost, 1), 1<<30))
		a.calls = append(a.calls, c)
		return nil
	}
	for _, c := range p.o.Requests {
		if err := try(c); err != nil {
			return a, err
		}
	}
	if len(a.calls) > 0 {
		return a, nil
	}
	if len(pol.Scope.API)+len(pol.Scope.Operation)+len(pol.Scope.Product) > 0 {
		return a, fmt.Errorf("it is for parts of a service (%s): say which request is one, such as --request 'api=%s GET /path'",
			strings.Join(slices.Concat(pol.Scope.API, pol.Scope.Operation, pol.Scope.Product), ", "), slices.Concat(pol.Scope.API, []string{"orders"})[0])
	}
	named := concrete(pol)
	for _, c := range named {
		if err := try(c); err != nil {
			return a, err
		}
	}
	switch {
	case len(a.calls) > 0:
		return a, nil
	case len(named) == 0:
		return a, fmt.Errorf("its pattern %q leaves parts open: say which request to make, such as --request '%s'", pol.Match[0].String(), filled(pol.Match[0]))
	default:
		return a, fmt.Errorf("none of the requests is one that its condition holds for (%s): give one with --request, -H or --vary", pol.When.Source())
	}
}

// dressed returns a call with what all calls have.
func (o *PlanOptions) dressed(c Call) Call {
	c.Header = append(slices.Clone(o.Header), c.Header...)
	if c.Method == "POST" || c.Method == "PUT" || c.Method == "PATCH" {
		c.Body = o.Body
	}
	return c
}

// supply says how a request gets a key.
func supply(k policy.Key) string {
	switch k.Kind {
	case policy.Header:
		return fmt.Sprintf("add --vary header:%s=a,b with values that the target knows (new for any), or -H '%s: value'", k.Name, k.Name)
	case policy.Query:
		return fmt.Sprintf("add --vary query:%s=a,b, or --request 'GET /path?%s=value'", k.Name, k.Name)
	case policy.BasicUser:
		return "add --vary basic=user:password,user2:password2"
	}
	return "add --vary, -H or --request so that it comes out"
}

func filled(m policy.Match) string {
	parts := strings.Split(m.Path, "/")
	for i, s := range parts {
		if strings.ContainsAny(s, "*{") {
			parts[i] = "1"
		}
	}
	method := "GET"
	if len(m.Methods) > 0 {
		method = m.Methods[0]
	}
	return method + " " + strings.Join(parts, "/")
}

// client returns the number of a client for an experiment: a new one where new
// ones can be had.
func (p *planner) client() int {
	if _, fresh := clients(p.o.Vary); fresh {
		p.next++
		return p.next - 1
	}
	return 0
}

// build is an experiment in the making.
type build struct {
	p *planner
	e Experiment
}

func (p *planner) begin(name string, policies ...int) *build {
	return &build{p: p, e: Experiment{Name: name, Policies: policies}}
}

// send adds a step and returns its number.
func (b *build) send(c Call, client, count int, w Wait) int {
	call := b.p.plan.call(c.as(b.p.o.Vary, client))
	b.e.Steps = append(b.e.Steps, Step{Call: call, Count: count, Wait: w})
	b.e.Requests += count
	b.e.Takes += b.p.step()
	switch w.From {
	case Previous:
		b.e.Takes += w.After
	case Head:
		b.e.Takes += w.Window
	case StepSent, StepDone:
		b.e.Takes = max(b.e.Takes, b.elapsed(w.Step)+w.After+b.p.o.Trip)
	}
	return len(b.e.Steps) - 1
}

// elapsed is when a step is made, roughly.
func (b *build) elapsed(step int) (d time.Duration) {
	for i := range b.e.Steps[:step+1] {
		d += b.p.step()
		switch w := b.e.Steps[i].Wait; w.From {
		case Previous:
			d += w.After
		case Head:
			d += w.Window
		default:
			d = max(d, b.elapsed(w.Step)+w.After)
		}
	}
	return d
}

// burst sends n, at once or one by one. It returns its first and last step.
func (b *build) burst(c Call, client, n int, at bool, w Wait) (first, last int) {
	if n < 1 {
		return len(b.e.Steps) - 1, len(b.e.Steps) - 1
	}
	if at {
		first = b.send(c, client, n, w)
		return first, first
	}
	first = b.send(c, client, 1, w)
	last = first
	for range n - 1 {
		last = b.send(c, client, 1, Wait{})
	}
	return first, last
}

// over sends n that are expected to be refused.
func (b *build) over(c Call, client, n int, w Wait) (last int) {
	b.e.Throttled += n
	_, last = b.burst(c, client, n, false, w)
	return last
}

func (b *build) add(preset string, priority int) {
	if len(b.p.o.Only) > 0 && !slices.Contains(b.p.o.Only, preset) {
		return
	}
	b.p.cands = append(b.p.cands, candidate{b.e, preset, priority, b.e.Policies[0]})
}

// step is how long one request after the other takes.
func (p *planner) step() time.Duration { return p.o.Trip + p.o.Gap }

// margin is how far from an instant a request is made that must be decided before
// it, or after it, with a clock as coarse as is said.
func (p *planner) margin() time.Duration { return max(p.o.Gap, time.Millisecond) }

// together tells whether n requests must go at once to reach the limit.
func (p *planner) together(a *aim, n int) bool {
	if a.late {
		return false
	}
	pol := &a.p.Policy
	if pol.Window == 0 {
		return n > 60
	}
	span := time.Duration(n) * p.step()
	gives := float64(pol.Limit) * float64(p.step()) / float64(pol.Window)
	if clocked(pol) || pol.Algorithm == limit.FixedWindow || pol.Algorithm == limit.SlidingLog {
		return span > pol.Window/4 || n > 60
	}
	return gives > 0.3 || n > 60
}

// clocked tells whether windows of a clock count.
func clocked(p *limit.Policy) bool {
	switch p.Algorithm {
	case limit.FixedWindow:
		return p.Align == limit.AlignClock
	case limit.SlidingWindow, limit.RefillBucket:
		return true
	case limit.Quota:
		return p.Period == limit.NoPeriod
	}
	return false
}

// spend takes the candidates that the budget allows, and says when each may begin.
func (p *planner) spend() error {
	st, err := compile(p.file, p.plan.Calls)
	if err != nil {
		return err
	}
	used := map[int]int64{} // units since the count was at rest
	spent := Budget{}
	for _, c := range p.cands {
		e := c.Experiment
		touched, about := map[int]int64{}, map[int]bool{}
		for _, s := range e.Steps {
			for _, a := range st.asks[s.Call] {
				touched[a.state] += int64(s.Count) * a.cost
				about[a.state] = about[a.state] || slices.Contains(e.Policies, a.policy)
			}
		}
		need := func(s int) time.Duration { return rest(st.list[s].Policy) + p.o.Trip + 20*time.Millisecond }
		for s, units := range touched {
			need := need(s)
			switch {
			case used[s] > 0 && !about[s] && used[s]+units <= st.list[s].Policy.Capacity():
				// It stands beside, and has room for all of this: a rest of an hour
				// would show nothing more.
			case used[s] > 0:
				e.Rest = max(e.Rest, need)
			case st.newborn[s] || p.o.Rested:
			default:
				// Somewhat longer, in case the service needs longer than it should.
				if need += min(need, 2*time.Second); spent.Time < need {
					e.Rest = max(e.Rest, need-spent.Time)
				}
			}
		}
		for s := range touched {
			e.Unrested = e.Unrested || used[s] > 0 && e.Rest < need(s)
		}
		b, why := p.o.Budget, ""
		switch {
		case b.Requests > 0 && spent.Requests+e.Requests > b.Requests:
			why = fmt.Sprintf("it needs %d requests, and %d are left of --max-requests", e.Requests, b.Requests-spent.Requests)
		case b.Throttled > 0 && spent.Throttled+e.Throttled > b.Throttled:
			why = fmt.Sprintf("it makes the target refuse %d requests, and %d are left of --max-throttled", e.Throttled, b.Throttled-spent.Throttled)
		case b.Time > 0 && spent.Time+e.Rest+e.Takes > b.Time:
			why = fmt.Sprintf("it needs %v, and %v are left of --max-time", round(e.Rest+e.Takes), round(b.Time-spent.Time))
		}
		if why != "" {
			for _, i := range e.Policies {
				p.plan.LeftOut = append(p.plan.LeftOut, LeftOut{Name: e.Name, Policy: i, Why: why})
			}
			continue
		}
		for s := range used {
			if e.Rest >= need(s) {
				used[s] = 0
			}
		}
		for s, units := range touched {
			used[s] += units
		}
		spent.Requests += e.Requests
		spent.Throttled += e.Throttled
		spent.Time += e.Rest + e.Takes
		p.plan.Experiments = append(p.plan.Experiments, e)
	}
	return nil
}
