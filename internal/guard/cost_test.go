package guard_test

import (
	"context"
	"testing"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// TestAllocations holds ceilings: a decision is one allocation, whether it
// passes or not, until a request meets more than two policies.
func TestAllocations(t *testing.T) {
	p := func(n int64) policy.Policy {
		return policy.Policy{Policy: window("", n), Key: policy.Key{Kind: policy.IP}, Match: match(t, "GET /v1/**")}
	}
	busy := policy.Policy{Policy: limit.Policy{Algorithm: limit.Concurrency, Limit: 5}}
	told := p(1)
	told.Tell = policy.Tell{Limit: "X-L", Remaining: "X-R", Reset: "X-T"}
	told.Answer.Name = "cognito"
	s := get("/v1/a", "203.0.113.9")
	for _, c := range []struct {
		name     string
		policies []policy.Policy
		most     float64
		tell     bool
	}{
		{"one, admitted", []policy.Policy{p(1 << 40)}, 1, false},
		{"one, refused", []policy.Policy{p(1)}, 1, false},
		{"two", []policy.Policy{p(1 << 40), p(1 << 41)}, 1, false},
		{"one and a slot", []policy.Policy{p(1 << 40), busy}, 1, false},
		{"three", []policy.Policy{p(1 << 40), p(1 << 41), p(1 << 42)}, 3, false},
		{"own fields", []policy.Policy{told}, 3, true},
	} {
		g, _ := newGuard(t, guard.Options{}, c.policies...)
		set := func(_, _ string) {}
		got := testing.AllocsPerRun(200, func() {
			v := g.Check(context.Background(), s)
			if c.tell {
				v.Tell(set)
			}
			v.Done(expr.Response{Status: 200})
		})
		if got > c.most {
			t.Errorf("%s: %v allocations a request, want at most %v", c.name, got, c.most)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	one := policy.Policy{Policy: window("", 1<<40), Key: policy.Key{Kind: policy.IP}}
	told := one
	told.Tell.Dialect = header.XRateLimit
	by := one
	by.Key = key(b, `request.jwt.sub + "/" + request.ip`)
	for name, p := range map[string]policy.Policy{"plain": one, "told": told, "cel": by} {
		b.Run(name, func(b *testing.B) {
			g, _ := newGuard(b, guard.Options{}, p)
			s := get("/", "203.0.113.9")
			s.Header["Authorization"] = []string{"Bearer e30.eyJzdWIiOiJhIn0.x"}
			b.ReportAllocs()
			for b.Loop() {
				v := g.Check(context.Background(), s)
				v.Tell(func(_, _ string) {})
				v.Done(expr.Response{Status: 200})
			}
		})
	}
}
