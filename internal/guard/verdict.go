package guard

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// internalError is the status of a request that could not be decided.
const internalError = 500

// Verdict is what has been decided about a request. Its fields are read only.
// One goroutine uses it at a time; Done may come from another.
type Verdict struct {
	Allowed  bool
	Decision limit.Decision // of all policies together; Binding is an index of Rulings
	Rulings  []Ruling       // one for each policy that is for the request, in their order
	Refused  *Ruling        // by which it was refused; nil when allowed or failed

	// Err, when not nil, says that the request could not be decided: an expression
	// failed. It is not allowed then, and Answer gives status 500. It is an *Error.
	Err error

	guard   *Guard
	rules   *rules
	subject *expr.Subject
	at      time.Time
	asks    []enforce.Ask
	ends    bool // Done has something to do
	ended   atomic.Bool
	event   *Event // made when somebody observes

	fewRulings [2]Ruling
	fewAsks    [2]enforce.Ask
}

// Ruling is what one policy says of the request. Of a refused request Decision
// is what it would say to another one.
type Ruling struct {
	Policy   *policy.Policy
	Index    int    // of Policy in the file
	Key      string // what the request was counted by; the client's, and may be secret
	Cost     int64  // units asked for; of a cost that reads the response, what had to be there
	Decision limit.Decision
	By       enforce.By
	Shadow   bool // nothing follows from it
	Skipped  bool // an override lifts the limit for this key: nothing was asked

	ask int // its place in Verdict.asks; -1 when nothing was asked
}

// Counts tells whether Done has something to do: something is held, or waits to
// be counted by what the answer is.
func (v *Verdict) Counts() bool { return v.ends && v.Allowed }

// Done ends an allowed request: it gives back what concurrency limits hold, and
// counts what waited for the response. It must be called once the answer is
// complete, or has failed; calls after the first do nothing.
func (v *Verdict) Done(res expr.Response) {
	if !v.ends || !v.Allowed || v.ended.Swap(true) {
		return
	}
	at := v.guard.clock()
	var after *expr.Subject
	for i := range v.Rulings {
		r := &v.Rulings[i]
		p := &v.rules.policies[r.Index]
		switch {
		case r.ask < 0:
		case v.asks[r.ask].Look:
			if p.waits && v.subject != nil {
				if after == nil {
					after = answered(v.subject, res)
				}
				v.settle(at, r, p, after)
			}
		case p.holds && r.Decision.Allowed:
			v.rules.in.release(at, v.asks[r.ask:r.ask+1])
		}
	}
}

func answered(s *expr.Subject, res expr.Response) *expr.Subject {
	out := *s
	out.Response = &res
	return &out
}

// settle counts a request by a policy that had to wait for the response. What
// cannot be worked out counts as it was looked at.
func (v *Verdict) settle(at time.Time, r *Ruling, p *rule, s *expr.Subject) {
	if p.CountIf != nil {
		counts, err := p.CountIf.Bool(s)
		if err != nil {
			v.failed(r.Index, r.Key, &Error{Policy: p.Name, Index: r.Index, Field: "count-if", Err: err})
		} else if !counts {
			return
		}
	}
	cost := r.Cost
	if readsResponse(p.Cost.Expr) {
		if n, err := p.Cost.Of(s); err != nil {
			v.failed(r.Index, r.Key, &Error{Policy: p.Name, Index: r.Index, Field: "cost", Err: err})
		} else {
			cost = n
		}
	}
	// What does not fit fills up the rest. Others may take of that rest
	// meanwhile, so it is tried again, a few times.
	for range 8 {
		if cost <= 0 {
			return
		}
		one := [1]enforce.Ask{{Entry: r.Index, Key: r.Key, Cost: cost}}
		v.rules.in.take(context.Background(), at, one[:])
		d := one[0].Decision
		if d.Allowed || p.CountDenied {
			if d.Warn {
				counted := *r
				counted.Cost, counted.Decision, counted.By = cost, d, one[0].By
				v.note(Warned, &counted)
			}
			return
		}
		cost = d.Remaining
	}
}
