package forecast

import "fmt"

// planError is what is wrong with a plan, and where.
type planError struct{ path, reason string }

// Check returns nil for a plan that can be bound, else the first thing that is
// wrong with it.
func (p *Plan) Check() error {
	for _, e := range p.check() {
		return fmt.Errorf("%s: %s", e.path, e.reason)
	}
	return nil
}

// check returns what does not go together.
func (p *Plan) check() (out []planError) {
	add := func(path, format string, args ...any) {
		out = append(out, planError{path, fmt.Sprintf(format, args...)})
	}
	if len(p.Flows) == 0 {
		add("flows", "missing; say what arrives, such as flows: [{calls: [POST /oauth/token]}]")
	}
	if len(p.Limits) == 0 && p.Tier == "" {
		add("limits", "missing; name a policy file, or a ready set with tier: auth0/enterprise")
	}
	names := map[string]bool{}
	for i := range p.Flows {
		f := &p.Flows[i]
		path := fmt.Sprintf("flows[%d]", i)
		switch {
		case f.Ready == "" && len(f.Calls) == 0:
			add(path, "makes no calls; give calls: or ready:")
		case f.Ready == "" && (len(f.With) > 0 || f.Cache.TTL > 0):
			add(path, "with: and cache: of a flow belong to ready:; a call has a cache of its own")
		}
		if f.Ready != "" {
			if _, err := readyFlow(f.Ready, f.With); err != nil {
				add(path, "%v", err)
			}
		}
		if f.Name == "" {
			f.Name = f.Ready
			if f.Name == "" && len(f.Calls) > 0 {
				f.Name = f.Calls[0].Request
			}
		}
		if names[f.Name] {
			f.Name = fmt.Sprintf("%s (%d)", f.Name, i+1)
		}
		names[f.Name] = true
		switch {
		case f.Arrivals.IsZero() && p.Arrivals.IsZero():
			add(path, "nothing says how often it arrives; give arrivals: {rate: 30/s} to it or to the file")
		case !f.Arrivals.IsZero() && f.Part != 0:
			add(path, "has arrivals of its own and a share of the others; keep one")
		}
		if f.Each && f.Clients > 0 {
			add(path, "clients is a number or each, not both")
		}
	}
	tenants := map[string]bool{}
	for i, t := range p.Tenants {
		if t.Name == "" || tenants[t.Name] {
			add(fmt.Sprintf("tenants[%d]", i), "needs a name of its own")
		}
		if t.Part == 0 {
			p.Tenants[i].Part = 1e6
		}
		tenants[t.Name] = true
	}
	if a := p.Allotment; a != nil && a.Times == 1 {
		add("burst-allotment.times", "once the limit is the limit; 2, 3 or 4, or leave it out for no bound")
	}
	return out
}
