package header

import "strings"

// custom reads the fields that Names told.
func (p *parser) custom(n Names) {
	l, found := NoLimit(), false
	for i := range p.fields {
		f := &p.fields[i]
		if f.used {
			continue
		}
		switch {
		case n.Limit != "" && strings.EqualFold(n.Limit, f.low):
			l.Quota = p.count(f.name, f.value)
		case n.Remaining != "" && strings.EqualFold(n.Remaining, f.low):
			l.Remaining = p.count(f.name, f.value)
		case n.Reset != "" && strings.EqualFold(n.Reset, f.low):
			l.ResetAfter = p.reset(f.name, f.value)
		default:
			continue
		}
		f.used, found = true, true
	}
	if found {
		l.Dialect = Named
		p.add(l)
	}
}

// shopify reads used/size of a leaky bucket.
func (p *parser) shopify(f *field) {
	f.used = true
	used, size, ok := strings.Cut(f.value, "/")
	if !ok {
		p.problem(f.name, f.value, "not of the form used/size")
		return
	}
	u, s := p.count(f.name, used), p.count(f.name, size)
	if u == Unknown || s == Unknown {
		return
	}
	l := NoLimit()
	l.Dialect, l.Quota, l.Remaining = Shopify, s, max(s-u, 0)
	if u > s {
		p.problem(f.name, f.value, "more is used than the bucket holds")
	}
	p.add(l)
}

// auth0Quota reads b=per_hour;q=10;r=7;t=3540,b=per_day;….
func (p *parser) auth0Quota(f *field) {
	f.used = true
	owner := "client"
	if strings.Contains(f.low, "organization") {
		owner = "organization"
	}
	for _, bucket := range strings.Split(f.value, ",") {
		l, ok := p.pairs(f.name, bucket, ";")
		if !ok {
			p.problem(f.name, f.value, "not of the form b=…;q=…;r=…;t=…")
			continue
		}
		l.Dialect, l.Name = Auth0Quota, owner
		for _, part := range strings.Split(bucket, ";") {
			if k, v, _ := strings.Cut(strings.TrimSpace(part), "="); k == "b" {
				l.Name = owner + " " + v
				l.Window = periods[strings.TrimPrefix(v, "per_")]
			}
		}
		p.add(l)
	}
}

// azureResource reads "Microsoft.Compute/GetVMScaleSet3Min;197,…".
func (p *parser) azureResource(f *field) {
	f.used = true
	for _, member := range strings.Split(f.value, ",") {
		name, left, ok := strings.Cut(strings.TrimSpace(member), ";")
		if !ok {
			p.problem(f.name, f.value, "not of the form policy;left")
			continue
		}
		l := NoLimit()
		l.Dialect, l.Name, l.Remaining = Azure, name, p.count(f.name, left)
		if l.Remaining != Unknown {
			p.add(l)
		}
	}
}
