package cli

import (
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/lab/auth0"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// auth0Policies are the limits of a plan, as the stand-in keeps them.
func auth0Policies(t auth0.Tier) (out []policy.Policy, err error) {
	authentication, err := expr.Compile(`!request.path.startsWith("/api/v2/")`, expr.Bool)
	if err != nil {
		return nil, err
	}
	user, err := policy.ParseKey("user.id")
	if err != nil {
		return nil, err
	}
	add := func(name string, buckets []auth0.Bucket, p policy.Policy) {
		for i, b := range buckets {
			one := p
			one.Policy = limit.Policy{Algorithm: limit.RefillBucket, Limit: b.Sustained, Window: b.Per, Burst: b.Burst, Name: name}
			if i > 0 {
				one.Name += ", second bucket"
			}
			out = append(out, one)
		}
	}
	for _, e := range t.Limits.Endpoints {
		p := policy.Policy{}
		for _, route := range e.Routes {
			m, err := policy.ParseMatch(route)
			if err != nil {
				return nil, err
			}
			p.Match = append(p.Match, m)
		}
		switch e.By {
		case auth0.UserID:
			p.Key = user
		case auth0.Address, auth0.AddressAndEmail:
			p.Key = policy.Key{Kind: policy.IP}
		}
		add(e.Group, e.Buckets, p)
	}
	add("Authentication API", t.Limits.Authentication, policy.Policy{When: authentication})
	add("Management API", t.Limits.Management, policy.Policy{Match: []policy.Match{{Path: "/api/v2/**"}}})
	return out, nil
}
