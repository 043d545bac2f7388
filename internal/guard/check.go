package guard

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/limit"
)

// Error says for which policy a request could not be decided, and why. It is the
// Err of a Verdict. It holds nothing of the request.
type Error struct {
	Policy string // its name
	Index  int    // its place in the file
	Field  string // such as "key"
	Err    error
}

// Error returns all of it in one line.
func (e *Error) Error() string {
	return fmt.Sprintf("policy %d (%q): %s: %v", e.Index, e.Policy, e.Field, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// ErrNoKey is why a request fails whose key is empty, with RequireKey.
var ErrNoKey = errors.New("the key of the request is empty")

var errNoPolicy = errors.New("the file in force has no such policy")

// Check decides on a request by every policy of the file that is for it. The
// subject must stay as it is until the verdict is done.
func (g *Guard) Check(ctx context.Context, s *expr.Subject) *Verdict {
	v := g.begin(s)
	for i := range v.rules.policies {
		if !v.add(ctx, i) {
			return v
		}
	}
	v.decide(ctx)
	return v
}

// CheckOnly is Check with these policies alone, by their places in the file, in
// this order. A place that the file does not have fails the request.
func (g *Guard) CheckOnly(ctx context.Context, s *expr.Subject, only []int) *Verdict {
	v := g.begin(s)
	for _, i := range only {
		if i < 0 || i >= len(v.rules.policies) {
			v.Err = &Error{Index: i, Field: "policy", Err: errNoPolicy}
			return v
		}
		if !v.add(ctx, i) {
			return v
		}
	}
	v.decide(ctx)
	return v
}

// Ask is a policy, by its place in the file, whose key and cost are known.
type Ask struct {
	Policy int
	Key    string
	Cost   int64
}

// CheckKey decides by one policy for a key that is known. What the policy says
// of match, when, count-if and cost is not asked.
func (g *Guard) CheckKey(ctx context.Context, policy int, key string, cost int64) *Verdict {
	return g.CheckKeys(ctx, Ask{Policy: policy, Key: key, Cost: cost})
}

// CheckKeys is CheckKey for several policies that make one decision. No policy
// should be among them twice with the same key.
func (g *Guard) CheckKeys(ctx context.Context, asks ...Ask) *Verdict {
	v := g.begin(nil)
	for _, a := range asks {
		if a.Policy < 0 || a.Policy >= len(v.rules.policies) {
			v.Err = &Error{Index: a.Policy, Field: "policy", Err: errNoPolicy}
			return v
		}
		v.ask(a.Policy, a.Key, a.Cost, false)
	}
	v.decide(ctx)
	return v
}

func (g *Guard) begin(s *expr.Subject) *Verdict {
	v := &Verdict{guard: g, rules: g.rules.Load(), subject: s, at: g.clock()}
	v.Rulings, v.asks = v.fewRulings[:0], v.fewAsks[:0]
	return v
}

// add adds a policy to those that the request asks, if it is for the request.
// It returns false when the request has been decided by this: it failed, or a
// policy before this one in a chain refused.
func (v *Verdict) add(ctx context.Context, i int) bool {
	p, s := &v.rules.policies[i], v.subject
	if ok, err := p.For(s); err != nil {
		return v.fail(ctx, i, "when", err)
	} else if !ok {
		return true
	}
	key, err := p.Key.Of(s)
	if err == nil && key == "" && p.empties && v.guard.o.RequireKey {
		err = ErrNoKey
	}
	if err != nil {
		return v.fail(ctx, i, "key", err)
	}
	cost := int64(1)
	if !readsResponse(p.Cost.Expr) {
		if cost, err = p.Cost.Of(s); err != nil {
			return v.fail(ctx, i, "cost", err)
		}
	}
	look := p.waits
	if p.CountIf != nil && !p.CountIf.ReadsResponse() {
		counts, err := p.CountIf.Bool(s)
		if err != nil {
			return v.fail(ctx, i, "count-if", err)
		}
		look = look || !counts
	}
	v.ask(i, key, cost, look)
	return true
}

// ask adds a policy whose key and cost are known.
func (v *Verdict) ask(i int, key string, cost int64, look bool) {
	p := &v.rules.policies[i]
	r := Ruling{Policy: p.Policy, Index: i, Key: key, Cost: cost, Shadow: p.Shadow, ask: -1}
	if len(p.Overrides) != 0 && p.Overrides[key].Unlimited {
		r.Skipped = true
		r.Decision = limit.Decision{Allowed: true, Limit: math.MaxInt64, Remaining: math.MaxInt64}
	} else {
		r.ask = len(v.asks)
		v.asks = append(v.asks, enforce.Ask{Entry: i, Key: key, Cost: cost, Look: look})
		v.ends = v.ends || p.holds || look
	}
	v.Rulings = append(v.Rulings, r)
}

// fail makes the verdict one of an error. What stands before the policy in a
// chain has been asked by then, and may have refused.
func (v *Verdict) fail(ctx context.Context, i int, field string, err error) bool {
	if v.rules.set.Chain && len(v.asks) > 0 {
		if v.decide(ctx); !v.Allowed {
			return false
		}
		v.Done(expr.Response{Status: internalError})
		v.Allowed = false
	}
	v.Err = &Error{Policy: v.rules.policies[i].Name, Index: i, Field: field, Err: err}
	v.failed(i, "", v.Err)
	return false
}

// decide asks what has been added.
func (v *Verdict) decide(ctx context.Context) {
	if len(v.asks) == 0 {
		v.Allowed, v.Decision = true, limit.Decision{Allowed: true, Binding: -1, Limit: math.MaxInt64, Remaining: math.MaxInt64}
		v.events()
		return
	}
	v.Decision = v.rules.in.take(ctx, v.at, v.asks)
	v.Allowed = v.Decision.Allowed
	binding := v.Decision.Binding
	v.Decision.Binding = -1
	for i := range v.Rulings {
		r := &v.Rulings[i]
		if r.ask < 0 {
			continue
		}
		r.Decision, r.By = v.asks[r.ask].Decision, v.asks[r.ask].By
		if r.ask == binding {
			v.Decision.Binding = i
		}
	}
	if !v.Allowed {
		v.Refused = v.refuser()
	}
	v.events()
}

// refuser returns the ruling that the request was refused by.
func (v *Verdict) refuser() *Ruling {
	if i := v.Decision.Binding; i >= 0 && !v.Rulings[i].Shadow {
		return &v.Rulings[i]
	}
	for i := range v.Rulings {
		if r := &v.Rulings[i]; !r.Shadow && !r.Decision.Allowed {
			return r
		}
	}
	return &v.Rulings[0] // cannot be: somebody has refused
}
